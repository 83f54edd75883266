"""`wasi_unstable` end to end: its own layouts in the guest's memory, and everything else as in preview1.

Wasmtime's Python package does not offer the old module, so these claims rest on the witx document of snapshot 0.
"""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from wasilab.capabilities.host.hostdir import HostDir
from wasilab.capabilities.memory.memdir import MemDir
from wasilab.capabilities.protocols import Directory

from .relay import Ours


@pytest.fixture(params=["host", "memory"])
def both(request: pytest.FixtureRequest, tmp_path: Path):
    """The same directory under a guest of each module: (preview1, unstable)."""
    (tmp_path / "file").write_bytes(b"0123456789")
    folder: Directory = HostDir(tmp_path, "rw") if request.param == "host" else MemDir({"file": "0123456789"})
    callers = [Ours({"/": folder}), Ours({"/": folder}, module="wasi_unstable")]
    yield callers
    for caller in callers:
        caller.close()


def test_filestat_is_the_same_in_the_older_layout(both) -> None:
    new, old = both
    for caller in both:
        caller.call("path_filestat_set_times", 3, 0, "file", 10**18, 2 * 10**18, 5)
    first = new.call("path_filestat_get", 3, 0, "file").values[0]
    assert old.call("path_filestat_get", 3, 0, "file").values[0][:7] == first[:7]
    assert first[3:7] == (1, 10, 10**18, 2 * 10**18)
    opened = [caller.open(3, "file") for caller in both]
    stats = [caller.call("fd_filestat_get", fd).values[0][:7] for caller, fd in zip(both, opened, strict=True)]
    assert stats[0] == stats[1]


def test_filestat_writes_56_bytes_and_no_more(both) -> None:
    _, old = both
    old.poke(8192, b"\xee" * 72)
    old.poke(4096, b"file")
    assert old.export("path_filestat_get", 3, 0, 4096, 4, 8192) == 0
    raw = old.peek(8192, 72)
    assert raw[56:] == b"\xee" * 16
    assert raw[16] == 4
    assert struct.unpack_from("<IQ", raw, 20) == (1, 10)


def test_whence_is_cur_end_set(both) -> None:
    _, old = both
    fd = old.open(3, "file")
    assert old.call("fd_seek", fd, 4, 2).values == (4,)
    assert old.call("fd_seek", fd, 1, 0).values == (5,)
    assert old.call("fd_seek", fd, -1, 1).values == (9,)
    assert old.call("fd_seek", fd, 0, 3).errno == "INVAL"


def test_poll_reads_subscriptions_of_56_bytes(both) -> None:
    _, old = both
    clock = struct.pack("<QBxxxxxxxQIxxxxQQHxxxxxx", 7, 0, 0xABCD, 1, 1_000_000, 0, 0)
    stdout = struct.pack("<QBxxxxxxxQIxxxxQQHxxxxxx", 8, 2, 1, 0, 0, 0, 0)
    old.poke(8192, clock + stdout)
    assert old.export("poll_oneoff", 8192, 12288, 2, 16384) == 0
    assert struct.unpack("<I", old.peek(16384, 4)) == (1,)
    assert struct.unpack_from("<QHB", old.peek(12288, 32)) == (8, 0, 2)
    assert old.export("poll_oneoff", 8192, 12288, 1, 16384) == 0
    assert struct.unpack_from("<QHB", old.peek(12288, 32)) == (7, 0, 0)


def test_all_else_is_shared(both) -> None:
    for call in (("args_get",), ("environ_get",), ("clock_res_get", 1), ("fd_fdstat_get", 3), ("fd_prestat_get", 3)):
        new, old = (caller.call(*call) for caller in both)
        assert new == old
