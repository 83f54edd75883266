"""A host folder as a grant: a path and a mode.

`mode` is the policy of the whole tree: "ro", "rw", or "copy" (the guest works on a copy in memory). `fresh()` makes the
object that a run holds: the open folder (`folder.py`) or a new copy of it (`copydir.py`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from .. import host, memory
from ..memory.memdir import MAX_NAMES
from ..protocols import Directory, Entry, File, FileType, OpenHow, Stat
from ..refusal import Refused
from ..uncopyable import Uncopyable
from .features import DEFAULT_MODE, HAS_DIR_FD, READ_DIRECTORY, Mode
from .folder import MAX_COPY, BadFolder, HostFolder
from .resolve import refuse_procfs


class HostDir(Uncopyable):
    """The host folder `path` (a leading "~" is expanded; a link is followed only here, where the folder is named).

    `mode`: "ro" (the default) lets a guest read, "rw" change, "copy" change a copy in memory whose differences can be
    inspected and applied. `max_bytes` and `max_names` bound such a copy. On Windows only "copy" is available, and is
    the default. Raises `BadFolder` if the folder is missing, is a file, or cannot be opened by you.

    It is a `Directory` itself. Its operations are those of the folder or, in mode "copy", of a copy that is made at the
    first use. `close()` does nothing, so a grant serves many runs; the descriptor is closed with the object. Two are
    equal when they name the same folder in the same mode.
    """

    filetype = FileType.DIRECTORY
    lasting = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        mode: Mode = DEFAULT_MODE,
        *,
        max_bytes: int = MAX_COPY,
        max_names: int = MAX_NAMES,
    ) -> None:
        if mode not in ("ro", "rw", "copy"):
            raise BadFolder(f"unknown mode {mode!r} of the folder {os.fspath(path)!r}: use ro, rw or copy")
        self.path = os.fspath(path)
        """The folder's path as given."""
        self.mode: Mode = mode
        self.writable = mode != "ro"
        try:
            self.real = os.path.realpath(os.path.expanduser(self.path)) if "\0" not in self.path else self.path
            """Its absolute path, with links resolved when it was granted."""
        except OSError as error:  # a relative path, and the working directory is gone
            raise BadFolder(f"cannot grant the folder {self.path!r}: {_why(error)}") from None
        self.is_link = os.path.islink(os.path.expanduser(self.path).rstrip("/"))
        """Whether `path` named a link when it was granted; `real` is then what the link leads to."""
        self.max_bytes = max_bytes
        """The maximum bytes of a copy."""
        self.max_names = max_names
        """The maximum names of a copy."""
        self._folder = self._open()
        self._held: HostFolder | host.copydir.CopyDir | None = None if mode == "copy" else self.fresh()
        """The object that its own operations use; a copy is made at the first use."""

    def _open(self) -> HostFolder | host.plainfolder.PlainFolder:
        if HAS_DIR_FD:
            return HostFolder(self._open_descriptor(), self.path, writable=self.mode == "rw", granted=True)
        if self.mode != "copy":
            raise BadFolder(
                f"cannot grant the folder {self.path!r} as {self.mode}: on this system a program cannot be confined to "
                "a folder while others change it; grant it as copy, and apply its changes if you want them"
            )
        try:
            folder = host.plainfolder.PlainFolder(self.real, self.path, writable=False)
            os.listdir(self.real)
        except (OSError, ValueError) as error:
            raise BadFolder(f"cannot grant the folder {self.path!r}: {_why(error)}") from None
        return folder

    def _open_descriptor(self) -> int:
        try:
            fd = os.open(self.real, READ_DIRECTORY)
        except (OSError, ValueError) as error:
            raise BadFolder(f"cannot grant the folder {self.path!r}: {_why(error)}") from None
        try:
            refuse_procfs(os.fstat(fd), fd)
            can = os.R_OK | os.X_OK | (os.W_OK if self.mode == "rw" else 0)
            effective = os.access in os.supports_effective_ids
            if not os.access(f"{self.real}/.", can, effective_ids=effective):
                lacking = "write to" if os.access(f"{self.real}/.", os.R_OK | os.X_OK) else "read"
                remedy = "grant it as ro or copy" if lacking == "write to" else "ask its owner for permission"
                raise BadFolder(
                    f"cannot grant the folder {self.path!r} as {self.mode}: you may not {lacking} it; {remedy}"
                )
        except Refused as error:
            os.close(fd)
            raise BadFolder(f"cannot grant the folder {self.path!r}: {error.reason}") from None
        except BadFolder:
            os.close(fd)
            raise
        return fd

    def fresh(self) -> HostFolder | host.copydir.CopyDir:
        """The object for one run: the open folder or, in mode "copy", a copy of its current contents.

        Raises `BadFolder` if the folder is too large to be copied.
        """
        if self.mode != "copy":
            assert isinstance(self._folder, HostFolder)
            return self._folder
        return host.copydir.CopyDir(self._folder, self.real, max_bytes=self.max_bytes, max_names=self.max_names)

    @property
    def identity(self) -> tuple[int, int]:
        """The device and inode of the open folder, which identify it even if its path leads elsewhere later."""
        stat = self._folder.stat()
        return stat.dev, stat.ino

    def _directory(self) -> HostFolder | host.copydir.CopyDir:
        if self._held is None:
            self._held = self.fresh()
        return self._held

    def changes(self) -> memory.Changes:
        """How the copy differs from the original, if this object itself was used as a directory.

        The changes of a run are in `run.changes`: each run has its own copy. Raises `ValueError` in another mode.
        """
        directory = self._directory()
        if not isinstance(directory, host.copydir.CopyDir):
            raise ValueError(f"only a folder granted as copy has changes; this one is granted as {self.mode}")
        return directory.changes()

    # -- the operations of a Directory ------------------------------------------------------------------------------

    @property
    def hidden(self) -> int:
        """The number of names that the last `list()` left out because they are not UTF-8."""
        return getattr(self._directory(), "hidden", 0)

    def open(self, path: str, how: OpenHow) -> File | Directory:
        return self._directory().open(path, how)

    def stat_path(self, path: str, follow: bool) -> Stat:
        return self._directory().stat_path(path, follow)

    def stat(self) -> Stat:
        return self._directory().stat()

    def list(self) -> list[Entry]:
        return self._directory().list()

    def mkdir(self, path: str) -> None:
        self._directory().mkdir(path)

    def rmdir(self, path: str) -> None:
        self._directory().rmdir(path)

    def unlink(self, path: str) -> None:
        self._directory().unlink(path)

    def symlink(self, target: str, path: str) -> None:
        self._directory().symlink(target, path)

    def readlink(self, path: str) -> str:
        return self._directory().readlink(path)

    @property
    def tells_replaced(self) -> bool:
        """As of every directory."""
        return getattr(self._directory(), "tells_replaced", False)

    def rename(self, path: str, target: Directory, target_path: str) -> bool | None:
        return self._directory().rename(path, target, target_path)

    def rename_from(self, source: Directory, path: str, target_path: str) -> bool | None:
        return self._directory().rename_from(_held(source), path, target_path)

    def link(self, path: str, target: Directory, target_path: str, follow: bool) -> None:
        self._directory().link(path, target, target_path, follow)

    def link_from(self, source: Directory, path: str, target_path: str, follow: bool) -> None:
        self._directory().link_from(_held(source), path, target_path, follow)

    def set_times(self, atim: int | None, mtim: int | None) -> None:
        self._directory().set_times(atim, mtim)

    def set_times_path(self, path: str, follow: bool, atim: int | None, mtim: int | None) -> None:
        self._directory().set_times_path(path, follow, atim, mtim)

    def sync(self) -> None:
        self._directory().sync()

    def close(self) -> None:
        return

    # -- the object -------------------------------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HostDir) and (self.real, self.mode) == (other.real, other.mode)

    def __hash__(self) -> int:
        return hash((self.real, self.mode))

    def __repr__(self) -> str:
        return f"HostDir({self.path!r}, mode={self.mode!r})"

    def _instead(self) -> str:
        return (
            f"it holds an open folder of this process; in the other process, create HostDir({self.path!r}, "
            f"mode={self.mode!r})"
        )


def copy_in_writable(dirs: Mapping[str, Directory]) -> tuple[str, str] | None:
    """(guest path of a copied folder, guest path of a writable one that contains the same folder), or None.

    A guest with both could change the original, to which the copy's changes are applied.
    """
    folders = [(guest, d) for guest, d in dirs.items() if isinstance(d, HostDir)]
    for guest, copied in folders:
        for other, writable in folders:
            inside = os.path.join(copied.real, "").startswith(os.path.join(writable.real, ""))
            if copied.mode == "copy" and writable.mode == "rw" and inside:
                return guest, other
    return None


def _held(source: Directory) -> Directory:
    """The directory behind a grant, so that two grants can rename and link between each other."""
    return source._directory() if isinstance(source, HostDir) else source


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "it does not exist; create it first, or choose another"
    if isinstance(error, NotADirectoryError):
        return "it is a file; grant the folder that contains it"
    if isinstance(error, PermissionError):
        return "you are not allowed to read it; ask its owner for permission, or choose another"
    return f"{error.strerror or error}" if isinstance(error, OSError) else f"{error}"
