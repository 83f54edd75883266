"""The stand-ins that a guest holds in ask mode for what it was not granted; they ask before use.

The directory that asks is in `ask_paths.py`, the decision in `ask.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from ...capabilities.clocks import Clock, Clocks
from ...capabilities.protocols import Buffers, Directory, File
from ...capabilities.random import Random, RandomSource
from ...capabilities.refusal import NeedKind
from ..guest_paths import ROOTS
from ..remedy import Remedy
from .ask import Asking
from .ask_paths import AskEverywhere
from .capabilities import CLOCKS, RunCapabilities


def stand_ins(
    asking: Asking, held: RunCapabilities, cwd: str | None = None, **streams: Callable[[], File | None]
) -> RunCapabilities:
    """`held` with a stand-in that asks for everything that was not granted; `streams` make the standard ones."""
    preopens: dict[str, Directory] = dict(held.preopens)
    asking.here = os.path.realpath(cwd or os.curdir)
    if not any(root in preopens for root in ROOTS):
        preopens["/"] = AskEverywhere(asking, asking.here)
    clocks, random = held.clocks, held.random
    if clocks.spec == "none":
        real = Clocks.real()
        clocks = Clocks(*(AskClock(asking, getattr(real, kind)) for kind in CLOCKS), spec="custom")
    if getattr(random, "spec", "") == "none":
        random = AskRandom(asking)
    made = {name: make() for name, make in streams.items() if getattr(held, name) is None}
    standard = {name: _stream(asking, name, stream) for name, stream in made.items() if stream is not None}
    return replace(
        held,
        preopens=preopens,
        clocks=clocks,
        random=random,
        stdin=standard.get("stdin", held.stdin),
        stdout=standard.get("stdout", held.stdout),
        stderr=standard.get("stderr", held.stderr),
    )


def _stream(asking: Asking, name: str, stream: File) -> File:
    verb = "read from" if name == "stdin" else "write to"
    remedy = Remedy(NeedKind(name))
    return cast(File, AskFile(stream, lambda: asking.require(f"{verb} {name}", name, "use", remedy)))


class AskClock:
    """A real clock that asks before it tells the time."""

    virtual = False

    def __init__(self, asking: Asking, clock: Clock) -> None:
        self._asking = asking
        self._clock = clock

    def _ask(self) -> None:
        self._asking.require("know the time", "clocks", "use", Remedy(NeedKind.CLOCK))

    def resolution(self) -> int:
        self._ask()
        return self._clock.resolution()

    def now(self) -> int:
        self._ask()
        return self._clock.now()

    def advance_to(self, deadline: int) -> None:
        self._ask()


class AskRandom(Random):
    """The system's randomness, once allowed."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._source: RandomSource = Random.real()

    def fill(self, buffer: memoryview) -> None:
        self._asking.require("draw random bytes", "random", "use", Remedy(NeedKind.RANDOM))
        self._source.fill(buffer)


class AskFile:
    """A stream whose `read`, `write` and polling ask first; everything else is passed through."""

    def __init__(self, stream: File, ask: Callable[[], None]) -> None:
        self._stream = stream
        self._ask = ask
        self.filetype = stream.filetype

    def read(self, buffers: Buffers) -> int:
        self._ask()
        return self._stream.read(buffers)

    def write(self, buffers: Buffers) -> int:
        self._ask()
        return self._stream.write(buffers)

    def fileno(self) -> int | None:
        self._ask()
        return self._stream.fileno()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)
