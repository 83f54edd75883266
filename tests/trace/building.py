"""Traces made by hand for tests: calls by name, with the words and payloads that the engine's trampolines write."""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wasilab.capabilities.memory.memdir import MemDir
from wasilab.capabilities.refusal import Need
from wasilab.trace.record.recorder import Recorder, pack_payload
from wasilab.trace.trace import Trace
from wasilab.wasi import types as t
from wasilab.wasi.errnos import WasiError
from wasilab.wasi.host import Host
from wasilab.wasi.library import LIBRARY_LOOKUP, library_lookup
from wasilab.wasi.preview1.spec import MODULES

START = 1_700_000_000_123_456_000


class Builder:
    """Records calls with a clock of its own: each call begins 1000 ns after the one before it ended."""

    def __init__(
        self, budget: int = 1 << 30, *, spool: Path | None = None, unstable: bool = False, **meta: Any
    ) -> None:
        self.recorder = Recorder(budget, spool=spool, meta={"start_epoch_ns": START, **meta})
        self.write = self.recorder.make_writer()
        self.calls = MODULES["wasi_unstable" if unstable else "wasi_snapshot_preview1"]
        self.flags = 8 if unstable else 0
        self.lives = 0
        self.fds: dict[int, Any] = {}
        for fd, name in enumerate(("<stdin>", "<stdout>", "<stderr>")):
            self.open(fd, name, filetype=2)
        self.now = self.recorder.start_clock()
        self.recorder.meta["start_epoch_ns"] = START

    def open(self, fd: int, path: str | bytes, *, preopen: str | None = None, filetype: int = 4) -> int:
        """Open a descriptor by the next call (or before the first); return its life."""
        self.lives += 1
        descriptor = SimpleNamespace(life=self.lives, fd=fd, path=path, preopen=preopen, filetype=filetype)
        self.fds[fd] = descriptor
        self.recorder.on_open(descriptor)
        return self.lives

    def close(self, fd: int) -> None:
        """Close a descriptor by the next call."""
        self.recorder.on_close(self.fds.pop(fd))

    def call(
        self, name: str, *words: int, path: bytes | None = None, aux: bytes = b"", data: bytes = b"", result: int = 0,
        errno: int = 0, denied: int = 0, reason: str = "", flags: int = 0, dur: int = 500, fd: int | None = None,
        stack: int = 0, gap: int = 1000, handle: int = 0, need: Need | None = None,
    ) -> int:  # fmt: skip
        """Record a call with these 32-bit words; return its seq."""
        spec = self.calls[name]
        total = sum(2 if word == "i64" else 1 for _, word in spec.words)
        full = [*words, *[0x100] * (total - len(words))]
        head = [*full, 0, 0, 0, 0][:4]
        index = self.recorder.intern_reason(reason, need) if reason else 0
        payload = pack_payload(aux, data, full[4:], index) if aux or data or index or total > 4 else None
        if not handle and ((spec.params and spec.params[0].type.kind == "fd") or fd is not None):
            descriptor = self.fds.get(words[0] if fd is None else fd)
            handle = descriptor.life if descriptor is not None else 0
        seq = len(self.recorder)
        self.now += gap
        self.write(
            self.now, dur, result, handle, path, payload, spec.number, errno, denied, self.flags | flags, *head, stack
        )
        self.now += dur
        return seq

    # -- calls as programs make them ---------------------------------------------------------------------------------

    def write_text(self, fd: int, text: bytes, **more: Any) -> int:
        """`fd_write` of one buffer."""
        aux = struct.pack("<II", 0x1000, len(text))
        return self.call("fd_write", fd, 0x2000, 1, 0x3000, aux=aux, data=text[:64], result=len(text), **more)

    def read_text(self, fd: int, text: bytes, room: int = 4096, **more: Any) -> int:
        """`fd_read` into one buffer."""
        aux = struct.pack("<II", 0x1000, room)
        return self.call("fd_read", fd, 0x2000, 1, 0x3000, aux=aux, data=text[:64], result=len(text), **more)

    def path_open(self, directory: int, path: bytes, opened: int | None = None, **more: Any) -> int:
        """`path_open` for reading; with `opened`, the number that it returns."""
        if opened is not None:
            base = self.fds[directory].path
            self.open(opened, base.rstrip("/") + "/" + path.decode())
            more["result"] = opened
        return self.call(
            "path_open", directory, 1, 0x4000, len(path), 0, 2, 0, 0, 0, 0, 0x3000, path=path, fd=directory, **more
        )

    def stat_path(self, directory: int, path: bytes, **more: Any) -> int:
        """`path_filestat_get` of a file of 100 bytes."""
        aux = t.FILESTAT.pack(1, 2, 4, 1, 100, 10**18, 10**18 + 1, 10**18 + 2)
        return self.call("path_filestat_get", directory, 1, 0x4000, len(path), 0x3000, path=path, aux=aux, **more)

    def library_lookup(self, path: bytes) -> int:
        """A path that the program's own library refused."""
        host = Host(preopens={fd.preopen: MemDir() for fd in self.fds.values() if fd.preopen is not None})
        with pytest.raises(WasiError) as caught:
            library_lookup(host, path)
        refused = caught.value
        index = self.recorder.intern_reason(refused.reason, refused.need)
        seq = len(self.recorder)
        self.now += 1000
        payload, number, errno, by = pack_payload(reason=index), LIBRARY_LOOKUP.number, refused.errno, refused.denied_by
        self.write(self.now, 0, 0, 0, path, payload, number, errno, by, 0, 0x4000, len(path), 0, 0)
        return seq

    def close_fd(self, fd: int) -> int:
        """`fd_close`."""
        descriptor = self.fds[fd]
        self.close(fd)
        self.fds[fd] = descriptor
        seq = self.call("fd_close", fd)
        del self.fds[fd]
        return seq

    def trace(self) -> Trace:
        """What was recorded."""
        return Trace.from_recorder(self.recorder)


