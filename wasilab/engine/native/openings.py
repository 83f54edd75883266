"""Files that the library opens and closes: how it learns to open them, and how Python is informed.

Python does the first `path_open` of a kind. If that opens a regular host file, `Recipes.learn` stores a recipe: with
the same arguments on the same directory the library opens the next file itself. A recipe holds the results of Python's
rules, not the rules; a change of a directory's rights invalidates its recipes (`slots.py`).

The library logs the files it opens as `Opened` entries, which Python takes over when it next runs.
"""

from __future__ import annotations

import ctypes
import os
import posixpath
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from ...capabilities.host.folder import HostFolder, open_flags
from ...capabilities.host.hostdir import HostDir
from ...capabilities.host.hostfile import HostFile
from ...capabilities.interpose import DIRECTORY_OPERATIONS, PassThrough, look_through
from ...capabilities.protocols import FileType, OpenHow
from ...trace.record.layout import Life
from ...wasi.fdtable import Descriptor, Withheld
from ...wasi.types import FDSTAT, Fdflags, Oflags
from ...wasi.types import Rights as R
from .binding import Library
from .layouts import OPENED, RECIPES, STILL_OPEN, Opened, Recipe, RunState, Slot
from .trace_buffer import NativeBlock

T = TypeVar("T")
_ENTRY = struct.Struct("<QQIIIIIIii")
assert _ENTRY.size == ctypes.sizeof(Opened)
_DIRECTORY_COLUMN = 7
"""Index of `directory` among an entry's 32-bit words."""
_CREAT, _TRUNC = int(Oflags.CREAT), int(Oflags.TRUNC)
_READ_WRITE = int(R.FD_READ | R.FD_WRITE)
_ALL = (1 << 63) - 1
_OPERATIONS = frozenset(DIRECTORY_OPERATIONS)


@dataclass(frozen=True)
class Passage:
    """The context in which a descriptor was opened: the gates before its object, and the rights that its grant
    withholds."""

    gates: tuple[PassThrough, ...]
    withheld: Withheld

    def rights(self) -> int:
        """Its current rights."""
        return _ALL & ~self.withheld.revoked if all(gate.is_open() for gate in self.gates) else 0

    def wrap(self, thing: T) -> T:
        """Wrap `thing` in the gates of this context."""
        for gate in reversed(self.gates):
            thing = gate.wrap(thing)
        return thing


class OpenedFile(NamedTuple):
    """One file that the library opened; see `Opened`."""

    began: int
    ended: int
    life: int
    fd: int
    generation: int
    directory: int
    path: int
    recipe: int
    host: int
    error: int


