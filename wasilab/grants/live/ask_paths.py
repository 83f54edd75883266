"""A directory that asks for every path: it provides the host's files one at a time, as the user allows them.

Ask mode uses it for what was not granted. The guest learns nothing about the host before the answer: a refusal does not
reveal whether a file exists. After the answer the path is opened beneath its own folder, links in the last
component not followed, so that what is opened is what was asked for; the question names the place that links lead to.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat as modes
from dataclasses import replace

from ...capabilities.host.features import DEFAULT_MODE
from ...capabilities.host.hostdir import HostDir
from ...capabilities.paths import MAX_PATH, check_link_text, check_relative, fail
from ...capabilities.protocols import BaseDirectory, Directory, Entry, File, FileType, OpenHow, Stat
from ...capabilities.refusal import DeniedBy, Refused
from ..code_folders import code_at
from ..guest_paths import outside
from .ask import Access, Asking


class AskDirectory(BaseDirectory):
    """The host folder `host`, which asks before every use of a path in it."""

    writable = True
    asks = True

    def __init__(self, asking: Asking, host: str) -> None:
        self._asking = asking
        self._host = host

    def _locate(self, path: str, follow: bool) -> str:
        """The absolute host path that `path` leads to; refused where it leaves this folder."""
        if len(path.encode()) > MAX_PATH:
            raise fail(errno.ENAMETOOLONG)
        check_relative(path)
        joined = posixpath.join(self._host, path.rstrip("/") or ".")
        head, tail = posixpath.split(joined)
        whole = follow or tail in (".", "..")
        real = os.path.realpath(joined) if whole else posixpath.join(os.path.realpath(head), tail)
        root = self._host.rstrip("/") + "/"
        if not (real == self._host or real.startswith(root)):
            raise Refused(errno.EPERM, f"{path!r} leaves its directory {self._host!r}", DeniedBy.PATH)
        return real

    def _ask(self, verb: str, path: str, access: Access, *, follow: bool = False) -> tuple[HostDir, str]:
        """The folder that holds `path` and the name in it, once the user has allowed it."""
        real = self._locate(path, follow)
        folder, name = posixpath.split(real)
        grant = real if os.path.isdir(real) else folder
        wants = f"{verb} {real!r}"
        if access == "change" and (why := code_at(folder)):
            wants += f" (careful: {why})"
        self._asking.require(wants, real, access, self._asking.folder(grant, access))
        return _host_folder(folder, access), name or "."

    def open(self, path: str, how: OpenHow) -> File | Directory:
        check_relative(path)
        if path.rstrip("/") in ("", "."):
            return self
        access: Access = "change" if how.changes else "read"
        verb = "create or change" if how.changes else "open the folder" if how.directory else "read"
        real = self._locate(path, how.follow)
        folder, name = self._ask(verb, path, access, follow=how.follow)
        opened = folder.open(name, replace(how, follow=False))
        if opened.filetype is FileType.DIRECTORY:
            opened.close()
            return AskDirectory(self._asking, real)
        return opened

    def stat_path(self, path: str, follow: bool) -> Stat:
        check_relative(path)
        if path.rstrip("/") in ("", "."):
            return self.stat()
        folder, name = self._ask("look at", path, "read", follow=follow)
        return folder.stat_path(name, False)

    def list(self) -> list[Entry]:
        remedy = self._asking.folder(self._host, "read")
        self._asking.require(f"list the folder {self._host!r}", self._host, "read", remedy)
        return _host_folder(self._host, "read").list()

    def readlink(self, path: str) -> str:
        folder, name = self._ask("read the link", path, "read")
        return folder.readlink(name)

    def mkdir(self, path: str) -> None:
        folder, name = self._ask("create the folder", path, "change")
        folder.mkdir(name)

    def rmdir(self, path: str) -> None:
        folder, name = self._ask("remove the folder", path, "change")
        folder.rmdir(name)

    def unlink(self, path: str) -> None:
        folder, name = self._ask("delete", path, "change")
        folder.unlink(name)

    def symlink(self, target: str, path: str) -> None:
        check_link_text(target)
        folder, name = self._ask(f"create a link to {target!r} at", path, "change")
        folder.symlink(target, name)

    def rename(self, path: str, target: Directory, target_path: str) -> None:
        folder, name = self._ask("rename", path, "change")
        target.rename_from(folder, name, target_path)

    def rename_from(self, source: Directory, path: str, target_path: str) -> None:
        folder, name = self._ask("rename something to", target_path, "change")
        folder.rename_from(source, path, name)

    def link(self, path: str, target: Directory, target_path: str, follow: bool) -> None:
        folder, name = self._ask("give another name to", path, "change", follow=follow)
        target.link_from(folder, name, target_path, False)

    def link_from(self, source: Directory, path: str, target_path: str, follow: bool) -> None:
        folder, name = self._ask("give another name to a file:", target_path, "change")
        folder.link_from(source, path, name, follow)

    def set_times_path(self, path: str, follow: bool, atim: int | None, mtim: int | None) -> None:
        folder, name = self._ask("change the times of", path, "change", follow=follow)
        folder.set_times_path(name, False, atim, mtim)


class AskEverywhere(AskDirectory):
    """Everything that no other preopen holds: the current folder, then the host's root.

    A WASI program has no current folder of its own; which of the two it means by "etc/passwd" is decided by
    `learn.outside`, and the question shows the absolute path.
    """

    def __init__(self, asking: Asking, here: str) -> None:
        super().__init__(asking, here)

    def _locate(self, path: str, follow: bool) -> str:
        check_relative(path)
        place = outside(posixpath.normpath(path), self._host)
        if place is None:
            return super()._locate(path, follow)
        return AskDirectory(self._asking, "/")._locate(place.lstrip("/"), follow)


def _host_folder(path: str, access: Access) -> HostDir:
    """The folder, once allowed; its absence is the guest's ENOENT, as it would be with a grant."""
    if not modes.S_ISDIR(os.stat(path).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    try:
        folder = HostDir(path, mode="rw" if access == "change" else DEFAULT_MODE)
    except ValueError as error:
        raise OSError(errno.EACCES, str(error)) from None
    if folder.real != path:  # it was replaced by a link while the user read the question
        raise Refused(errno.EPERM, f"{path!r} is no longer where it was when it was asked for", DeniedBy.ASK)
    return folder
