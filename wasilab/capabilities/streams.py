"""Streams for a guest's stdin, stdout and stderr: files without a position.

All are character devices, as a terminal is. Nothing here touches the process's own standard streams, except
`DescriptorInput`, which the command line may give a duplicate of one. Streams carry bytes; text is not decoded here.
"""

from __future__ import annotations

import errno
import os
import select
import threading
from collections.abc import Callable
from typing import ClassVar

from .protocols import BaseFile, Buffers, FileFlags, FileType
from .uncopyable import Uncopyable
from .waiting import Interrupt, Readiness, wait_any


class _Input(BaseFile):
    """A stream to read from; writing to it is EBADF."""

    filetype = FileType.CHARACTER_DEVICE


class EmptyInput(_Input):
    """An input at end of file: every read returns 0 bytes."""

    def read(self, buffers: Buffers) -> int:
        return 0


class BytesInput(_Input):
    """An input with fixed contents; it never blocks."""

    def __init__(self, data: bytes) -> None:
        self._rest = memoryview(bytes(data))

    def read(self, buffers: Buffers) -> int:
        rest = self._rest
        done = 0
        for buffer in buffers:
            piece = rest[done : done + len(buffer)]
            buffer[: len(piece)] = piece
            done += len(piece)
            if done == len(rest):
                break
        self._rest = rest[done:]
        return done

    def available(self) -> int:
        return len(self._rest)


class QueueInput(Uncopyable, _Input):
    """An input that another thread feeds: `feed(bytes)`, then `end()` for the end of file.

    A read with an empty buffer calls `on_wanted()` and waits until it is fed or ended, or `interrupt` is set
    (`Interrupted`). `on_wanted` is called from the reading thread, so it must be thread-safe and quick: post a request
    and return. A poll, which calls `fileno()`, asks for input too. There is one request at a time: the next is made
    only after a `feed`.

    `feed`, `end` and `close` may be called from any thread. A partial line stays buffered for the next read.
    """

    def __init__(self, on_wanted: Callable[[], None] | None = None, interrupt: Interrupt | None = None) -> None:
        self._on_wanted = on_wanted
        self._interrupt = interrupt
        self._lock = threading.Lock()
        self._data = bytearray()
        self._ended = False
        self._asked = False
        self._nonblock = False
        self._closed = False
        self._ready = Readiness()  # set while a read would not wait

    def stopped_by(self, interrupt: Interrupt) -> None:
        """Use `interrupt`, that of the next run that reads it, to end a waiting read from now on."""
        self._interrupt = interrupt

    def feed(self, data: bytes) -> None:
        """Append `data` to the input; ignored after `end` or `close`."""
        with self._lock:
            self._asked = False
            if not data or self._ended or self._closed:
                return
            if not self._data:
                self._ready.set()
            self._data += data

    def end(self) -> None:
        """End the input: reads get what is buffered, then 0 bytes."""
        with self._lock:
            if not self._ended and not self._closed:
                self._ended = True
                if not self._data:
                    self._ready.set()

    def read(self, buffers: Buffers) -> int:
        if not any(len(buffer) for buffer in buffers):
            return 0
        while True:
            with self._lock:
                if self._closed:
                    raise OSError(errno.EBADF, os.strerror(errno.EBADF))
                if self._data or self._ended:
                    return self._take(buffers)
                if self._nonblock:
                    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            self._want()
            if self._interrupt is None:
                self._interrupt = Interrupt()
            wait_any((self._ready.fileno(),), (), None, self._interrupt)

    def _take(self, buffers: Buffers) -> int:
        done = 0
        for buffer in buffers:
            piece = self._data[done : done + len(buffer)]
            buffer[: len(piece)] = piece
            done += len(piece)
            if done == len(self._data):
                break
        del self._data[:done]
        if done and not self._data and not self._ended:
            self._ready.clear()
        return done

    def _want(self) -> None:
        with self._lock:
            if self._asked or self._data or self._ended:
                return
            self._asked = True
        if self._on_wanted is not None:
            self._on_wanted()

    def available(self) -> int:
        with self._lock:  # a feed signals before it adds
            return len(self._data)

    def fileno(self) -> int | None:
        """The descriptor that is readable while a read would not wait. This call counts as a request for input."""
        if self._closed:
            return None
        self._want()
        return self._ready.fileno()

    def flags(self) -> FileFlags:
        return FileFlags(nonblock=self._nonblock)

    def set_flags(self, flags: FileFlags) -> None:
        if flags != FileFlags(nonblock=flags.nonblock):
            raise OSError(errno.EINVAL, "the only flag of an input stream is nonblock")
        self._nonblock = flags.nonblock

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._ready.close()

    def __del__(self) -> None:
        if hasattr(self, "_ready"):
            self.close()


