"""What a WASI call costs (`wasilab.commands.machine.call_costs`), with the ways that only a developer asks about.

`python -m tests.bench` from the repository's root prints the table. Nothing here asserts a time.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from wasilab.capabilities.host.hostdir import HostDir
from wasilab.commands.machine.bench_guest import CALLS, FILE, guest
from wasilab.commands.machine.call_costs import PEERS, TITLES, Peer, Table, lines, measure, ours
from wasilab.grants.grants import Grants
from wasilab.module.module import load
from wasilab.runs.runner import run

HOSTS = (
    *PEERS,
    Peer("traced, public API", 5_000, ours(raw=False)),
    Peer("traced, with stacks", 5_000, ours(stacks=True)),
)


def table(rounds: int = 7) -> list[str]:
    """All calls under all hosts, judged in each way, as lines of text."""
    found: Table = {}
    for _, so_far in measure(list(CALLS), rounds, HOSTS):
        found = so_far
    return [line for by in TITLES for line in (*lines(found, by), "")]


def bytes_per_event(count: int = 200_000) -> dict[str, float]:
    """Bytes of trace memory for one recorded event, by call."""
    found = {}
    for call in CALLS:
        with tempfile.TemporaryDirectory() as temporary:
            (Path(temporary) / FILE).write_bytes(bytes(16 * (count + 4000)))
            ran = run(load(guest(call, count).encode()), (), Grants(dirs={"/d": HostDir(temporary, mode="rw")}))
            assert ran.outcome.ok, ran.outcome
            assert ran.recorder is not None
        found[call] = ran.recorder.nbytes() / len(ran.recorder)
    return found
