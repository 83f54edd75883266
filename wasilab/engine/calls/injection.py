"""Injects faults into WASI calls by rules: an error, a short read or write, a delay, a flipped bit.

`Injection` takes the place of a call's override (`overrides.py`) and flags the calls that it changed as INJECTED. A
rule has a counter and a random generator for one run: make new rules for each run. The syntax is in `grants/faults.py`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from ...capabilities.waiting import Interrupt, Interrupted
from ...trace.record.layout import Flag
from ...wasi.errnos import Errno, WasiError
from ...wasi.fdtable import Descriptor
from ...wasi.preview1 import signature as sig
from ...wasi.preview1.signature import Call

Argument = Any
"""A decoded argument or result of a call."""

_ENDLESS = 1 << 62


@dataclass(slots=True)
class FaultRule:
    """One fault in one run."""

    words: str
    """The fault as the user wrote it, for the reason in the trace."""
    errno: Errno | None = None
    short: int | None = None
    """Maximum bytes that the call may move."""
    delay: float = 0.0
    """Delay before the call, in seconds."""
    flip: bool = False
    """Whether a bit of the data is flipped."""
    first: int = 1
    last: int = _ENDLESS
    step: int = 1
    """Which matching calls, counted from 1: `first` to `last` in steps of `step`."""
    path: str | None = None
    """A pattern that the path of the call, or of its descriptor, has to match."""
    probability: float = 1.0
    seed: int = 0
    count: int = 0
    """Calls that matched so far."""
    lots: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self.lots.seed(self.seed)

    def applies(self, path: str) -> bool:
        """Count a call on `path`; return whether it gets the fault."""
        if self.path is not None and not fnmatchcase(path, self.path):
            return False
        self.count += 1
        if not self.first <= self.count <= self.last or (self.count - self.first) % self.step:
            return False
        return self.probability >= 1 or self.lots.random() < self.probability


class Injection:
    """Answers one call with the faults of `rules`, which other calls may share. Without a fault, `inner` answers: an
    override of the same call."""

    def __init__(
        self, call: Call, rules: Sequence[FaultRule], interrupt: Interrupt, inner: Callable[..., Argument] | None = None
    ) -> None:
        self._rules = rules
        self._interrupt = interrupt
        self._inner = inner
        self._moves = next((p.type.kind for p in call.arguments if p.type.kind in _DATA), None)
        self._place = next((at for at, p in enumerate(call.arguments) if p.type.kind == self._moves), 0)
        self._injected = False

    def flags(self, usual: int) -> int:
        """The flags of the last answered call; `usual` are those of an override."""
        kept = usual if self._inner is not None else 0
        return kept | int(Flag.INJECTED) if self._injected else kept

    def __call__(self, original: Callable[..., Argument], *arguments: Argument) -> Argument:
        self._injected = False
        path = _path_of(arguments)
        flip: FaultRule | None = None
        given = list(arguments)
        for rule in self._rules:
            if not rule.applies(path):
                continue
            if rule.delay:
                self._injected = True
                if self._interrupt.wait(rule.delay):
                    raise Interrupted
            if rule.errno is not None:
                self._injected = True
                raise WasiError(rule.errno, f"a fault was injected: {rule.words}")
            if rule.short is not None and self._moves is not None:
                before = given[self._place]
                given[self._place] = _cut(before, rule.short)
                self._injected |= _room(given[self._place]) < _room(before)
            flip = rule if rule.flip and self._moves is not None else flip
        if flip is not None and self._moves == sig.CIOVECS:
            given[self._place] = self._changed(given[self._place], flip)
        answer = original(*given) if self._inner is None else self._inner(original, *given)
        if flip is not None and self._moves != sig.CIOVECS:
            buffers = given[self._place]
            moved = answer[0] if isinstance(answer, tuple) else answer if isinstance(answer, int) else _room(buffers)
            self._turn_a_bit(buffers if isinstance(buffers, list) else [buffers], moved, flip)
        return answer

    def _changed(self, buffers: list[memoryview], rule: FaultRule) -> list[memoryview]:
        """A copy of the data to write with one bit flipped; the guest's memory does not change."""
        copies = [memoryview(bytearray(buffer)) for buffer in buffers]
        self._turn_a_bit(copies, _room(copies), rule)
        return copies

    def _turn_a_bit(self, buffers: list[memoryview], moved: int, rule: FaultRule) -> None:
        at = rule.lots.randrange(moved) if moved > 0 else -1
        for buffer in buffers:
            if 0 <= at < len(buffer):
                buffer[at] ^= 1 << rule.lots.randrange(8)
                self._injected = True
                return
            at -= len(buffer)


_DATA = (sig.IOVECS, sig.CIOVECS, sig.OUTBUF)


def _path_of(arguments: Sequence[Argument]) -> str:
    """The guest path that a call works on, if its arguments tell."""
    base = next((argument.path for argument in arguments if isinstance(argument, Descriptor)), "")
    name = next((argument for argument in arguments if isinstance(argument, bytes)), None)
    if name is None:
        return str(base)
    return f"{base.rstrip('/')}/{name.decode('utf-8', 'surrogateescape')}" if base else name.decode("utf-8", "replace")


def _room(buffers: Argument) -> int:
    return sum(map(len, buffers)) if isinstance(buffers, list) else len(buffers)


def _cut(buffers: Argument, size: int) -> Argument:
    if not isinstance(buffers, list):
        return buffers[:size]
    kept = []
    for buffer in buffers:
        if size <= 0:
            break
        kept.append(buffer[:size])
        size -= len(buffer)
    return kept
