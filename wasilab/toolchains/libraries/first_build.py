"""The first build of a compiler's libraries: done once for all cells and processes, with visible progress.

Zig builds its C library from source when a set of flags is first used, which takes a minute. The first compile that
needs it holds a lock while it does so. Others wait, and show how far it is. A background build (`ProcessBounds`) gives
way: a compile that needs the library ends it and continues with all processors, since zig keeps each finished file in
its cache.

Zig reports its progress on the descriptor that ZIG_PROGRESS names. A message is a number of nodes (1 byte), the nodes
(two 32-bit counts and a name) and the index of each node's parent (1 byte each); see `lib/std/Progress.zig` of zig.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ...text.numbers import counted
from ..cache import file_lock, make_folder, trusted_cache_folder
from ..process import Cancelled, Progress

_FILES = {"wasi libc.a": 621}
"""The files of a part, as counted with zig 0.17.1."""
_MOST_TEXT = 200
_NO_PARENT = 0xFF
_SOURCES = ("lib/std/Progress.zig", "../lib/zig/std/Progress.zig", "../lib/std/Progress.zig")
"""Where zig's library is, from the folder of its executable."""


@dataclass
class FirstBuild:
    """One build of a compiler's libraries."""

    what: str
    """What is built, as a noun phrase: "its C library"."""
    usual: int = 60
    """Roughly how many seconds it takes on two processors; after that no estimate is shown."""
    descriptor: int | None = None
    """The pipe on which zig reports its progress; None if it cannot be read."""
    part: str = ""
    """What it builds now, as zig calls it."""
    files: int = 0
    """The files of this part that are built."""
    reading: threading.Thread | None = field(default=None, repr=False)

    def sentence(self, elapsed: float) -> str:
        """What is going on, and how far it is. An estimate stands only as long as the clock does not contradict it."""
        head = f"first compile: zig builds {self.what} for these flags, once"
        if self.part:
            total = _FILES.get(self.part, 0)
            done = f"{self.files} of about {total} files" if self.files <= total else counted(self.files, "file")
            return f"{head}: {self.part}, {done}" if self.files else f"{head}: {self.part}"
        usual = "a minute" if self.usual == 60 else f"{self.usual} seconds"
        return f"{head}; it takes {f'about {usual}' if elapsed < self.usual else 'longer than usual'}"


@contextlib.contextmanager
def taking_turns(
    identity: str, done: Callable[[], bool], cancelled: Cancelled, on_progress: Progress | None, *, background: bool
) -> Iterator[tuple[Cancelled, Callable[[str], None]] | None]:
    """Wait for another build of the same libraries, then hold the lock. Yields None if they are built by then.

    Otherwise yields the interrupt of this build (a background build also ends when another compile waits) and a
    function that publishes a sentence about its progress to those that wait. Raises `CompileInterrupted`.
    """
    folder = make_folder(trusted_cache_folder() / "locks")
    name = "first-" + hashlib.sha256(identity.encode()).hexdigest()[:24]
    lock, wanted = folder / name, folder / f"{name}.wanted"
    if not background:
        _touch(wanted)
    started = time.time_ns()

    def give_way() -> bool:
        return cancelled() or (background and _changed_after(wanted, started))

    def waiting(seconds: float) -> None:
        if on_progress is not None and seconds >= 0.5:
            on_progress(seconds, f"waiting for another compile: {_text(lock)}")

    with file_lock(lock, give_way, waiting):
        if done():
            yield None
            return
        try:
            yield give_way, lambda text: _publish(lock, text)
        finally:
            _publish(lock, "")


def under_way(identity: str) -> str:
    """How far the build of these libraries is in whichever process; "" if none is running."""
    with contextlib.suppress(OSError):
        return _text(trusted_cache_folder() / "locks" / ("first-" + hashlib.sha256(identity.encode()).hexdigest()[:24]))
    return ""


@contextlib.contextmanager
def reporting(what: str, usual: int, zig: str) -> Iterator[FirstBuild]:
    """A build whose progress is read from zig, if this zig's reports can be read."""
    build = FirstBuild(what, usual)
    size = _name_bytes(Path(os.path.realpath(zig)).parent)
    if size is None or os.name == "nt":
        yield build
        return
    read_end, build.descriptor = os.pipe()
    build.reading = threading.Thread(target=_read, args=(read_end, size, build), name="wasilab-zig", daemon=True)
    build.reading.start()
    try:
        yield build
    finally:
        os.close(build.descriptor)


def _read(pipe: int, size: int, build: FirstBuild) -> None:
    buffered = b""
    with contextlib.suppress(OSError), open(pipe, "rb", buffering=0) as file:
        while data := file.read(1 << 16):
            buffered = _take(buffered + data, size, build)


def _take(data: bytes, size: int, build: FirstBuild) -> bytes:
    """Note the last whole message in `data`; returns what follows it."""
    while data:
        nodes = data[0]
        end = 1 + nodes * (8 + size + 1)
        if len(data) < end:
            break
        message, data = data[:end], data[end:]
        for at in range(nodes):
            start = 1 + at * (8 + size)
            done, _ = struct.unpack_from("<II", message, start)
            name = message[start + 8 : start + 8 + size].partition(b"\0")[0].decode("utf-8", "replace")
            # The root (255) has no name; below it are "Linking" for the program and a node for the library being built.
            if message[1 + nodes * (8 + size) + at] == 0 and name and name.isprintable() and name != "Linking":
                build.part = name[:_MOST_TEXT]
                build.files = done if name.endswith(".a") else 0
    return data


def _name_bytes(folder: Path) -> int | None:
    """The size of a name in this zig's reports, by its own source; None if that is not found."""
    for source in _SOURCES:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            found = re.search(r"max_name_len = (\d{1,3});", (folder / source).read_text(encoding="utf-8"))
            return int(found[1]) if found is not None else None
    return None


def _touch(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.touch(mode=0o600)
        os.utime(path)


def _changed_after(path: Path, moment: int) -> bool:
    try:
        return path.stat().st_mtime_ns >= moment
    except OSError:
        return False


def _publish(path: Path, text: str) -> None:
    # One write of constant size: a concurrent reader sees the old text or the new one, never an empty file.
    with contextlib.suppress(OSError), open(path, "r+b", buffering=0) as file:
        file.write(text.encode()[:_MOST_TEXT].ljust(_MOST_TEXT))


def _text(path: Path) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_MOST_TEXT).rstrip()
    except OSError:
        return ""
