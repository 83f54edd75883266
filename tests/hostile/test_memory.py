"""The memory ABI: every pointer of every call, bad; huge counts; arrays that overlap; memories of other kinds.

========================  ======================================================================================
case                      expected result
========================  ======================================================================================
pointer 0xffffffff        a trap that names the call and the pointer, the row in the trace, nothing done
pointer at the last byte  the same (or success, where one byte is enough)
pointer misaligned        the same, wherever the witx layout asks for alignment
count or length huge      a trap before anything is allocated, or INVAL where the memory is large enough
arrays that overlap       what they held when the call was made counts
no memory, wrong memory   a trap that says so; calls that need none still work
memory that grows         is seen at once, at any size up to 4 GiB
========================  ======================================================================================
"""

from __future__ import annotations

import struct
from typing import Any

import pytest

import wasilab
from wasilab.capabilities.host.sockets import listen
from wasilab.wasi.preview1.spec import MODULES, Call

from .conftest import Yard
from .guests import ALL, CREAT, OUT, READ, TRUNC, WRITE, Guest, judged, program

PAGES = 2
END = PAGES << 16
IOVECS, SUBS, BUFFER, NAME = 256, 512, 2048, 8192
SOCKET, FILE = 4, 5


def good(call: Call) -> list[int]:
    """Core words with which the call gets past every check of its pointers."""
    words: list[int] = []
    for param in call.params:
        kind, name = param.type.kind, param.name
        if kind == "fd":
            at_directory = call.family == "path" or call.name.startswith(("fd_readdir", "fd_prestat"))
            words.append(3 if at_directory else SOCKET if call.name == "sock_accept" else FILE)
        elif kind == "scalar":
            words.append(1 if name in ("nsubscriptions", "id") else READ if name == "fs_rights_base" else 0)
        elif kind == "outstrings":
            words += [BUFFER, BUFFER + 512]
        elif kind in ("insubs", "outevents"):
            words.append(SUBS if kind == "insubs" else BUFFER)
        else:
            words += {"string": [NAME, 8], "iovecs": [IOVECS, 1], "ciovecs": [IOVECS, 1], "outbuf": [BUFFER, 64]}[kind]
    return words + [OUT + 64 * n for n in range(len(call.results))]


def pointers(call: Call) -> list[tuple[int, str, int]]:
    """(index among the core words, name, alignment) of every pointer that the call takes."""
    found = []
    at = 0
    for param in call.params:
        kind = param.type.kind
        align = {"string": 1, "outbuf": 1, "iovecs": 4, "ciovecs": 4, "outstrings": 4, "insubs": 8, "outevents": 8}
        if kind in align:
            found.append((at, param.name, align[kind]))
        if kind == "outstrings":
            found.append((at + 1, f"{param.name}_buf", 1))
        at += len(param.type.words)
    return found + [(at + n, f"result.{r.name}", r.type.align) for n, r in enumerate(call.results)]


CALLS = [
    pytest.param(module, call, id=f"{module[5:]}-{call.name}")
    for module, calls in MODULES.items()
    for call in calls.values()
    if pointers(call)
]
BAD = {"far": 0xFFFFFFFF, "at the end": END - 1, "half way": 0x80000000, "misaligned": BUFFER + 1}


def prepared(yard: Yard, module: str = "wasi_snapshot_preview1", **options: Any) -> Guest:
    """A guest with a directory (3), a listening socket (4) and an open file (5)."""
    grants = wasilab.Grants(
        dirs={"/inside": wasilab.HostDir(str(yard.inside), "rw")}, env={"A": "1"}, sockets=(listen("127.0.0.1:0"),),
        limits=wasilab.Limits(seconds=20),
    )  # fmt: skip
    guest = yard.guest(grants=grants, module=module, pages=PAGES, **options).iovec(IOVECS, (BUFFER, 10))
    return guest.put(NAME, b"file.txt").open("file.txt", rights=ALL)


@pytest.mark.parametrize(("module", "call"), CALLS)
def test_every_bad_pointer_of_every_call_ends_the_guest(yard: Yard, module: str, call: Call) -> None:
    tried = 0
    for index, name, align in pointers(call):
        for kind, value in BAD.items():
            if kind == "misaligned" and align == 1:
                continue
            words = good(call)
            words[index] = value
            run = prepared(yard, module, raw=tried % 2 == 0).call(call.name, *words).run().assert_trapped(call.name)
            assert f"0x{value:x}" in (run[1].reason or ""), (name, kind, run[1].reason)
            assert run[0].errno == 0
            assert (yard.inside / "file.txt").read_bytes() == b"inside\n"
            tried += 1
    assert tried >= 3


ANSWERING = [c for c in MODULES["wasi_snapshot_preview1"].values() if c.returns and c.name != "sock_accept"]
"""Those that return at once; a good sock_accept waits for a client (test_resources.py)."""


