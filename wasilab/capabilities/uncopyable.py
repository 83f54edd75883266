"""A base class for objects that hold a resource of this process and therefore cannot be copied.

For: capabilities with a descriptor, a socket or a lock. Python would copy or pickle the bare number, which means
something else in another process and would be closed twice in this one.
"""

from __future__ import annotations

from typing import NoReturn


class Uncopyable:
    """A base class whose objects refuse `copy.copy`, `copy.deepcopy` and `pickle` with one sentence (`TypeError`)."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"{self!r} cannot be copied or pickled: {self._instead()}")

    def _instead(self) -> str:
        """Why, and what to do instead."""
        return "it holds an open resource of this process; create a new one where it is needed"
