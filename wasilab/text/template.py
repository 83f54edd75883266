"""A command-line word whose `{expression}` values are kept separate from the text around them.

In `{folder}::/data:ro` the colons are separators. A colon in the value of `folder` is not: it is part of a name. Code
that splits the word splits `pattern`, and fills in the values afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Template:
    """A word with a placeholder for each value, and the function that fills in the values.

    A placeholder consists of private-use characters and digits, so it has no separator. `Template("text")` is plain
    text.
    """

    pattern: str
    fill: Callable[[str], str] = str

    def __str__(self) -> str:
        """The word with its values filled in."""
        return self.fill(self.pattern)