class AskInput(QueueInput):
    """A `QueueInput` whose reader asks for each line: `request()` is called when the guest wants input.

    `request` notifies the thread that owns the input box and returns at once; that thread answers with `feed` (a line
    with its newline) or `end`.
    """

    def __init__(self, request: Callable[[], None], interrupt: Interrupt) -> None:
        super().__init__(request, interrupt)


class OwnedDescriptor(Uncopyable, BaseFile):
    """A file without a position, on a descriptor that it closes. Its only flag is nonblock, kept in Python alone."""

    filetype = FileType.CHARACTER_DEVICE
    noun: ClassVar[str]
    """What error messages call it."""

    def __init__(self, fd: int, interrupt: Interrupt) -> None:
        self._fd = fd
        self._interrupt = interrupt
        self._nonblock = False

    def _open(self) -> int:
        """The descriptor; EBADF once it is closed."""
        if self._fd < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._fd

    def fileno(self) -> int | None:
        return self._fd if self._fd >= 0 else None

    def flags(self) -> FileFlags:
        return FileFlags(nonblock=self._nonblock)

    def set_flags(self, flags: FileFlags) -> None:
        if flags != FileFlags(nonblock=flags.nonblock):
            raise OSError(errno.EINVAL, f"the only flag of {self.noun} is nonblock")
        self._nonblock = flags.nonblock

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        if hasattr(self, "_fd"):
            self.close()


class DescriptorInput(OwnedDescriptor):
    """An OS descriptor that is read without a position (a pipe, a terminal), duplicated so that it can be closed."""

    noun = "an input stream"

    def __init__(self, fd: int, interrupt: Interrupt) -> None:
        super().__init__(os.dup(fd), interrupt)

    def read(self, buffers: Buffers) -> int:
        filled = [buffer for buffer in buffers if len(buffer)]
        if not filled:
            return 0
        fd = self._open()
        ready, _ = wait_any((fd,), (), 0 if self._nonblock else None, self._interrupt)
        if not ready:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return os.readv(fd, filled)


def process_input(fd: int, interrupt: Interrupt) -> BaseFile:
    """The input of this process as a stream: `DescriptorInput`, or, where pipes and consoles cannot be polled (on
    Windows), a queue that a separate thread fills each time the guest wants input."""
    if hasattr(select, "poll"):
        return DescriptorInput(fd, interrupt)
    wanted = threading.Semaphore(0)
    queue = QueueInput(wanted.release, interrupt)

    def read() -> None:
        while True:
            wanted.acquire()
            data = os.read(fd, 1 << 16)
            if not data:
                queue.end()
                return
            queue.feed(data)

    threading.Thread(target=read, name="wasilab stdin", daemon=True).start()
    return queue


class CallbackOutput(BaseFile):
    """An output that passes the bytes of each write to `fn`, up to `limit` bytes in total.

    Beyond the limit a write still succeeds, but its bytes are only counted: `written` is how many bytes the guest
    wrote, `cut` how many of them `fn` did not get. Append flags are accepted: a stream always appends.
    """

    filetype = FileType.CHARACTER_DEVICE

    def __init__(self, fn: Callable[[bytes], object], limit: int | None = None) -> None:
        self._fn = fn
        self._room = float("inf") if limit is None else limit
        self._flags = FileFlags()
        self.written = 0
        self.cut = 0

    def write(self, buffers: Buffers) -> int:
        data = buffers[0].tobytes() if len(buffers) == 1 else b"".join(buffers)
        size = len(data)
        self.written += size
        if size <= self._room:
            self._room -= size
            self._fn(data)
        else:
            room = int(self._room)
            self._room = 0
            self.cut += size - room
            if room:
                self._fn(data[:room])
        return size

    def flags(self) -> FileFlags:
        return self._flags

    def set_flags(self, flags: FileFlags) -> None:
        self._flags = flags


class CollectedOutput(CallbackOutput):
    """An output for which another writer (engine/native) may first collect bytes.

    `fn` must accept all data at any time, and must neither raise nor block. The bytes of one call may have been written
    by many calls of the guest. The guest's write has already succeeded when `fn` gets the data.
    """

    def __init__(self, fn: Callable[[bytes], object]) -> None:
        super().__init__(fn)
        self.collector: Callable[[], object] | None = None
        """Passes the collected bytes to `take`, in the order of writing."""

    def write(self, buffers: Buffers) -> int:
        if self.collector is not None:
            self.collector()
        return CallbackOutput.write(self, buffers)

    def flush(self) -> None:
        """Take the bytes that have been collected so far. Thread-safe."""
        if self.collector is not None:
            self.collector()

    def take(self, data: bytes) -> None:
        """Accept collected bytes."""
        super().write([memoryview(data)])


class Discard(BaseFile):
    """An output that drops everything, as /dev/null does."""

    filetype = FileType.CHARACTER_DEVICE

    def write(self, buffers: Buffers) -> int:
        return sum(map(len, buffers))
