"""`Grants`: everything that a guest is given, as one value that can be read, compared, printed and saved.

A grant is a name and a capability object; what is not named here does not exist for the guest. The value is frozen: the
panel, the flags of a cell and a policy file all build new ones. Its fields are in `value.py`, its forms in `forms/`;
`advice/compare.py` shows what a run used.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Self

from .excess import excess
from .forms.flags import to_flags
from .forms.json import from_value, to_value
from .forms.python import to_python
from .forms.toml import merge_files, save, to_toml
from .value import GrantValue


class Grants(GrantValue):
    """What a guest is given. `Grants()` is the default; `Grants.nothing()` is nothing at all.

    The default holds argv, stdout, stderr, an empty stdin, real clocks and real randomness, because almost every
    language's runtime needs them before `main`. Directories, environment variables and sockets must be
    granted explicitly. Two values are equal when they give the same things.
    """

    def __repr__(self) -> str:
        """A Python expression for it; large contents of a directory in memory are omitted."""
        return to_python(self, contents=200)

    def to_flags(self) -> list[str]:
        """The same grants as command-line flags; raises `GrantError` for what only Python can express."""
        return to_flags(self)

    def to_toml(self) -> str:
        """The same grants as a policy file."""
        return to_toml(self)

    def to_python(self) -> str:
        """The same grants as a Python expression."""
        return to_python(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a policy file (TOML)."""
        save(self, path)

    def to_value(self) -> dict[str, object]:
        """The same grants as a dict of JSON values, without loss (`forms/json.py`): folders in memory with their
        contents, folders of the host by path, device and inode. Raises `GrantError` for what it cannot hold."""
        return to_value(self)

    @classmethod
    def from_value(cls, value: object, *, same_folders: bool = True) -> Self:
        """The grants that `to_value` wrote. Raises `GrantError` for anything else, and if a host folder is gone
        or, with `same_folders`, was replaced."""
        return from_value(value, cls, same_folders=same_folders)

    def covers(self, other: GrantValue) -> bool:
        """Whether `other` gives nothing that these do not; folders in memory are not compared by their contents."""
        return not excess(other, self)

    def __reduce__(self) -> tuple[Callable[..., Grants], tuple[object, ...]]:
        """Pickled by value: unpickling reopens the folders. Raises `GrantError` for what has no value."""
        return type(self).from_value, (self.to_value(),)

    @classmethod
    def load(cls, *paths: str | os.PathLike[str]) -> Self:
        """Read policy files; a later file adds to and overrides the earlier ones."""
        return merge_files(cls(), paths)