class Lines:
    """Finds source lines in a table: module offset -> (file, line)."""

    def __init__(self, table: Mapping[int, tuple[str, int]], units: Mapping[int, str] | None = None) -> None:
        self.table = table
        self.units = units or {}

    def locate(self, offset: int) -> Any:
        found = self.table.get(offset)
        return None if found is None else SimpleNamespace(file=found[0], line=found[1])

    def unit_name(self, offset: int) -> str | None:
        return self.units.get(offset)


def copying(*, granted: bool = True, **meta: Any) -> Builder:
    """A program that copies /data/a.txt to stdout; without the grant it is refused."""
    b = Builder(**meta)
    b.open(3, "/data", preopen="/data", filetype=3)
    if granted:
        b.path_open(3, b"a.txt", opened=4)
        b.read_text(4, b"hello\n")
        b.write_text(1, b"hello\n")
        b.read_text(4, b"")
        b.close_fd(4)
    else:
        b.path_open(3, b"a.txt", errno=76, denied=1, reason="'a.txt' was asked for, and '/data' is granted for nothing")
        b.write_text(2, b"cannot open a.txt\n")
    b.call("proc_exit", 0 if granted else 1, errno=255)
    return b


def many(n: int, seed: int = 1) -> Trace:
    """A long trace of mixed calls, the same for the same seed."""
    import random

    rnd = random.Random(seed)
    b = Builder()
    b.open(3, "/data", preopen="/data", filetype=3)
    b.open(4, "/data/a.txt")
    for i in range(n):
        k = rnd.randrange(10)
        dur = 100 + rnd.randrange(3000)
        if k < 4:
            b.write_text(1, b"line %010d\n" % (i % 1000), dur=dur)
        elif k < 6:
            b.read_text(4, b"abcdefgh%08d" % (i % 500), dur=dur)
        elif k < 8:
            b.call("clock_time_get", 1, 1000, 0, 0x100, result=10**18 + i, dur=dur)
        elif k == 8:
            b.stat_path(3, b"f%d.txt" % (i % 50), dur=dur)
        elif i % 7:
            b.path_open(3, b"f%d.txt" % (i % 50), errno=44, dur=dur)
        else:
            b.path_open(3, b"../etc/passwd", errno=63, denied=3, reason="it leaves the directory", dur=dur)
    return b.trace()


def anything(n: int, seed: int = 0, *, unstable: bool = False) -> Builder:
    """Calls of all kinds with all kinds of words, payloads and outcomes, as a file made to mislead may hold them."""
    r = random.Random(seed)
    b = Builder(unstable=unstable)
    b.open(3, "/d", preopen="/d", filetype=3)
    b.open(4, b"/d/\xff\x1b")
    for _ in range(n):
        name = r.choice(list(b.calls))
        spec = b.calls[name]
        total = sum(2 if word == "i64" else 1 for _, word in spec.words)
        words = [r.choice([0, 1, 3, 4, r.getrandbits(32), r.getrandbits(5)]) for _ in range(total)]
        kinds = {param.type.kind for param in spec.params}
        aux, data = bytes(r.choice([0, 3])), r.randbytes(r.choice([0, 8, 40]))
        if kinds & {"iovecs", "ciovecs"}:
            lengths = [r.choice([0, 1, 5, 16, 100]) for _ in range(r.choice([0, 1, 1, 2, 2, 3, 9]))]
            aux = b"".join(struct.pack("<II", r.getrandbits(16), length) for length in lengths)
            data = bytes(r.choices(b'ab"\n\\\xff%', k=r.choice([0, 3, 6, 64])))
        elif name == "poll_oneoff":
            words[2] = r.randint(0, 3)
            aux = b"".join(r.randbytes(8) + bytes([r.randint(0, 3)]) + r.randbytes(39) for _ in range(words[2]))
            aux += r.randbytes(32 * r.randint(0, 2))
        elif spec.results and spec.results[0].type.record:
            aux = r.randbytes(spec.results[0].type.size if r.random() < 0.9 else 0)
        elif len(spec.results) == 2:
            aux = r.randbytes(4)
        b.call(
            name, *words, path=r.choice([None, b"a.txt", b"%s", "\u202e".encode()]), aux=aux, data=data,
            result=r.choice([0, 1, 2, 3, r.getrandbits(64)]), errno=r.choice([0, 0, 0, 0, 8, 44, 255, 99]),
            denied=r.choice([*[0] * 9, 1, 7, 200]), reason=r.choice(["", "no %s"]),
            flags=r.choice([*[0] * 9, 1, 2, 4, 16, 32, 55]), dur=r.choice([0, 500, 12 * 10**9]),
            gap=r.choice([1, 10**6, 10**10]),
        )  # fmt: skip
    return b
