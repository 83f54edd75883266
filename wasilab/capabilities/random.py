"""A guest's random source: the system's, a seeded one, or none.

`Random` is the value that grants hold. A seeded source gives the same bytes for the same seed on every machine, however
the guest splits its requests; it is for repeatable runs, never for keys.
"""

from __future__ import annotations

import errno
import hashlib
import os
from typing import Protocol, runtime_checkable

from .refusal import Need, NeedKind, Refused

CHUNK = 1 << 20
"""Bytes generated at a time (1 MiB), so that a large request needs little host memory."""


@runtime_checkable
class RandomSource(Protocol):
    """Something that fills a buffer with random bytes."""

    def fill(self, buffer: memoryview) -> None:
        """Overwrite all of `buffer` (bytes, writable)."""


class Random:
    """The random sources that come with wasilab, and their names: `real()`, `seeded(n)`, `nothing()`.

    Two are equal if their `spec` is. A seeded source has state: `fresh()` returns it in its initial state for one run.
    """

    spec: str = "custom"
    """The textual form: "real", "seeded:1", "none"; "custom" for a subclass of your own."""

    @property
    def kind(self) -> str:
        """The part of `spec` before the colon."""
        return self.spec.partition(":")[0]

    @staticmethod
    def real() -> Random:
        """The operating system's randomness."""
        return SystemRandom()

    @staticmethod
    def seeded(seed: int = 0) -> Random:
        """The same bytes in every run: a hash of `seed` (any integer) in counter mode."""
        return SeededRandom(seed)

    @staticmethod
    def nothing() -> Random:
        """No randomness: a request for it is refused."""
        return NoRandom()

    @staticmethod
    def parse(spec: str) -> Random:
        """The source that `spec` names, e.g. "seeded:1". `ValueError` lists the choices."""
        kind, colon, text = spec.strip().partition(":")
        if not colon and kind in ("real", "none"):
            return SystemRandom() if kind == "real" else NoRandom()
        if kind == "seeded":
            try:
                return SeededRandom(int(text) if colon else 0)
            except ValueError:
                raise ValueError(f"random {spec!r}: the seed must be a whole number, as in seeded:1") from None
        raise ValueError(f"unknown random source {spec!r}: use real, seeded:N or none")

    def fresh(self) -> Random:
        """This source in its initial state, for one run."""
        return self

    def fill(self, buffer: memoryview) -> None:
        """Overwrite all of `buffer` with random bytes."""
        raise Refused(errno.EPERM, "no randomness is granted", need=Need(NeedKind.RANDOM), notcapable=True)

    def __eq__(self, other: object) -> bool:
        if self.spec == "custom" or not isinstance(other, Random):
            return self is other
        return self.spec == other.spec

    def __hash__(self) -> int:
        return hash(self.spec)

    def __repr__(self) -> str:
        if self.spec == "custom":
            return object.__repr__(self)
        kind, _, rest = self.spec.partition(":")
        return f"Random.{'nothing' if kind == 'none' else kind}({rest})"


class NoRandom(Random):
    """A random source that was not granted."""

    spec = "none"


class SystemRandom(Random):
    """The operating system's cryptographic randomness (getrandom(2))."""

    spec = "real"

    def fill(self, buffer: memoryview) -> None:
        size = len(buffer)
        if size <= CHUNK:
            buffer[:] = os.urandom(size)
            return
        for start in range(0, size, CHUNK):
            buffer[start : start + CHUNK] = os.urandom(min(CHUNK, size - start))


class SeededRandom(Random):
    """SHAKE-128 of the seed and a block number: a byte stream that depends on nothing else."""

    _BLOCK = 4096

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.spec = f"seeded:{seed}"
        self._block = 0
        self._rest = memoryview(b"")

    def fresh(self) -> Random:
        return SeededRandom(self.seed)

    def fill(self, buffer: memoryview) -> None:
        done, size = 0, len(buffer)
        while done < size:
            if not self._rest:
                text = f"wasilab seeded random {self.seed} {self._block}".encode()
                self._rest = memoryview(hashlib.shake_128(text).digest(self._BLOCK))
                self._block += 1
            piece = self._rest[: size - done]
            buffer[done : done + len(piece)] = piece
            self._rest = self._rest[len(piece) :]
            done += len(piece)