@pytest.mark.parametrize("call", ANSWERING, ids=lambda c: c.name)
def test_the_same_call_with_good_pointers_does_not(yard: Yard, call: Call) -> None:
    run = prepared(yard).call(call.name, *good(call)).run()
    assert run.run.outcome.kind == "exit"
    assert run[1].errno is not None


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "public"])
def test_a_bad_result_pointer_of_path_open_opens_and_creates_nothing(yard: Yard, raw: bool) -> None:
    guest = yard.guest(raw=raw).open("new.txt", oflags=CREAT, rights=READ | WRITE, out=0xFFFFFFFC)
    guest.run().assert_trapped("path_open: result.opened_fd=0xfffffffc")
    assert not (yard.inside / "new.txt").exists()
    guest = yard.guest(raw=raw).open("file.txt", oflags=TRUNC, rights=READ | WRITE, out=2)
    guest.run().assert_trapped("not aligned")
    assert (yard.inside / "file.txt").read_bytes() == b"inside\n"


@pytest.mark.parametrize("count", [0x20000000, 0x1FFFFFFF, 0xFFFFFFFF, 0x80000000, 20000])
@pytest.mark.parametrize("call", ["fd_read", "fd_write", "fd_pread", "fd_pwrite", "sock_recv", "sock_send"])
def test_a_huge_array_of_buffers_is_refused_before_it_is_read(yard: Yard, call: str, count: int) -> None:
    words = good(MODULES["wasi_snapshot_preview1"][call])
    words[2] = count
    prepared(yard).call(call, *words).run().assert_trapped(f"with {count * 8:,} bytes")


def test_an_array_of_buffers_that_fits_but_is_too_long_is_inval(yard: Yard) -> None:
    guest = prepared(yard)
    for count in (1024, 1025, 14000):
        guest.call("fd_read", FILE, 16384, count, OUT)
        guest.call("fd_write", 1, 16384, count, OUT)
    run = guest.run()
    assert run.errnos() == ["SUCCESS", "SUCCESS", "SUCCESS", "INVAL", "INVAL", "INVAL", "INVAL"]
    assert "1,025 buffers are too many" in (run[3].reason or "")


@pytest.mark.parametrize("count", [1 << 28, 0xFFFFFFFF, 5000, 89478486])
def test_a_huge_number_of_subscriptions_is_refused(yard: Yard, count: int) -> None:
    yard.guest().call("poll_oneoff", SUBS, BUFFER, count, OUT).run().assert_trapped("poll_oneoff: in=0x200")


def test_more_than_4096_subscriptions_are_inval_where_there_is_room(yard: Yard) -> None:
    guest = yard.guest(pages=16).call("poll_oneoff", 0, 1 << 19, 4097, OUT)
    run = guest.run().assert_answered("INVAL")
    assert "4,097 subscriptions are too many" in (run[0].reason or "")


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x80000000, END])
@pytest.mark.parametrize("call", ["random_get", "path_readlink", "fd_readdir", "fd_prestat_dir_name"])
def test_a_huge_buffer_is_refused(yard: Yard, call: str, length: int) -> None:
    definition = MODULES["wasi_snapshot_preview1"][call]
    words = good(definition)
    index = next(
        n for n, (name, _) in enumerate(definition.words) if name in ("buf_len", "path_len") and words[n] == 64
    )
    words[index] = length
    prepared(yard).call(call, *words).run().assert_trapped(f"with {length:,} bytes")


@pytest.mark.parametrize(
    "pair", [(0xFFFFFFFF, 1), (END, 1), (END - 4, 5), (1, 0xFFFFFFFF), (0xFFFFFFF0, 0x20), (END + 1, 0)]
)
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("call", ["fd_read", "fd_write"])
def test_one_bad_buffer_among_good_ones_moves_nothing(yard: Yard, call: str, pair: tuple[int, int], place: int) -> None:
    pairs = [(BUFFER, 4)]
    pairs.insert(place, pair)
    guest = prepared(yard).iovec(IOVECS, *pairs).call(call, FILE, IOVECS, 2, OUT)
    guest.run().assert_trapped(f"0x{pair[0]:x}")
    assert (yard.inside / "file.txt").read_bytes() == b"inside\n"


def test_buffers_that_overlap_each_other_are_filled_in_order(yard: Yard) -> None:
    guest = prepared(yard).iovec(IOVECS, (BUFFER, 4), (BUFFER + 2, 3)).call("fd_read", FILE, IOVECS, 2, OUT)
    guest.iovec(IOVECS + 64, (BUFFER, 5)).call("fd_write", 1, IOVECS + 64, 1, OUT)
    run = guest.run().assert_answered(*["SUCCESS"] * 3)
    assert run.run.stdout == "inde\n"


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "public"])
def test_a_buffer_over_its_own_array_of_buffers_changes_nothing_of_the_call(yard: Yard, raw: bool) -> None:
    """The first buffer overwrites the second's entry; the second must be filled where the array said at first."""
    (yard.inside / "evil").write_bytes(struct.pack("<II", 0xFFFFFF00, 0xFFFF) + b"tail")
    guest = prepared(yard, raw=raw).open("evil", rights=READ)
    guest.iovec(IOVECS, (IOVECS + 8, 8), (BUFFER, 4)).call("fd_read", 6, IOVECS, 2, OUT)
    guest.iovec(IOVECS + 64, (BUFFER, 4)).call("fd_write", 1, IOVECS + 64, 1, OUT)
    run = guest.run().assert_answered(*["SUCCESS"] * 4)
    assert run.run.stdout == "tail"
    assert run[2].result["nread"] == 12


