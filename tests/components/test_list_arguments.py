"""Lists that a guest gives its host: at the borders of memory, beyond them, and where the result is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from wasilab.capabilities.host.hostdir import HostDir
from wasilab.trace.record.recorder import Recorder
from wasilab.trace.trace import Trace
from wasilab.wasi.types import Trap

from ..bench.components import GUEST
from .running import Running

PAGE = 0x10000
END = 2 * PAGE
PATTERN = bytes(range(1, 251)) * 20

# The guest of the benchmark, with calls whose words the test gives.
_EXPORTS = """
    (func (export "fill") (param i32 i32) (local $i i32)
      (loop $more
        (if (i32.lt_u (local.get $i) (local.get 1)) (then
          (i32.store8 (i32.add (local.get 0) (local.get $i))
            (i32.add (i32.rem_u (local.get $i) (i32.const 250)) (i32.const 1)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $more)))))
    (func (export "peek") (param i32) (result i32) (i32.load8_u (local.get 0)))
    (func (export "grow") (result i32) (memory.grow (i32.const 1)))
    (func (export "say") (param i32 i32 i32) (call $print (global.get $out) (local.get 0) (local.get 1) (local.get 2)))
    (func (export "put") (param i32 i32 i64 i32)
      (call $write (global.get $file) (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
    (func (export "start")"""
_LIFTS = """
  (func (export "fill") (param "at" u32) (param "n" u32) (canon lift (core func $i "fill")))
  (func (export "peek") (param "at" u32) (result u32) (canon lift (core func $i "peek")))
  (func (export "grow") (result u32) (canon lift (core func $i "grow")))
  (func (export "say") (param "at" u32) (param "n" u32) (param "to" u32) (canon lift (core func $i "say")))
  (func (export "put") (param "at" u32) (param "n" u32) (param "offset" u64) (param "to" u32)
    (canon lift (core func $i "put")))
  (func (export "start") (canon lift"""
TEXT = GUEST.replace('\n    (func (export "start")', _EXPORTS).replace('\n  (func (export "start") (canon lift', _LIFTS)


class Writing:
    """The guest, traced, with a file on the host."""

    def __init__(self, folder: Path, snaplen: int | None = 64) -> None:
        self.file = folder / "file"
        self.file.write_bytes(b"")
        self.recorder = Recorder(snaplen=snaplen)
        self.running = Running(TEXT, recorder=self.recorder, preopens={"/": HostDir(folder, mode="rw")})
        self.call = self.running.call
        self.call("start")
        self.call("get-out")

    @property
    def printed(self) -> bytes:
        return bytes(self.running.stdout.data)

    def trace(self) -> Trace:
        return Trace.from_recorder(self.recorder)


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Writing]:
    writing = Writing(tmp_path)
    yield writing
    writing.running.close()


OUTSIDE = [
    (END - 3, 4),  # runs over the end
    (END + 1, 0),  # an empty list outside
    (END, 1),
    (0, END + 1),
    (0xFFFFFFFF, 1),
    (0xFFFFFFFF, 0xFFFFFFFF),  # the sum of both does not fit into 32 bits
    (1, 0xFFFFFFFF),  # wraps around to 0
    (0, 0xFFFFFFFF),
    (0, 1 << 28),  # more than a value may have
]


@pytest.mark.parametrize(("at", "size"), OUTSIDE)
@pytest.mark.parametrize("how", ["say", "put"])
def test_a_list_outside_memory_ends_the_guest(guest: Writing, how: str, at: int, size: int) -> None:
    with pytest.raises(Trap, match=r"outside the memory|too long"):
        guest.call(how, at, size, *([0] if how == "put" else []), 64)
    assert not guest.printed
    assert not guest.file.read_bytes()
    last = guest.trace()[-1]
    assert last.data == b""
    with pytest.raises(Trap):
        guest.call("peek", 0)


@pytest.mark.parametrize(("at", "size"), [(END - 4, 4), (END - 4096, 4096), (END, 0), (0, 0)])
def test_a_list_at_the_border_of_memory_is_written(guest: Writing, at: int, size: int) -> None:
    guest.call("fill", at, size)
    guest.call("say", at, size, 64)
    guest.call("put", at, size, 0, 64)
    assert guest.printed == guest.file.read_bytes() == PATTERN[:size]
    assert [event.data for event in guest.trace()[-2:]] == [PATTERN[: min(size, 64)]] * 2


def test_a_list_in_memory_that_has_grown_is_written(guest: Writing) -> None:
    guest.call("say", 0, 4, 64)  # the host has seen the memory as it was
    assert guest.call("grow") == 2
    guest.call("fill", END - 2, 10)
    guest.call("say", END - 2, 10, 64)
    assert guest.call("grow") == 3
    guest.call("fill", END + PAGE, PAGE)
    guest.call("put", END + PAGE, PAGE, 0, END + PAGE + 8)  # and so is a result in what has grown
    assert guest.printed[4:] == PATTERN[:10]
    assert guest.file.stat().st_size == PAGE
    with pytest.raises(Trap, match="outside the memory"):
        guest.call("say", END + PAGE, PAGE + 1, 64)


@pytest.mark.parametrize(("how", "words"), [("say", ()), ("put", (0,))])
def test_a_list_may_lie_where_the_result_is_written(guest: Writing, how: str, words: tuple[int, ...]) -> None:
    guest.call("fill", 64, 100)
    guest.call(how, 64, 100, *words, 64)
    written = guest.printed if how == "say" else guest.file.read_bytes()
    assert written == PATTERN[:100]
    assert guest.trace()[-1].data == PATTERN[:64]  # as written, not as the result made it
    assert guest.call("peek", 64) == 0  # ok
    if how == "put":
        assert [guest.call("peek", 72), guest.call("peek", 73)] == [100, 0]


@pytest.mark.parametrize("snaplen", [0, 1, 5, 64, None])
def test_the_trace_keeps_as_many_bytes_as_it_should(tmp_path: Path, snaplen: int | None) -> None:
    guest = Writing(tmp_path, snaplen)
    guest.call("fill", 4096, 4096)
    sizes = (0, 1, 3, 4, 5, 6, 63, 64, 65, 4096)
    for size in sizes:
        guest.call("say", 4096, size, 64)
        guest.call("put", 4096, size, 7, 64)
        guest.call("put", 4096, size, (1 << 32) + 7, 64)
    trace = guest.trace()
    events = list(trace[-3 * len(sizes) :])
    for number, size in enumerate(sizes):
        said, put, far = events[3 * number : 3 * number + 3]
        assert [said.data, put.data, far.data] == [PATTERN[:size][:snaplen]] * 3
        assert (said.nbytes, put.nbytes, far.nbytes) == (size, size, size)
        assert (put.args["offset"], far.args["offset"]) == (7, (1 << 32) + 7)
        assert put.result == far.result == {"result": size}
    assert trace[: len(trace)].text()
    guest.running.close()


def test_a_refused_write_keeps_the_memory_as_it_is(tmp_path: Path) -> None:
    guest = Writing(tmp_path)
    guest.call("fill", 4096, 100)
    guest.call("put", 4096, 100, 1 << 63, 64)
    assert guest.call("peek", 64) == 1  # an error
    assert guest.file.read_bytes() == b""
    last = guest.trace()[-1]
    assert (last.errno_name, last.data) == ("EINVAL", b"")
    guest.running.close()
