"""The strings that a guest reads: its arguments and environment.

A guest reads them in two calls: it asks for their number and size, allocates memory, and asks for the strings. They
must not grow in between, so `GivenStrings` refuses the second call if they were changed after the first one.
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
        """Their number, and their total size in bytes with a NUL after each."""

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
        """Called by `put` before the strings are replaced."""
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
        """The current strings, for their owner: this does not count as a call of `sizes`."""
        return self._strings

    def sizes(self) -> tuple[int, int]:
        strings = self._announced = self._strings
        return len(strings), sum(map(len, strings)) + len(strings)

    def get(self) -> list[bytes]:
        strings = self._strings
        if self._announced is not None and self._announced != strings:
            raise Refused(
                errno.EPERM,
                "they were changed after the guest asked for their size, so they may no longer fit its buffer",
                DeniedBy.REVOKED,
                notcapable=True,
            )
        return list(strings)
