"""Runs lab commands as a pipeline, each on its own thread: the output of one is the input of the next."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from ...capabilities import host as host_objects
from ...capabilities.protocols import File
from ...wasi import rights as r
from ...wasi.fdtable import Descriptor
from ...wasi.host import Host
from ...wasi.types import Rights
from ..outcome import Outcome
from ..worker import Running, start
from .members import MemberPlan


class Joint(NamedTuple):
    """Statistics of one pipe of a finished pipeline: the bytes passed, and how often each side waited."""

    writer: str
    reader: str
    bytes: int
    """Bytes written into it."""
    unread: int
    """Bytes that the reader left unread."""
    writer_waits: int
    """How often the writer waited because the pipe was full (back-pressure)."""
    writer_waited_ns: int
    reader_waits: int
    """How often the reader waited because it was empty."""
    reader_waited_ns: int


def run_pipeline(plans: Sequence[MemberPlan]) -> tuple[dict[str, Outcome], list[Joint]]:
    """Run the commands to completion; returns the outcomes by name, and the pipes' statistics.

    An interrupt in the calling thread ends all of them.
    """
    pipes = [
        host_objects.pipes.pipe(before.host.interrupt, after.host.interrupt)
        for before, after in pairwise(plans)
    ]
    for at, (reader, writer) in enumerate(pipes):
        _stand_in(plans[at].host, 1, writer, int(Rights.FD_READ))
        _stand_in(plans[at + 1].host, 0, reader, int(Rights.FD_WRITE))
    runs: list[Running] = []
    for at, plan in enumerate(plans):
        running = start(
            plan.module, plan.host, plan.recorder, plan.limits, preload=plan.preload, engine=plan.engine,
            overrides=plan.overrides,
        )  # fmt: skip
        if at > 0:
            running.on_done(pipes[at - 1][0].close)
        if at < len(pipes):
            running.on_done(pipes[at][1].close)
        runs.append(running)
    outcomes = {}
    try:
        for plan, running in zip(plans, runs, strict=True):
            outcome = outcomes[plan.name] = plan.pump.serve(running)
            if outcome.kind == "interrupt":
                _interrupt(runs)
    except BaseException:
        _interrupt(runs)
        raise
    joints = [
        Joint(
            before.name, after.name, writer.moved, writer.moved - reader.moved, writer.waits, writer.waited_ns,
            reader.waits, reader.waited_ns,
        )
        for (before, after), (reader, writer) in zip(pairwise(plans), pipes, strict=True)
    ]  # fmt: skip
    return outcomes, joints


def _interrupt(runs: Sequence[Running]) -> None:
    for running in runs:
        running.interrupt()


def _stand_in(host: Host, fd: int, file: File, lacks: int) -> None:
    """Replace a standard stream by an end of a pipe."""
    former = host.fds.entries.get(fd)
    if former is not None:
        host.fds.close(former)
    name = "<stdout>" if fd else "<stdin>"
    usual = r.of_type(file.filetype) & ~lacks
    host.fds.open(Descriptor(file, usual, 0, name, strict=host.strict, owned=False), fd)