def test_a_result_pointer_into_the_array_of_buffers_is_only_written_at_the_end(yard: Yard) -> None:
    guest = prepared(yard).call("fd_read", FILE, IOVECS, 1, IOVECS).call("fd_read", FILE, IOVECS, 1, OUT)
    guest.run().assert_answered(*["SUCCESS"] * 3)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_poll_with_events_over_its_subscriptions(yard: Yard, module: str) -> None:
    size = 48 if module.endswith("1") else 56
    clock = struct.pack("<QB7xQ" if size == 56 else "<QB7x", 7, 0, *([0] if size == 56 else []))
    clock += struct.pack("<IxxxxQQHxxxxxx", 1, 0, 0, 0)
    guest = prepared(yard, module).put(SUBS, clock * 3).call("poll_oneoff", SUBS, SUBS, 3, OUT)
    run = guest.run().assert_answered("SUCCESS", "SUCCESS")
    assert run[1].result["nevents"] == 3


def test_arguments_over_their_own_array(yard: Yard) -> None:
    prepared(yard).call("args_get", 0, 0).call("environ_get", 4, 1).call("args_get", END - 8, 0).run().assert_answered(
        "SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS"
    )


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "public"])
def test_memory_that_grows_between_calls_is_seen(raw: bool) -> None:
    grow = "(drop (memory.grow (i32.const 1)))"
    call = "(drop (call $random_get (i32.const {}) (i32.const 4096)))"
    body = call.format(0) + "".join(grow + call.format(((n + 1) << 16) + 61440) for n in range(5))
    run = judged(program("random_get", body), raw=raw)
    assert run.errnos() == ["SUCCESS"] * 6
    body += call.format((6 << 16) + 61440)
    judged(program("random_get", body), raw=raw).assert_trapped("outside the memory of 393,216 bytes")


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "public"])
def test_pointers_beyond_2_gib_are_not_negative(raw: bool) -> None:
    high = -0x70000000  # 0x90000000
    body = f"""
      (i32.store (i32.const {high}) (i32.const {high + 16})) (i32.store (i32.const {high + 4}) (i32.const 3))
      (i32.store (i32.const {high + 16}) (i32.const 0x0a6968))
      (drop (call $fd_write (i32.const 1) (i32.const {high}) (i32.const 1) (i32.const {high + 8})))
      (drop (call $random_get (i32.const -8) (i32.const 8)))
      (drop (call $random_get (i32.const -8) (i32.const 9)))"""
    grants = wasilab.Grants(limits=wasilab.Limits(memory=1 << 32))
    text = program("fd_write random_get", body, memory='(memory (export "memory") 65536)')
    run = judged(text, grants, raw=raw).assert_trapped(
        "buf=0xfffffff8 with 9 bytes lies outside the memory of 4,294,967,296 bytes"
    )
    assert run.run.stdout == "hi\n"
    assert run.errnos()[:2] == ["SUCCESS", "SUCCESS"]


MEMORIES = {
    "none": ("", "it exports none"),
    "under another name": ('(memory (export "mem") 1)', "it exports none"),
    "a function": ('(memory 1) (func (export "memory"))', "it exports none"),
    "a global": ('(memory 1) (global (export "memory") i32 (i32.const 0))', "it exports none"),
    "a table": ('(memory 1) (table (export "memory") 1 funcref)', "it exports none"),
    "64 bits": ('(memory (export "memory") i64 1)', "64-bit memory"),
    "empty": ('(memory (export "memory") 0)', "outside the memory of 0 bytes"),
}


@pytest.mark.parametrize("kind", MEMORIES)
@pytest.mark.parametrize("raw", [True, False], ids=["raw", "public"])
def test_a_module_without_a_memory_for_wasi(kind: str, raw: bool) -> None:
    memory, words = MEMORIES[kind]
    yields = "(drop (call $sched_yield))"
    read = "(drop (call $random_get (i32.const 0) (i32.const 4)))"
    run = judged(program("random_get sched_yield", yields + read + yields, memory=memory), raw=raw)
    run.assert_trapped(words)
    assert run.errnos() == ["SUCCESS", "-"]
    assert words in (run[1].reason or "")


@pytest.mark.parametrize("call", sorted(MODULES["wasi_snapshot_preview1"]))
def test_no_call_needs_a_memory_to_fail_cleanly(call: str) -> None:
    """With no memory at all every call ends in an errno, a trap, or the exit."""
    definition = MODULES["wasi_snapshot_preview1"][call]
    run = Guest(memory=False).call(call, *good(definition)).run()
    assert run.run.outcome.kind in ("exit", "trap")
    assert len(run.run.trace) == 1
