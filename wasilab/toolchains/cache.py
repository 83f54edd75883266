"""The compile cache on disk: modules by key, safe for concurrent kernels, bounded in size.

An entry is one file: the length of a JSON description of the module (4 bytes), the JSON, the module. It is created by
an atomic rename, so a reader sees all of it or nothing. A file lock serialises compiles of one key, so two kernels that
run the same cell compile once. Above the limit, the least recently used entries are deleted first. Not here: the key
(`compile.py`).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..capabilities.host.cache_folders import cache_folder, distrust
from .diagnostics import CompileInterrupted, ToolchainError

try:
    import fcntl
except ImportError:  # not POSIX: the atomic rename still keeps entries whole, but two kernels may compile twice
    fcntl = None  # type: ignore[assignment]

DEFAULT_LIMIT = 512 * 1024 * 1024
"""Default size limit in bytes; WASILAB_CACHE_LIMIT (bytes) overrides it."""


def trusted_cache_folder() -> Path:
    """`cache_folder`. Raises `ToolchainError` if other users could have written to it."""
    folder = cache_folder()
    why = distrust(folder)
    if why is not None:
        raise ToolchainError(f"{why}; or set WASILAB_CACHE_DIR to a folder of your own")
    return folder


def cache_limit() -> int:
    """The size limit in bytes. Raises `ToolchainError` if WASILAB_CACHE_LIMIT is not a number."""
    text = os.environ.get("WASILAB_CACHE_LIMIT")
    if text is None:
        return DEFAULT_LIMIT
    if not text.isascii() or not text.isdigit():
        raise ToolchainError(f"WASILAB_CACHE_LIMIT is {text!r}; give a number of bytes")
    return int(text)


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """A cached module and its metadata."""

    meta: dict[str, Any]
    wasm: bytes


@dataclass(frozen=True, slots=True)
class CacheSize:
    """The size of the compile cache: files, bytes, the limit in bytes, and the folder."""

    entries: int
    bytes: int
    limit: int
    folder: Path


def _entries_folder() -> Path:
    return trusted_cache_folder() / "modules"


def _path(key: str) -> Path:
    return _entries_folder() / key[:2] / f"{key}.module"


def make_folder(path: Path) -> Path:
    """Create a folder that only this user can access: we would run code that another user puts there."""
    try:
        # `parents` would create the folders above with the default mode, so create the top one separately.
        cache_folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        trusted_cache_folder()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ToolchainError(
            f"cannot make the cache folder {str(path)!r}: {error.strerror}; set WASILAB_CACHE_DIR to a writable folder"
        ) from error
    return path


def load(key: str) -> CacheEntry | None:
    """The entry of a key, or None if it is missing or damaged. A hit counts as a use."""
    path = _path(key)
    try:
        with open(path, "rb", buffering=0) as file:
            head = file.read(int.from_bytes(file.read(4), "little"))
            wasm = file.read()
    except OSError:
        return None
    try:
        meta = json.loads(head)
        whole = len(wasm) == meta["size"] and zlib.crc32(wasm) == meta["crc32"]
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        with contextlib.suppress(OSError):
            path.unlink()
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return CacheEntry(meta, wasm)


def write_atomic(path: Path, *parts: bytes) -> None:
    """Write `parts` to `path` atomically."""
    make_folder(path.parent)
    fd, temporary = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    try:
        with os.fdopen(fd, "wb") as file:
            for part in parts:
                file.write(part)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def store(key: str, meta: Mapping[str, object], wasm: bytes) -> None:
    """Store a module, and make room by deleting the least recently used entries.

    If the disk is full or read-only, the entry is lost but the compile succeeds.
    """
    head = json.dumps({**meta, "size": len(wasm), "crc32": zlib.crc32(wasm)}).encode("ascii")
    with contextlib.suppress(OSError, ToolchainError):
        write_atomic(_path(key), len(head).to_bytes(4, "little"), head, wasm)
    _evict(keep=key)


def _files() -> Iterator[tuple[Path, os.stat_result]]:
    with contextlib.suppress(OSError):
        for shelf in os.scandir(_entries_folder()):
            if shelf.is_dir(follow_symlinks=False):
                for item in os.scandir(shelf.path):
                    with contextlib.suppress(OSError):
                        yield Path(item.path), item.stat(follow_symlinks=False)


def _evict(keep: str) -> None:
    limit = cache_limit()
    files = sorted(_files(), key=lambda pair: pair[1].st_mtime_ns)
    total = sum(stat.st_size for _, stat in files)
    for path, stat in files:
        stale = path.name.startswith(".new-") and time.time() - stat.st_mtime > 3600
        if (total > limit and path.stem != keep and not path.name.startswith(".new-")) or stale:
            with contextlib.suppress(OSError):
                path.unlink()
                total -= stat.st_size


def size() -> CacheSize:
    """The current size of the compile cache."""
    sizes = [stat.st_size for _, stat in _files()]
    return CacheSize(len(sizes), sum(sizes), cache_limit(), cache_folder())


def clear() -> CacheSize:
    """Delete all modules and compiler probes; returns the size before. The compilers' own caches stay."""
    before = size()
    for name in ("modules", "probes", "work", "compiled"):
        shutil.rmtree(cache_folder() / name, ignore_errors=True)
    return before


@contextlib.contextmanager
def lock(key: str, cancelled: Callable[[], bool], waiting: Callable[[float], None]) -> Iterator[None]:
    """Hold the lock of a key; `waiting(seconds)` is called while another process or thread holds it.

    Raises `CompileInterrupted`. The lock is released when its process ends, however it ends.
    """
    # 256 locks for all keys: lock files cannot be removed without a race, so their number is fixed.
    with file_lock(make_folder(cache_folder() / "locks") / key[:2], cancelled, waiting):
        yield


@contextlib.contextmanager
def file_lock(path: Path, cancelled: Callable[[], bool], waiting: Callable[[float], None]) -> Iterator[None]:
    """Hold the lock of a file in the cache folder; as `lock`."""
    if fcntl is None:
        yield
        return
    start = time.monotonic()
    with open(path, "ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES, errno.EINTR):
                    break  # a file system without locks: compile twice rather than not at all
            if cancelled():
                raise CompileInterrupted("the compile was interrupted")
            waiting(time.monotonic() - start)
            time.sleep(0.02)
        yield


@contextlib.contextmanager
def work_folder(key: str) -> Iterator[Path]:
    """An empty folder to compile in. Its path depends only on the key, so paths in debug information do not change.

    Only the holder of the key's lock may use it. It is deleted at the end.
    """
    folder = trusted_cache_folder() / "work" / key[:24]
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
