"""A word in which the values of expressions stand apart from what was written around them.

In `{folder}::/data:ro` the colons are the writer's. A colon in the value of `folder` is not: it is part of a name.
Whoever takes the word apart does so on `pattern`, and fills the pieces afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Template:
    """A word as written, with a mark in place of each value, and the function that puts the values in.

    A mark is of private-use characters and digits, so that no separator is in it. `Template("text")` is plain text.
    """

    pattern: str
    fill: Callable[[str], str] = str

    def __str__(self) -> str:
        """The word with its values."""
        return self.fill(self.pattern)