class OpenedFiles:
    """Some log entries, and the paths of their directories by life."""

    def __init__(self, raw: bytes, directories: Mapping[int, Descriptor]) -> None:
        self._raw = raw
        named = set(memoryview(raw).cast("I")[_DIRECTORY_COLUMN :: _ENTRY.size // 4])
        self._directories = {life: directories[life].path for life in named if life in directories}

    def __len__(self) -> int:
        return len(self._raw) // _ENTRY.size

    def nbytes(self) -> int:
        """Its size in bytes."""
        return len(self._raw) + 100 * len(self._directories)

    def entries(self) -> Iterator[OpenedFile]:
        """The entries in order of opening."""
        return map(OpenedFile._make, _ENTRY.iter_unpack(self._raw))

    def path(self, entry: OpenedFile, name: bytes) -> str:
        """The full guest path of a file; `name` is the path with which it was opened."""
        return posixpath.normpath(f"{self._directories.get(entry.directory, '').rstrip('/')}/{name.decode()}")

    def lives(self, paths: list[bytes], *, closed: bool) -> list[Life]:
        """The closed files, or the open ones, in the trace's form."""
        wanted = (entry for entry in self.entries() if (entry.ended != STILL_OPEN) == closed)
        names = dict(enumerate(paths, 1))
        return [opened_life(entry, self.path(entry, names.get(entry.path, b""))) for entry in wanted]


def opened_life(entry: OpenedFile, path: str) -> Life:
    """A file that the library opened, in the trace's form."""
    closed = -1 if entry.ended == STILL_OPEN else entry.ended
    raw = path.encode("utf-8", "surrogateescape")
    return Life(entry.life, entry.fd, entry.generation, raw, int(FileType.REGULAR_FILE), entry.began, closed)


def open_folder(thing: object) -> HostFolder | None:
    """The open folder of the host that a directory is; None for anything else, and for one with methods of its own."""
    if type(thing) is HostDir and thing.mode != "copy" and _OPERATIONS.isdisjoint(thing.__dict__):
        thing = thing.fresh()
    return thing if type(thing) is HostFolder else None


class Log:
    """The library's log, shared with `state`."""

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._block = NativeBlock(ctypes.sizeof(Opened) * OPENED)
        state.opened = self._block.address

    def read(self, directories: Mapping[int, Descriptor]) -> OpenedFiles:
        """Its current entries; from any thread."""
        return OpenedFiles(self._block.read(_ENTRY.size * self._state.nopened), directories)

    def still_open(self) -> list[tuple[int, ...]]:
        """The current entries of files that are open, with the items of an `OpenedFile`."""
        raw = self._block.read(_ENTRY.size * self._state.nopened)
        return [entry for entry in _ENTRY.iter_unpack(raw) if entry[1] == STILL_OPEN]


class Recipes:
    """The library's recipes for opening files, shared with `state`."""

    def __init__(self, library: Library, state: RunState) -> None:
        self._library = library
        self._block = NativeBlock(ctypes.sizeof(Recipe) * RECIPES)
        self._table = (Recipe * RECIPES).from_address(self._block.address)
        self._learned: dict[int, tuple[OpenHow, bool, int, int, int]] = {}
        # index of a recipe -> how Python opened the file, in a folder that can be written, rights, inheriting, fdflags
        self._keys: dict[int, tuple[int, ...]] = {}  # index of a recipe -> what it is for
        self._indices: dict[tuple[int, ...], int] = {}  # the reverse
        state.recipes = self._block.address

    def learn(self, directory: Descriptor, slot: Slot, opened: Descriptor, arguments: tuple[int, ...]) -> None:
        """Let the library open files in `directory` (in `slot`) as Python opened the file `opened`.

        `arguments`: dirflags, oflags, rights, inheriting rights and fdflags, as the guest gave them.
        """
        key = (directory.life, slot.grant, *arguments)
        if key in self._indices:
            return
        dirflags, oflags, base, inheriting, fdflags = arguments
        file, folder = look_through(opened.object)[0], open_folder(look_through(directory.object)[0])
        if folder is None or type(file) is not HostFile or file.how.exclusive or fdflags & ~int(Fdflags.APPEND):
            return
        asks = int(R.PATH_OPEN)
        asks |= int(R.PATH_CREATE_FILE) if oflags & _CREAT else 0
        asks |= int(R.PATH_FILESTAT_SET_SIZE) if oflags & _TRUNC else 0
        recipe = Recipe(
            base, inheriting, directory.life, slot.grant, dirflags, oflags, fdflags, 0, asks & directory.allowed,
            asks | base & _READ_WRITE, opened.allowed,
        )  # fmt: skip
        recipe.fdstat[:] = FDSTAT.pack(opened.filetype, opened.fdflags, opened.rights, opened.inheriting)
        recipe.flags = open_flags(file.how) & ~os.O_CREAT  # it opens existing files; Python creates new ones
        recipe.append = file.how.append
        place = int(self._library.recipe(ctypes.byref(recipe)))
        self._table[place] = recipe
        if place in self._keys:
            del self._indices[self._keys[place]]
        self._keys[place], self._indices[key] = key, place
        self._learned[place] = file.how, folder.writable, opened.rights, opened.inheriting, opened.fdflags

    def reopened(
        self, recipe: int, host: int, error: int, directory: Descriptor, path: str, passage: Passage
    ) -> tuple[HostFile, Descriptor]:
        """The file that the library opened in `directory`, and its descriptor, equal to one made by `path_open`."""
        how, writable, rights, inheriting, fdflags = self._learned[recipe]
        file = ClosedWithError(error, how, writable) if error else HostFile(host, how, writable)
        opened = passage.wrap(file) if passage.gates else file
        return file, Descriptor(opened, rights, inheriting, path, directory.strict, fdflags, directory.withheld)


class ClosedWithError(HostFile):
    """A file whose descriptor the library closed with a system error: closing it raises that error."""

    __slots__ = ("_error",)

    def __init__(self, error: int, how: OpenHow, writable: bool) -> None:
        super().__init__(-1, how, writable)
        self._error = error

    def close(self) -> None:
        error, self._error = self._error, 0
        if error:
            raise OSError(error, os.strerror(error))
