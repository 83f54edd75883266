"""Opens again what a recorded program held at a call, so that it can go on from there under other grants.

Standard streams, granted folders and listening sockets are matched with the new grants by name. A file or folder that
the program had opened is opened by its path below the new grants, by the same rules as `path_open`, with the rights it
had then; it gets its number, flags and offset. A file that the recorded part had created and that is missing is
created with what it held then, if the trace tells all of it. Anything else is refused, naming the descriptor.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping
from typing import NoReturn

from ...capabilities.protocols import FileType
from ...engine.replay.recorded_calls import damaged
from ...engine.stop import CannotReplay
from ...text.escape import visible
from ...text.numbers import counted
from ...trace.answers.event import CallEvent
from ...trace.calls import Calls
from ...trace.moments.files import FileStory
from ...trace.moments.history import History
from ...trace.moments.life_columns import LifeColumns
from ...trace.record.layout import Life
from ...wasi.errnos import Errno, WasiError
from ...wasi.fdtable import FIRST, Descriptor, FdTable
from ...wasi.host import Host
from ...wasi.preview1.path import path_open
from ...wasi.types import Fdflags, Oflags, Rights

_ALL = (1 << 64) - 1
_AT_OPENING = int(Oflags.CREAT | Oflags.EXCL | Oflags.TRUNC)
"""What an opening did to the file, which it must not do again."""
_MOST_LIVES = 1 << 31
"""Openings that no run has."""


class Reopening:
    """What a recorded run held, and the host that is to hold it again.

    The host's own descriptors are taken out until `reopen`, so that the replayed part sees none of them.
    """

    def __init__(self, trace: Calls, host: Host) -> None:
        self._trace = trace
        self._host = host
        self._granted = host.fds.take_out()

    def reopen(self, seq: int) -> None:
        """Open again what was open before call `seq`. Raises `CannotReplay`, which names the descriptor."""
        lives = list(self._trace.store.lives.values())
        alive = [life for life in lives if life.opened_seq < seq and not 0 <= life.closed_seq < seq]
        numbers = {life.number_at(seq)[0]: life for life in alive}
        last = max((life.life for life in lives), default=0)
        # A number is the smallest free one, so none is beyond the count of all openings.
        if max(numbers, default=0) >= FIRST + len(lives) or len(numbers) < len(alive) or last >= _MOST_LIVES:
            raise damaged(seq, "its descriptors are not those of a run")
        if len(numbers) > self._host.fds.max_fds:
            raise CannotReplay(
                f"{counted(len(numbers), 'descriptor was', 'descriptors were')} open at call {seq} and the limit is "
                f"{self._host.fds.max_fds:,}: raise it with --max-fds"
            )
        opening = _Opening(self._trace, self._host, seq, self._granted)
        found: list[tuple[Descriptor, int, int]] = []
        try:
            for fd, life in sorted(numbers.items()):
                found.append((opening.descriptor(fd, life), fd, life.life))
        except BaseException:
            for descriptor, _, _ in found:
                descriptor.close()
            raise
        used = {fd for life in lives if life.opened_seq < seq for fd in life.numbers if fd < FIRST}
        fds = self._host.fds
        fds.put_back(found, used - numbers.keys(), last)
        for descriptor in opening.left():  # granted now and not then
            free = 0 <= descriptor.fd < FIRST and descriptor.fd not in used
            fds.open(descriptor, descriptor.fd if free else None)


class _Opening:
    def __init__(self, trace: Calls, host: Host, seq: int, granted: list[Descriptor]) -> None:
        self._trace = trace
        self._host = host
        self._seq = seq
        self._left = {_name_of(descriptor): descriptor for descriptor in granted}
        self._folders = {d.preopen: d for d in granted if d.preopen is not None}
        self._history = History(trace)
        self._columns = LifeColumns(trace)
        self._last = seq - 1
        """The row of the last replayed call: a recording has all calls, so its rows are their numbers."""

    def left(self) -> list[Descriptor]:
        """The descriptors of the new grants that the recorded run did not hold."""
        return list(self._left.values())

    def descriptor(self, fd: int, life: Life) -> Descriptor:
        path = life.path.decode("utf-8", "replace")
        if life.opened_seq >= 0:
            return self._opened(fd, path, life)
        name = ("folder", life.preopen.decode("utf-8", "replace")) if life.preopen is not None else ("", path)
        found = self._left.pop(name, None)
        if found is None:
            self._refuse(fd, path, _LACKS.get(path) or (
                f"the new grants have no folder at {name[1]!r}: grant one with --dir HOST::{name[1]}"
                if name[0] else "the new grants have no such socket"
            ))  # fmt: skip
        base, inheriting = self._given_up(life, self._seq)
        found.reduce_rights(base, inheriting)
        return found

    def _opened(self, fd: int, path: str, life: Life) -> Descriptor:
        event = self._event(life.opened_seq)
        if event is None or event.name != "path_open" or life.kind not in (FileType.REGULAR_FILE, FileType.DIRECTORY):
            self._refuse(fd, path, "it is not a file or folder that can be opened again by its path")
        folder, name = self._below(fd, path)
        self._check_name(fd, path, life)
        base, inheriting = self._rights(life)
        held = self._columns.held_at(life, self._last)
        flags = int(held.flags or 0) if life.kind == FileType.REGULAR_FILE else 0
        how = (int(event.args["dirflags"]), name.encode(), int(event.args["oflags"]) & ~_AT_OPENING, base, inheriting,
               flags)  # fmt: skip
        try:
            found = self._open(folder, *how)
        except _FAILURES as error:
            failure = self._host.explain(error, folder)
            if failure is None:
                raise
            content = self._created(path, life) if failure.errno is Errno.NOENT else None
            if content is None:
                self._refuse(fd, path, self._why(failure, path))
            found = self._create(fd, path, folder, how, content)
        if found.filetype != life.kind:
            found.close()
            self._refuse(fd, path, "what the new grants have there is not of the same kind")
        if life.kind == FileType.REGULAR_FILE:
            self._move(fd, path, found, life)
        return found

    def _below(self, fd: int, path: str) -> tuple[Descriptor, str]:
        """The granted folder that a path lies in, and the rest of the path."""
        holding = [name for name in self._folders if path == _normal(name) or path.startswith(inside(name))]
        if not holding:
            self._refuse(fd, path, "the new grants have no folder that it lies in")
        name = max(holding, key=lambda each: len(_normal(each)))
        return self._folders[name], path[len(inside(name)) :] or "."

    def _check_name(self, fd: int, path: str, life: Life) -> None:
        """Refuse a file that no longer had its name."""
        files = self._history.files
        if path not in files.names:
            self._refuse(fd, path, "the trace has more changes of names than are followed")
        if files.node_at(path, life.opened_seq) is not files.node_at(path, self._last):
            self._refuse(fd, path, "the program had renamed, removed or replaced the file while it was open")

    def _open(
        self, folder: Descriptor, dirflags: int, name: bytes, oflags: int, base: int, inheriting: int, flags: int
    ) -> Descriptor:
        """Open below a granted folder as the guest would, but into a table of its own."""
        host, fds = self._host, self._host.fds
        host.check(folder, int(Rights.PATH_OPEN))
        host.fds = FdTable(fds.max_fds)
        try:
            fd = path_open(host, folder, dirflags, name, oflags, base, inheriting, flags)
            return host.fds.entries[fd]
        finally:
            host.fds = fds

    def _created(self, path: str, life: Life) -> bytes | None:
        """What a file held that the recorded part had created; None where the trace does not tell all of it."""
        node = self._history.files.node_at(path, self._last)
        if node is None or node.directory:
            return None
        if node.created < 0:
            if node.before is not None or not self._was_missing(path, life.opened_seq):
                return None
            node = FileStory(b"", created=life.opened_seq, steps=node.steps)
        content = self._history.files.content_at(node, self._last)
        return content.data if content is not None and content.whole else None

    def _was_missing(self, path: str, seq: int) -> bool:
        """Whether a call before `seq` had found no such file, and no other had opened one."""
        on_it = self._trace.column("full_path")[:seq] == path
        errnos = self._trace.column("errno")[:seq][on_it].tolist()
        return int(Errno.NOENT) in errnos and 0 not in errnos

    def _create(
        self, fd: int, path: str, folder: Descriptor, how: tuple[int, bytes, int, int, int, int], content: bytes
    ) -> Descriptor:
        dirflags, name, _, base, inheriting, flags = how
        try:
            new = self._open(
                folder, dirflags, name, int(Oflags.CREAT | Oflags.EXCL), int(Rights.FD_WRITE | Rights.FD_SEEK), 0, 0
            )
            try:
                self._host.require_bytes(len(content), "what it held")
                while content:
                    content = content[new.object.write([memoryview(content)]) :]
            finally:
                new.close()
            return self._open(folder, dirflags, name, 0, base, inheriting, flags)
        except _FAILURES as error:
            failure = self._host.explain(error, folder)
            if failure is None:
                raise
            self._refuse(fd, path, f"the recorded part had created it, and here: {self._why(failure, path)}")

    def _move(self, fd: int, path: str, found: Descriptor, life: Life) -> None:
        offset = self._columns.offset_at(life, self._last)
        if offset < 0 and not found.fdflags & int(Fdflags.APPEND):
            self._refuse(fd, path, "the trace does not tell its offset")
        try:
            where = (0, os.SEEK_END) if offset < 0 else (offset, os.SEEK_SET)  # an appending write left it at the end
            if found.object.seek(*where) > 0:
                found.reach.beyond = True  # the file may be shorter here
        except OSError as error:
            self._refuse(fd, path, f"its offset {offset:,} cannot be set: {error.strerror}")

    def _rights(self, life: Life) -> tuple[int, int]:
        """The rights that it was opened with and has not given up, and those that it passes on; folders that it was
        opened through pass on no more than theirs."""
        base, inheriting = self._given_up(life, self._seq)
        first = True
        while (event := self._event(life.opened_seq)) is not None and event.name == "path_open":
            asked = int(event.args["fs_rights_inheriting"])
            base &= int(event.args["fs_rights_base"]) if first else asked
            inheriting &= asked
            first = False
            parent = self._trace.store.lives.get(int(self._columns.handle[event.row]))
            if parent is None or parent.opened_seq >= life.opened_seq:
                break
            _, passed = self._given_up(parent, life.opened_seq)
            base, inheriting, life = base & passed, inheriting & passed, parent
        return base, inheriting

    def _given_up(self, life: Life, seq: int) -> tuple[int, int]:
        """What fd_fdstat_set_rights had left of the rights before call `seq`, and of those passed on."""
        base = inheriting = _ALL
        for row in self._columns.rows(life.life).tolist():
            event = CallEvent(self._trace, row)
            if event.seq >= seq:
                break
            if event.name == "fd_fdstat_set_rights" and not event.errno:
                base &= int(event.args["fs_rights_base"])
                inheriting &= int(event.args["fs_rights_inheriting"])
        return base, inheriting

    def _event(self, seq: int) -> CallEvent | None:
        return CallEvent(self._trace, seq) if 0 <= seq < len(self._trace) else None

    def _why(self, failure: WasiError, path: str) -> str:
        if failure.errno is not Errno.NOENT:
            return failure.reason or failure.errno.text
        return "it does not exist below the new grants; put it there, or continue from another call"

    def _refuse(self, fd: int, path: str, why: str) -> NoReturn:
        raise CannotReplay(
            f"descriptor {fd} ({visible(path)}) was open at call {self._seq} and cannot be opened again: {visible(why)}"
        )


_FAILURES = (WasiError, OSError, UnicodeError, ValueError)
_LACKS: Mapping[str, str] = {
    "<stdin>": "the new grants have no stdin",
    "<stdout>": "the new grants have no stdout",
    "<stderr>": "the new grants have no stderr",
}


def _name_of(descriptor: Descriptor) -> tuple[str, str]:
    """What a granted descriptor is matched by: its kind and name."""
    return ("folder", descriptor.preopen) if descriptor.preopen is not None else ("", descriptor.path)


def _normal(folder: str) -> str:
    return posixpath.normpath(folder)


def inside(folder: str) -> str:
    """The beginning of the paths in a folder, as the trace names them (`wasi/preview1/path.py`)."""
    probe = posixpath.normpath(f"{folder.rstrip('/')}/x")
    return probe[:-1]
