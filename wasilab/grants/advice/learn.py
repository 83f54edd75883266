"""Learn mode: run a program safely, record what it asks for, and report the grants it would need.

`rehearsal(grants)` returns grants for a trial run: every folder a copy in memory, the current folder (copied) as "."
for all other paths, virtual clocks, seeded randomness. Nothing is changed on the host, and no file outside the folders
named and the current one is read. `lesson(run, grants)` is the advice for the real run: changed copies become
`rw`, virtual clocks and randomness become real, and paths that were looked for but not granted are listed as missing.
One rehearsal may not be enough: a program that misses a file stops early.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace

from ...capabilities.clocks import Clocks
from ...capabilities.host.hostdir import HostDir
from ...capabilities.protocols import Directory
from ...capabilities.random import Random
from ..grants import Grants
from ..guest_paths import HERE, ROOTS, outside
from ..remedy import folder_remedy
from ..value import host_folder
from .advise import GrantAdvice, advise
from .evidence import Use
from .missing import MissingGrant
from .recorded import RecordedRun

SUGGESTED = 20
"""The most folders that are suggested."""


def rehearsal(grants: Grants, cwd: str | None = None) -> Grants:
    """`grants` made safe, with stand-ins for what they lack (`cwd`: the current folder, if another)."""
    dirs: dict[str, Directory] = {
        guest: host_folder(d.path, "copy") if isinstance(d, HostDir) else d for guest, d in grants.dirs.items()
    }
    if not any(root in dirs for root in ROOTS):
        dirs[HERE] = host_folder(cwd or os.curdir, "copy")
    return grants.with_(
        dirs=dirs,
        args=True,
        stdin=b"" if grants.stdin is None else grants.stdin,
        stdout=True,
        stderr=True,
        clocks=Clocks.stepped(1000, time.time_ns()),
        random=Random.seeded(0),
        ask=False,
    )


def lesson(run: RecordedRun, grants: Grants) -> GrantAdvice:
    """What the program of a rehearsal `run` would need, smallest first. `grants` are those it was derived from.

    The advice names the used folders inside the granted ones; `wider` keeps the granted folders.
    """
    least, wider = _advice(run, grants, narrow=True), _advice(run, grants, narrow=False)
    return least if least.grants == wider.grants else replace(least, wider=wider)


def _advice(run: RecordedRun, grants: Grants, *, narrow: bool) -> GrantAdvice:
    clocks = Clocks.real() if grants.clocks.spec == "none" else grants.clocks
    random = Random.real() if grants.random.spec == "none" else grants.random
    advice = advise(run, base=run.grants.with_(clocks=clocks, random=random), keep_copies=False, narrow=narrow)
    # A folder granted by name keeps its mode, unless a weaker one is enough.
    dirs = {
        guest: grants.dirs[guest] if _asked_for_a_copy(grants, guest) and d.writable else d
        for guest, d in advice.grants.dirs.items()
    }
    here = run.grants.dirs.get(HERE)
    found = []
    if isinstance(here, HostDir) and HERE not in grants.dirs:
        found = elsewhere(advice.evidence.of(HERE), here.real)
    return replace(advice, grants=advice.grants.with_(dirs=dirs), missing=(*advice.missing, *found))


def _asked_for_a_copy(grants: Grants, guest: str) -> bool:
    return getattr(grants.dirs.get(guest), "mode", None) == "copy"


def elsewhere(use: Use, here: str) -> list[MissingGrant]:
    """What was looked for in the stand-in folder `here` but, by its name, is elsewhere on the host."""
    wanted: dict[str, tuple[bool, list[str]]] = {}
    for path, changed in use.absent.items():
        place = outside(path, here)
        if place is not None:
            folder = place if os.path.isdir(place) else os.path.dirname(place)
            known, paths = wanted.get(folder, (False, []))
            wanted[folder] = (known or changed, [*paths, place])
    found = []
    for folder, (changed, paths) in sorted(wanted.items())[:SUGGESTED]:
        shown = ", ".join(map(repr, paths[:3])) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
        remedy = folder_remedy(folder, mode="rw" if changed else "ro")
        what = "to be made or changed" if changed else "looked for"
        found.append(MissingGrant(remedy, f"{shown} was {what}", len(paths), -1))
    return found
