"""Performs the requests of a confined process in ask mode, with the objects that an ordinary run would use.

The directories that ask, the questions and the answers are those of this process (`grants/live/`). The process gets
results, errors, and opened files as descriptors; a directory stays here, under a number. The process may be controlled
by its guest: a request is checked before anything is done, one is performed at a time, and whatever it asks for,
the user is asked.
"""

from __future__ import annotations

import errno
import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import cast

from ...capabilities.host.hostfile import HostFile
from ...capabilities.interpose import look_through
from ...capabilities.paths import fail
from ...capabilities.protocols import BaseDirectory, Directory
from ...capabilities.waiting import Interrupted
from ...engine.isolate.messages import MOST_BYTES, BadMessage, Record, record_of
from ...engine.threads import Worker
from ...grants.live.ask import USES
from ..prepare import Prepared
from .request_format import MOST_REQUEST_BYTES, OPERATIONS, PLACE, decoded, error_value, result_value

_LAST_CALL = 1 << 48
_NO_DESCRIPTORS: tuple[int, ...] = ()


class OtherDirectory(BaseDirectory):
    """A directory that only the process has: no names can be moved between it and this process's."""

    def rename(self, path: str, target: Directory, target_path: str) -> None:
        target.rename_from(self, path, target_path)

    def rename_from(self, source: Directory, path: str, target_path: str) -> None:
        raise fail(errno.EXDEV)

    def link(self, path: str, target: Directory, target_path: str, follow: bool) -> None:
        target.link_from(self, path, target_path, follow)

    def link_from(self, source: Directory, path: str, target_path: str, follow: bool) -> None:
        raise fail(errno.EXDEV)


class Performer:
    """Performs the requests of one run in ask mode, on a thread of its own; `take` gets them from the listening thread.

    `answer(body, descriptors)` sends an answer; `failed(error)` is called for an error of ours.
    """

    def __init__(
        self,
        prepared: Prepared,
        answer: Callable[[bytes, Sequence[int]], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        assert prepared.asking is not None, "a run in ask mode"
        assert prepared.questions is not None
        self._prepared = prepared
        self._asking = prepared.asking
        self._time = prepared.questions.time
        self._answer = answer
        self._failed = failed
        everywhere = {guest: held for guest, held in prepared.preopens.items() if guest not in prepared.dirs}
        self._directories = dict(enumerate(everywhere.values()))
        """The directories that ask, by the number that the process uses; 0 is the one for everything."""
        self._next = 1
        self._once: Counter[str] = Counter()
        """How often the process may still use something that was allowed once."""
        self._idle = threading.Event()
        self._idle.set()
        self._worker = Worker("wasilab asked")

    # ---- the listening thread

    def take(self, body: bytearray) -> None:
        """Begin to perform a request. Raises `BadMessage`."""
        record = record_of(body, MOST_REQUEST_BYTES)
        if "close" in record:
            self._close(record["close"])
            return
        if self.busy:
            raise BadMessage("a request before the last one was answered")
        call = record.get("call")
        recorder = self._prepared.recorder
        least = -1 if recorder is None else len(recorder)
        if type(call) is not int or not least <= call < (0 if recorder is None else _LAST_CALL):
            raise BadMessage("a request of a call that cannot be in progress")
        perform = self._use(record["use"]) if "use" in record else self._operation(record)
        self._idle.clear()
        self._worker.do(lambda: self._perform(call, perform))

    @property
    def busy(self) -> bool:
        """Whether a request is being performed: the user may be answering a question."""
        return not self._idle.is_set()

    def may(self, name: str) -> bool:
        """Whether the process may use `name` now, as the user was asked. This uses up what was allowed once."""
        if self._asking.covers(name, "use"):
            return True
        allowed = self._once[name] > 0
        self._once[name] -= allowed
        return allowed

    def close(self) -> None:
        """End the request in progress, and withdraw its question."""
        self._prepared.interrupt.set()
        ended = threading.Event()
        self._worker.do(ended.set)
        ended.wait()
        self._worker.end()

    def _close(self, number: object) -> None:
        if type(number) is not int or not number or self._directories.pop(number, None) is None:
            raise BadMessage("the end of a directory that the process does not have")

    def _use(self, name: object) -> Callable[[], tuple[Record, Sequence[int]]]:
        if not isinstance(name, str) or name not in USES:
            raise BadMessage("a request to use what is not asked for")

        def use() -> tuple[Record, Sequence[int]]:
            self._asking.use(name)
            for_run = self._asking.covers(name, "use")
            self._once[name] += not for_run
            return {"for_run": for_run}, _NO_DESCRIPTORS

        return use

    def _operation(self, record: Record) -> Callable[[], tuple[Record, Sequence[int]]]:
        name, given = record.get("do"), record.get("args")
        kinds = OPERATIONS.get(name) if isinstance(name, str) else None
        if kinds is None or not isinstance(given, list) or len(given) != len(kinds):
            raise BadMessage("a request that is not an operation")
        asking = [value for kind, value in zip(kinds, given, strict=True) if kind is PLACE and type(value) is int]
        if not asking:
            raise BadMessage("a request about none of the directories that ask")
        thing, *args = (decoded(kind, value, self._place) for kind, value in zip(kinds, given, strict=True))

        def operate() -> tuple[Record, Sequence[int]]:
            result = getattr(thing, str(name))(*args)
            return self._opened(result) if name == "open" else ({"result": result_value(result)}, _NO_DESCRIPTORS)

        return operate

    def _place(self, value: object) -> Directory:
        if value is None:
            return OtherDirectory()
        if type(value) is int and value in self._directories:
            return self._directories[value]
        if isinstance(value, str) and value in self._prepared.dirs:
            return self._prepared.preopens[value]
        raise BadMessage("a request about a directory that the process does not have")

    # ---- its own thread

    def _perform(self, call: int, perform: Callable[[], tuple[Record, Sequence[int]]]) -> None:
        descriptors: Sequence[int] = _NO_DESCRIPTORS
        before = self._time.lost
        self._asking.call = call
        try:
            try:
                answer, descriptors = perform()
            except Interrupted:
                answer = {"interrupted": True}
            except OSError as error:
                answer = error_value(error)
            except (UnicodeError, ValueError, OverflowError, MemoryError) as error:
                answer = error_value(fail(_errno_of(error)))
            body = json.dumps({**answer, "lost": self._time.lost - before}).encode()
            if len(body) > MOST_BYTES:
                body = json.dumps({**error_value(fail(errno.ENOMEM)), "lost": self._time.lost - before}).encode()
            self._idle.set()
            self._answer(body, descriptors)
        except BaseException as error:  # noqa: BLE001  the listening thread reports it
            self._failed(error)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _opened(self, result: object) -> tuple[Record, Sequence[int]]:
        inner, _ = look_through(result)
        if isinstance(inner, HostFile):
            descriptor = os.dup(inner.descriptor)
            inner.close()
            return {"created": inner.created}, (descriptor,)
        if len(self._directories) > self._prepared.grants.limits.fds:
            raise fail(errno.EMFILE)
        number, self._next = self._next, self._next + 1
        self._directories[number] = cast(Directory, result)
        return {"directory": number}, _NO_DESCRIPTORS


def _errno_of(error: BaseException) -> int:
    """As `wasi.errnos.explain` maps it."""
    if isinstance(error, UnicodeError):
        return errno.EILSEQ
    return errno.ENOMEM if isinstance(error, MemoryError) else errno.EINVAL
