"""Ask mode in a confined process: what was not granted is requested from the parent, which asks the user.

The process can open nothing outside its grants. The parent resolves and opens what the user allows: it passes an opened
file as a descriptor and keeps an opened directory, of which the process has a number. Nothing is decided here.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from threading import Lock

from ...capabilities.host.hostfile import HostFile
from ...capabilities.interpose import look_through
from ...capabilities.protocols import BaseDirectory, Directory, Entry, File, OpenHow, Stat
from ...capabilities.waiting import Interrupted, Readiness, wait_any
from ...engine.isolate.messages import MOST_BYTES, MessageChannel, MessageKind, Record, record_of
from ...grants.live.pump import Asker
from ...grants.live.questions import RunTime
from ..prepare import Prepared
from .request_format import OPERATIONS, Place, encoded, entries_of, error_of, stat_of


class Requests:
    """Sends requests, one at a time, and waits for their answers on the guest's thread."""

    def __init__(self, channel: MessageChannel) -> None:
        self.time = RunTime()
        """The time of the run, without the time that the user took to answer."""
        self.asker = Asker(self.use, lambda: RemoteDirectory(self, 0))
        self._channel = channel
        self._lock = Lock()
        self._ready = Readiness()
        self._answer: tuple[Record, Sequence[int]] = {}, ()
        self._prepared: Prepared | None = None
        self._granted: Mapping[int, str] = {}
        self._allowed: set[str] = set()
        """What may be used for the rest of the run."""

    def begin(self, prepared: Prepared) -> None:
        """Serve this run."""
        self._prepared = prepared
        self._granted = {id(directory): guest for guest, directory in prepared.dirs.items()}
        prepared.host.run_time = self.time

    def use(self, name: str) -> None:
        """Return if the guest may use `name` (`ask.USES`), else raise `Refused`."""
        if name not in self._allowed:
            answer, _ = self._request({"use": name})
            if answer.get("for_run"):
                self._allowed.add(name)

    def perform(self, name: str, *args: object) -> tuple[Record, Sequence[int]]:
        """The answer to an operation, and the descriptors with it. Raises what the operation raised."""
        values = [encoded(kind, value, self._place_of) for kind, value in zip(OPERATIONS[name], args, strict=True)]
        return self._request({"do": name, "args": values})

    def close(self, number: int) -> None:
        """The directory of this number is no longer needed."""
        try:
            self._channel.send_record(MessageKind.REQUEST, {"close": number})
        except OSError:  # the parent is gone, and with it the directory
            return

    def answered(self, body: bytearray, descriptors: Sequence[int]) -> None:
        """Take the parent's answer. For the thread that reads its messages."""
        self._answer = record_of(body, MOST_BYTES), descriptors
        self._ready.set()

    def _request(self, request: Record) -> tuple[Record, Sequence[int]]:
        prepared = self._prepared
        assert prepared is not None, "begin() first"
        with self._lock:
            prepared.interrupt.check()
            prepared.pump.deliver()  # what it wrote is shown before a question
            call = -1 if prepared.recorder is None else len(prepared.recorder)
            lost: int | None = None
            self.time.pause()
            try:
                self._channel.send_record(MessageKind.REQUEST, {**request, "call": call})
                wait_any((self._ready.fileno(),), (), None, prepared.interrupt)
                self._ready.clear()
                answer, descriptors = self._answer
                lost = answer["lost"]
            finally:
                self.time.resume(lost)
        if answer.get("interrupted"):
            raise Interrupted
        if "errno" in answer:
            raise error_of(answer)
        return answer, descriptors

    def _place_of(self, directory: object) -> Place:
        inner, _ = look_through(directory)  # the parent has the same gates
        return inner.number if isinstance(inner, RemoteDirectory) else self._granted.get(id(inner))


class RemoteDirectory(BaseDirectory):
    """A directory of the parent that asks for every path (`ask_paths.AskDirectory`). 0 is the one for everything."""

    writable = True
    asks = True

    def __init__(self, requests: Requests, number: int) -> None:
        self._requests = requests
        self.number = number
        """Its number there."""
        self._closed = False

    def open(self, path: str, how: OpenHow) -> File | Directory:
        answer, descriptors = self._requests.perform("open", self, path, how)
        if "directory" in answer:
            return RemoteDirectory(self._requests, answer["directory"])
        if not descriptors:  # this process has no room for it
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return HostFile(descriptors[0], replace(how, follow=False), how.changes, answer["created"])

    def stat_path(self, path: str, follow: bool) -> Stat:
        if path.strip("/") in ("", "."):
            return self.stat()
        return stat_of(self._requests.perform("stat_path", self, path, follow)[0]["result"])

    def list(self) -> list[Entry]:
        return entries_of(self._requests.perform("list", self)[0]["result"])

    def readlink(self, path: str) -> str:
        return str(self._requests.perform("readlink", self, path)[0]["result"])

    def mkdir(self, path: str) -> None:
        self._requests.perform("mkdir", self, path)

    def rmdir(self, path: str) -> None:
        self._requests.perform("rmdir", self, path)

    def unlink(self, path: str) -> None:
        self._requests.perform("unlink", self, path)

    def symlink(self, target: str, path: str) -> None:
        self._requests.perform("symlink", self, target, path)

    def rename(self, path: str, target: Directory, target_path: str) -> None:
        self._requests.perform("rename", self, path, target, target_path)

    def rename_from(self, source: Directory, path: str, target_path: str) -> None:
        self._requests.perform("rename", source, path, self, target_path)

    def link(self, path: str, target: Directory, target_path: str, follow: bool) -> None:
        self._requests.perform("link", self, path, target, target_path, follow)

    def link_from(self, source: Directory, path: str, target_path: str, follow: bool) -> None:
        self._requests.perform("link", source, path, self, target_path, follow)

    def set_times_path(self, path: str, follow: bool, atim: int | None, mtim: int | None) -> None:
        self._requests.perform("set_times_path", self, path, follow, atim, mtim)

    def close(self) -> None:
        if self.number and not self._closed:
            self._closed = True
            self._requests.close(self.number)
