"""Strings that a guest can be given to read: its arguments, its environment.

A guest reads them in two calls: it asks how many there are and how large, makes room, and asks for the strings. They
must not grow in between, so `GivenStrings` refuses the second call if they were changed after the first.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from typing import Protocol, runtime_checkable

from .refusal import DeniedBy, Refused


@runtime_checkable
class Strings(Protocol):
    """A list of byte strings without NUL, as a capability."""

    def sizes(self) -> tuple[int, int]:
        """How many there are, and their bytes with a NUL after each."""

    def get(self) -> list[bytes]:
        """The strings, as many and as large as the last `sizes()` said."""


class GivenStrings:
    """Strings that their owner may replace (`put`, from any thread) while the guest runs.

    Raises `ValueError` for a string with a NUL byte.
    """

    def __init__(self, strings: Iterable[bytes] = ()) -> None:
        self._strings: tuple[bytes, ...] = ()
        self._announced: tuple[bytes, ...] | None = None
        self.before_change: Callable[[], object] | None = None
        """Called by `put` while the former strings are still given."""
        self.put(strings)

    def put(self, strings: Iterable[bytes]) -> None:
        """Replace the strings."""
        given = tuple(strings)
        for text in given:
            if b"\0" in text:
                raise ValueError(f"{text!r} holds a NUL byte, which ends a string for the guest; remove it")
        if self.before_change is not None:
            self.before_change()
        self._strings = given

    def current(self) -> tuple[bytes, ...]:
        """The strings as they are now, for their owner: nothing is announced by looking."""
        return self._strings

    def sizes(self) -> tuple[int, int]:
        strings = self._announced = self._strings
        return len(strings), sum(map(len, strings)) + len(strings)

    def get(self) -> list[bytes]:
        strings = self._strings
        if self._announced is not None and self._announced != strings:
            raise Refused(
                errno.EPERM,
                "they were changed after the guest asked for their size, so they may no longer fit the room it made",
                DeniedBy.REVOKED,
                notcapable=True,
            )
        return list(strings)
