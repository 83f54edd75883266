"""What does this module do? A first look at an unknown module: its imports, and an isolated run without grants."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ... import grants as granting
from ...capabilities.memory.memdir import MemDir
from ...engine.limits import MIB, Limits
from ...grants.grants import Grants
from ...grants.value import GrantError
from ...module.module import ModuleError
from ...text.numbers import duration
from ...views.explore.exploration_html import exploration_bundle, exploration_page
from ...views.explore.exploration_text import exploration_text
from ...views.explore.explored import Explored
from ..prepare import Program, load_program
from ..run import Run
from ..runner import run as run_program

SECONDS = 5.0
"""Seconds that the first run may take."""
ROOT = "/"
"""The guest path of the empty folder, below which a C library looks for every path."""


class Exploration(Explored):
    """What was found out about a module. In a notebook it is a page; `print` it, or write it with `to_html`."""

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the page: one self-contained HTML file."""
        Path(path).write_text(exploration_page(self), encoding="utf-8")

    def __str__(self) -> str:
        return exploration_text(self)

    __repr__ = __str__

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return exploration_bundle(self)


def exploration_limits(seconds: float = SECONDS) -> Limits:
    """The limits of the first run: small, for an unknown module."""
    return Limits(
        memory=256 * MIB, seconds=seconds, fds=64, bytes_written=16 * MIB, output=MIB, trace=32 * MIB, io=4 * MIB,
        table_elements=1_000_000, instances=16, names=2000, compile_seconds=60.0, compile_memory=1024 * MIB,
    )  # fmt: skip


def explore(
    program: Program, args: Sequence[str] = (), *, seconds: float = SECONDS, file: str | None = None
) -> Exploration:
    """What a module can ask for, and what it does in a first run of at most `seconds` without any grant.

    The run is always isolated: in a process of its own, with small limits, an empty folder in memory as "/", no
    environment, no input, no network, a clock that stands still and the same random bytes each time. A module that
    cannot be run so is described without a run; `problem` says why. `file` is what the module is its name in the next
    command. Raises `ModuleError` if it is not a module.
    """
    module = load_program(program)
    words, called = tuple(args), file or module.name
    grants = granting.learn.rehearsal(Grants(dirs={ROOT: MemDir()}, limits=exploration_limits(seconds)))
    try:
        done = run_program(module, words, grants, isolate=True, stacks=200)
    except (GrantError, ModuleError) as error:
        return Exploration(module, words, None, None, str(error), called)
    return Exploration(module, words, done, granting.learn.lesson(done, grants), _problem(done, seconds), called)


def _problem(done: Run, seconds: float) -> str:
    """Notes on the run in addition to its verdict."""
    if done.outcome.kind == "limit":
        return f"The first run has small limits ({duration(seconds * 1e9)}, 256 MiB); with more it may go on."
    if done.outcome.kind == "error":
        return "It could not be run, so only its imports are known."
    return ""
