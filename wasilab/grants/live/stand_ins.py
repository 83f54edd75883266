"""The stand-ins that a guest holds in ask mode for what it was not granted; they ask before use.

The directory that asks is in `ask_paths.py`, the decision in `ask.py`. In a confined process, both are the parent's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast

from ...capabilities.clocks import Clock, Clocks
from ...capabilities.protocols import Buffers, Directory, File
from ...capabilities.random import Random, RandomSource
from ..guest_paths import ROOTS
from .capabilities import CLOCKS, RunCapabilities

Use = Callable[[str], None]
"""Returns if the guest may use the thing of this name (`ask.USES`), else raises `Refused`."""


def stand_ins(
    use: Use,
    everywhere: Callable[[], Directory],
    held: RunCapabilities,
    streams: Mapping[str, Callable[[], File | None]],
) -> RunCapabilities:
    """`held` with a stand-in that asks for everything that was not granted.

    `everywhere` makes the directory that asks for every path, `streams` make the standard ones.
    """
    preopens: dict[str, Directory] = dict(held.preopens)
    if not any(root in preopens for root in ROOTS):
        preopens["/"] = everywhere()
    clocks, random = held.clocks, held.random
    if clocks.spec == "none":
        real = Clocks.real()
        clocks = Clocks(*(AskClock(use, getattr(real, kind)) for kind in CLOCKS), spec="custom")
    if getattr(random, "spec", "") == "none":
        random = AskRandom(use)
    made = {name: make() for name, make in streams.items() if getattr(held, name) is None}
    standard = {name: stream_stand_in(use, name, stream) for name, stream in made.items() if stream is not None}
    return replace(
        held,
        preopens=preopens,
        clocks=clocks,
        random=random,
        stdin=standard.get("stdin", held.stdin),
        stdout=standard.get("stdout", held.stdout),
        stderr=standard.get("stderr", held.stderr),
    )


def stream_stand_in(use: Use, name: str, stream: File) -> File:
    """A standard stream that asks before use."""
    return cast(File, AskFile(stream, lambda: use(name)))


class AskClock:
    """A real clock that asks before it tells the time."""

    virtual = False

    def __init__(self, use: Use, clock: Clock) -> None:
        self._use = use
        self._clock = clock

    def resolution(self) -> int:
        self._use("clocks")
        return self._clock.resolution()

    def now(self) -> int:
        self._use("clocks")
        return self._clock.now()

    def advance_to(self, deadline: int) -> None:
        self._use("clocks")


class AskRandom(Random):
    """The system's randomness, once allowed."""

    def __init__(self, use: Use) -> None:
        self._use = use
        self._source: RandomSource = Random.real()

    def fill(self, buffer: memoryview) -> None:
        self._use("random")
        self._source.fill(buffer)


class AskFile:
    """A stream whose `read`, `write` and polling ask first; everything else is passed through."""

    def __init__(self, stream: File, ask: Callable[[], None]) -> None:
        self.stream = stream
        """The stream itself."""
        self._ask = ask
        self.filetype = stream.filetype

    def read(self, buffers: Buffers) -> int:
        self._ask()
        return self.stream.read(buffers)

    def write(self, buffers: Buffers) -> int:
        self._ask()
        return self.stream.write(buffers)

    def fileno(self) -> int | None:
        self._ask()
        return self.stream.fileno()

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)
