"""Objects that stand for something of this process, of which no second one can be made by copying.

For: capabilities that hold a descriptor, a socket or a lock. Python would copy or pickle the bare number, which names
something else in another process and is closed twice in this one.
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
        return "it holds an open object of this process; make a new one where it is needed"
