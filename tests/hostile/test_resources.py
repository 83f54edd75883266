"""Guests that use up resources: every field of `Limits`, and everything else that is bounded.

=================  ========================================================================================
resource           how a guest notices
=================  ========================================================================================
fuel, seconds      the run ends, kind "limit", 137: loops, sleeps, blocked reads, blocked accepts, start
memory, tables     `memory.grow` and `table.grow` answer -1; too much at the start ends the run
instances          the run does not start
fds                MFILE, denied by quota
bytes_written      short, then NOSPC, denied by quota: files, streams, positioned writes
output             not at all: more is counted and cut
trace              not at all: the oldest calls go and are counted
io                 reads and writes are short
MemDir, copy       NOSPC, denied by quota: contents, names, links, holes, files unlinked but open
the stack          a trap, from WebAssembly and from host calls at its very end
poll               INVAL beyond 4096 subscriptions; no spinning
=================  ========================================================================================
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import wasilab
from wasilab import Limits
from wasilab.capabilities.host.sockets import listen
from wasilab.capabilities.refusal import DeniedBy
from wasilab.capabilities.streams import QueueInput
from wasilab.module.module import from_wat
from wasilab.wasi.host import NAME_COST

from .conftest import Yard
from .fuzz import resident
from .guests import ALL, CREAT, OUT, READ, WRITE, Guest, i32, judged, program
from .test_memory import BUFFER, IOVECS, SUBS

MIB = 1 << 20
RAW = pytest.mark.parametrize("raw", [True, False], ids=["raw", "public"])
LOOP = "(loop $l (br $l))"


def counted(call: str, times: int, setup: str = "") -> str:
    """A loop that makes a call `times` times; `$i` counts, `$e` is the sum of the answers."""
    return f"""(local $i i32) (local $e i32) {setup} (loop $l
      (local.set $e (i32.add (local.get $e) {call}))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get $i) (i32.const {times}))))"""


# ---- time


ENDLESS = {
    "a loop": program("", LOOP),
    "a loop of calls": program("random_get", "(loop $l (drop (call $random_get (i32.const 0) (i32.const 8))) (br $l))"),
    "a start function": f'(module (memory (export "memory") 1) (func $s {LOOP}) (start $s) (func (export "_start")))',
    "a loop in a function": program("", "(call $f)", extra=f"(func $f {LOOP})"),
}


@pytest.mark.parametrize("kind", ENDLESS)
@RAW
def test_an_endless_program_is_ended_by_seconds_and_by_fuel(kind: str, raw: bool) -> None:
    for limits, words in (
        (Limits(seconds=0.2), "the time limit of 0.2 s is over"),
        (Limits(fuel=200_000), "the fuel of 200,000 is used up"),
    ):
        run = judged(ENDLESS[kind], wasilab.Grants(limits=limits), raw=raw).run
        assert (run.outcome.kind, run.exit_code, run.outcome.message) == ("limit", 137, words)


def clock_subscription(timeout: int) -> str:
    """Lines that lay out a subscription to the monotonic clock at `SUBS`."""
    return f"(i32.store {i32(SUBS + 16, 1)}) (i64.store {i32(SUBS + 24)} (i64.const {timeout}))"


@pytest.mark.parametrize("timeout", [(1 << 63) - 1, -1, 1 << 62])
@RAW
def test_a_sleep_of_centuries_is_ended(timeout: int, raw: bool) -> None:
    body = (
        clock_subscription(timeout)
        + f"(drop (call $poll_oneoff (i32.const {SUBS}) (i32.const {BUFFER}) (i32.const 1) (i32.const {OUT})))"
    )
    run = judged(program("poll_oneoff", body), wasilab.Grants(limits=Limits(seconds=0.2)), raw=raw)
    assert run.run.outcome.kind == "limit"
    assert run.errnos() == ["-"]


def test_a_sleep_costs_no_processor_time() -> None:
    """A poll that wakes again and again would be seen here; half of what was slept is a wide margin."""
    body = (
        clock_subscription((1 << 63) - 1)
        + f"(drop (call $poll_oneoff (i32.const {SUBS}) (i32.const {BUFFER}) (i32.const 1) (i32.const {OUT})))"
    )
    module = from_wat(program("poll_oneoff", body))
    wasilab.run(module, (), wasilab.Grants(limits=Limits(seconds=0.05)))
    before = time.process_time()
    wasilab.run(module, (), wasilab.Grants(limits=Limits(seconds=2)))
    assert time.process_time() - before < 1


def test_a_read_without_input_is_ended() -> None:
    stdin = QueueInput()
    guest = Guest(grants=wasilab.Grants(stdin=stdin, limits=Limits(seconds=0.2))).iovec(IOVECS, (BUFFER, 10))
    run = guest.call("fd_read", 0, IOVECS, 1, OUT).run()
    stdin.close()
    assert (run.run.outcome.kind, run.errnos()) == ("limit", ["-"])


@pytest.mark.parametrize("call", ["sock_accept", "sock_recv", "poll"])
def test_an_accept_without_a_client_is_ended(call: str) -> None:
    import socket

    listener = listen("127.0.0.1:0")
    client = socket.create_connection(listener.bind()) if call == "sock_recv" else None
    guest = Guest(grants=wasilab.Grants(sockets=(listener,), limits=Limits(seconds=0.3))).iovec(IOVECS, (BUFFER, 10))
    if call == "poll":
        guest.put(SUBS, b"\0" * 8 + b"\1" + b"\0" * 7 + b"\3" + b"\0" * 31).call("poll_oneoff", SUBS, BUFFER, 1, OUT)
    else:
        guest.call("sock_accept", 3, 0, OUT)
    if call == "sock_recv":
        guest.call("sock_recv", 4, IOVECS, 1, 0, OUT, OUT + 8)
    run = guest.run()
    if client is not None:
        client.close()
    listener.release()
    assert run.run.outcome.kind == "limit"
    assert run.errnos()[-1] == "-"


def test_a_send_to_a_client_that_never_reads_is_ended() -> None:
    import socket

    listener = listen("127.0.0.1:0")
    client = socket.create_connection(listener.bind())
    send = f"(call $sock_send (i32.const 4) (i32.const {IOVECS}) (i32.const 1) (i32.const 0) (i32.const {OUT}))"
    setup = f"""(drop (call $sock_accept (i32.const 3) (i32.const 0) (i32.const {OUT})))
      (i32.store (i32.const {IOVECS + 4}) (i32.const 65536))"""
    run = judged(program("sock_accept sock_send", counted(send, 100_000, setup), memory='(memory (export "memory") 2)'),
                 wasilab.Grants(sockets=(listener,), limits=Limits(seconds=1)))  # fmt: skip
    client.close()
    listener.release()
    assert run.run.outcome.kind == "limit"


# ---- memory, tables, instances, the stack


def test_memory_that_grows_to_its_limit() -> None:
    body = "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (call $proc_exit (memory.size))"
    for limit in (4 * MIB, 16 * MIB):
        run = judged(program("proc_exit", body), wasilab.Grants(limits=Limits(memory=limit))).run
        assert limit - MIB <= run.exit_code << 16 <= limit


@pytest.mark.parametrize("pages", [-1, 0x7FFFFFFF, 65536, 65535, 1 << 20])
def test_a_huge_growth_is_refused_at_once(pages: int) -> None:
    body = f"(call $proc_exit (memory.grow (i32.const {pages})))"
    assert judged(program("proc_exit", body)).run.exit_code == 0xFFFFFFFF


def test_a_module_that_starts_too_large() -> None:
    run = judged(program("", "", memory='(memory (export "memory") 65536)')).run
    assert (run.outcome.kind, run.exit_code) == ("limit", 137)
    assert "4,294,967,296 bytes of memory, above the limit of 1,073,741,824" in run.outcome.message


def test_many_memories_share_the_limit() -> None:
    memories = "".join(f"(memory $m{n} 100)" for n in range(10))
    run = judged(program("", "", extra=memories), wasilab.Grants(limits=Limits(memory=32 * MIB))).run
    assert run.outcome.kind == "limit"


def test_a_table_grows_to_its_limit() -> None:
    body = "(call $proc_exit (table.grow $t (ref.null func) (i32.const 2000000)))"
    run = judged(
        program("proc_exit", body, extra="(table $t 1 funcref)"), wasilab.Grants(limits=Limits(table_elements=1000))
    ).run
    assert run.exit_code == 0xFFFFFFFF


def test_a_table_that_starts_too_large() -> None:
    run = wasilab.run(
        from_wat(program("", "", extra="(table 100000 funcref)")),
        (),
        wasilab.Grants(limits=Limits(table_elements=1000)),
    )
    assert run.outcome.kind in ("error", "limit")
    assert "table" in run.outcome.message


def test_more_instances_than_are_allowed() -> None:
    library = from_wat('(module (func (export "f")))', name="library")
    main = from_wat('(module (import "l3" "f" (func)) (memory (export "memory") 1) (func (export "_start")))')
    preload = {f"l{n}": library for n in range(4)}
    assert wasilab.run(main, (), wasilab.Grants(limits=Limits(instances=5)), preload=preload).exit_code == 0
    run = wasilab.run(main, (), wasilab.Grants(limits=Limits(instances=4)), preload=preload)
    assert (run.outcome.kind, run.exit_code) == ("limit", 137)
    assert "5 instances, above the limit of 4" in run.outcome.message


RECURSION = "(func $f (param i64 i64 i64) (call $f (i64.const 1) (i64.const 2) (i64.const 3)) (drop (i32.const 1)))"


def test_recursion_without_end_is_a_trap() -> None:
    run = judged(program("", "(call $f (i64.const 0) (i64.const 0) (i64.const 0))", extra=RECURSION)).run
    assert run.outcome.kind == "trap"
    assert "recursion" in run.outcome.message
    assert [str(frame)[:11] for frame in run.outcome.frames[:2]] == ["f", "f at offset"]
    assert all(frame.offset < len(run.module.bytes) for frame in run.outcome.frames)


@pytest.mark.slow
@RAW
@pytest.mark.parametrize("stacks", [False, True])
def test_host_calls_at_the_end_of_the_stack(raw: bool, stacks: bool) -> None:
    """Every frame of an endless recursion calls the host, which must have room left at the deepest one."""
    deep = f"""(func $f (param i32) (drop (call $fd_write {i32(1, IOVECS, 1, OUT)}))
      (drop (call $path_open {i32(3, 1, 0, 9, 0)} (i64.const 2) (i64.const 0) {i32(0, OUT)}))
      (if (i32.lt_u (local.get 0) (i32.const 100000)) (then (call $f (i32.add (local.get 0) (i32.const 1)))))
      (drop (i32.const 1)))"""
    text = program("fd_write path_open", "(call $f (i32.const 0))", extra=deep + '(data (i32.const 0) "../secret")')
    grants = wasilab.Grants(dirs={"/m": wasilab.MemDir()}, limits=Limits(trace=8 * MIB, seconds=60))
    run = judged(text, grants, raw=raw, stacks=stacks).run
    assert run.outcome.kind == "trap"
    assert "recursion" in run.outcome.message


# ---- bytes


def test_bytes_written_in_all(yard: Yard) -> None:
    grants = wasilab.Grants(dirs={"/d": wasilab.HostDir(str(yard.inside), "rw")}, limits=Limits(bytes_written=25))
    (yard.inside / "new").write_bytes(b"")
    guest = yard.guest(grants=grants).iovec(IOVECS, (BUFFER, 10)).open("new", rights=ALL)
    guest.call("fd_write", 4, IOVECS, 1, OUT).call("fd_write", 1, IOVECS, 1, OUT).call(
        "fd_pwrite", 4, IOVECS, 1, 10, OUT
    )
    guest.call("fd_write", 4, IOVECS, 1, OUT).call("fd_write", 2, IOVECS, 1, OUT)
    run = guest.run().assert_answered(*["SUCCESS"] * 4, "NOSPC", "NOSPC")
    run.assert_refused(DeniedBy.QUOTA, "the limit of 25 bytes written is used up")
    assert [run[n].result["nwritten"] for n in (1, 2, 3)] == [10, 10, 5]
    assert (yard.inside / "new").stat().st_size == 15


def test_names_in_a_folder_of_the_host_are_bounded(yard: Yard) -> None:
    """A program that makes empty files writes nothing, and could still fill a file system with them."""
    folder = yard.inside / "many"
    folder.mkdir()
    grants = wasilab.Grants(dirs={"/d": wasilab.HostDir(folder, "rw")}, limits=Limits(bytes_written=100 * NAME_COST))
    guest = yard.guest(grants=grants)
    for number in range(120):
        guest.call("path_create_directory", 3, f"d{number}")
    run = guest.run()
    made = sum(1 for _ in folder.iterdir())
    assert run.errnos() == ["SUCCESS"] * made + ["NOSPC"] * (120 - made)
    assert 95 < made < 100
    run.assert_refused(DeniedBy.QUOTA, "a new name counts as")
    guest.grants = grants.with_(limits=Limits(names=20))
    for name in folder.iterdir():
        name.rmdir()
    run = guest.run()
    assert run.errnos() == ["SUCCESS"] * 20 + ["NOSPC"] * 100
    run.assert_refused(DeniedBy.QUOTA, "the limit of 20 new names is used up; raise limits.names")


def test_a_file_that_grows_without_being_written_is_bounded(yard: Yard) -> None:
    (yard.inside / "new").write_bytes(b"")
    grants = wasilab.Grants(dirs={"/d": wasilab.HostDir(yard.inside, "rw")}, limits=Limits(bytes_written=1000))
    guest = yard.guest(grants=grants).iovec(IOVECS, (BUFFER, 1)).open("new", rights=ALL)
    guest.call("fd_filestat_set_size", 4, 1 << 40).call("fd_pwrite", 4, IOVECS, 1, 1 << 40, OUT)
    guest.call("fd_seek", 4, 1 << 40, 0, OUT).call("fd_write", 4, IOVECS, 1, OUT)
    guest.run().assert_answered("SUCCESS", "NOSPC", "NOSPC", "SUCCESS", "NOSPC")
    assert (yard.inside / "new").stat().st_size == 0


@RAW
def test_a_call_moves_at_most_io(yard: Yard, raw: bool) -> None:
    (yard.inside / "big").write_bytes(bytes(5000))
    grants = wasilab.Grants(dirs={"/d": wasilab.HostDir(str(yard.inside), "rw")}, limits=Limits(io=1000))
    guest = yard.guest(grants=grants, raw=raw).iovec(IOVECS, *[(BUFFER, 400)] * 5).open("big", rights=ALL)
    guest.iovec(IOVECS + 64, (BUFFER, 1 << 16))
    guest.call("fd_read", 4, IOVECS, 5, OUT).call("fd_read", 4, IOVECS + 64, 1, OUT).call("fd_write", 1, IOVECS, 5, OUT)
    run = guest.run().assert_answered(*["SUCCESS"] * 4)
    assert [run[n].result.get("nread", run[n].result.get("nwritten")) for n in (1, 2, 3)] == [1000] * 3


FLOOD = f"(call $fd_write (i32.const 1) (i32.const {IOVECS}) (i32.const 1) (i32.const {OUT}))"


@pytest.mark.slow
@pytest.mark.parametrize("listening", [False, True], ids=["kept", "shown"])
def test_a_flood_of_a_million_tiny_writes(listening: bool) -> None:
    """Output and trace stay within their limits, and what is kept costs about its size."""
    setup = f"(i32.store (i32.const {IOVECS}) (i32.const 100)) (i32.store (i32.const {IOVECS + 4}) (i32.const 2))"
    shown: list[int] = []
    grants = wasilab.Grants(limits=Limits(output=MIB, trace=4 * MIB, seconds=200))
    text = program("fd_write", counted(FLOOD, 1_000_000, setup), extra='(data (i32.const 100) "x\\n")')
    before = resident()
    run = judged(text, grants, on_stdout=(lambda data: shown.append(len(data))) if listening else None).run
    assert run.exit_code == 0
    assert len(run.stdout_bytes) == MIB
    assert run.output_cut == 2_000_000 - MIB
    kept = run.weight  # before the trace is read, which adds decoded columns
    assert MIB < kept <= 4 * MIB
    assert len(run.trace) + run.trace.dropped == 1_000_000
    assert len(run.trace) * 5 < kept < len(run.trace) * 100
    if listening:
        assert sum(shown) == MIB
        assert len(shown) < 5000
    assert resident() - before < 100 * MIB


def test_output_that_is_kept_costs_its_size() -> None:
    from wasilab.engine.output import Output

    output = Output(64 * MIB)
    before = resident()
    for _ in range(1_000_000):
        output.keep(1, b"ab"[:].upper())
    assert len(output.bytes(1)) == 2_000_000
    assert resident() - before < 20 * MIB


def test_the_trace_drops_the_oldest_and_says_how_many() -> None:
    text = program("random_get", counted("(call $random_get (i32.const 0) (i32.const 1))", 200_000))
    run = judged(text, wasilab.Grants(limits=Limits(trace=MIB))).run
    assert run.weight <= 5 * MIB // 4  # the last chunk is kept whatever it weighs
    assert run.trace.dropped + len(run.trace) == 200_000
    assert run.trace.dropped > 150_000
    assert run.trace[len(run.trace) - 1].seq == 199_999


@pytest.mark.slow
def test_a_trace_of_long_paths_and_long_reasons_stays_within_its_budget() -> None:
    """Each of 30,000 refusals has a path of 4000 bytes of its own, which the reason repeats, escaped."""
    number = "".join(
        f"(i32.store8 {i32(1010 + n)} (i32.add {i32(65)} (i32.and {i32(15)} (i32.shr_u (local.get $i) {i32(4 * n)}))))"
        for n in range(4)
    )
    call = """(call $path_open (i32.const 3) (i32.const 0) (i32.const 1000) (i32.const 4000) (i32.const 0) (i64.const 2)
      (i64.const 0) (i32.const 0) (i32.const 8))"""
    body = counted(f"(block (result i32) {number} {call})", 30_000)
    text = program("path_open", body, extra='(data (i32.const 1000) "/abcdefg' + "\\1b" * 3992 + '")')
    before = resident()
    grants = wasilab.Grants(dirs={"/m": wasilab.MemDir()}, limits=Limits(trace=4 * MIB))
    run = judged(text, grants).run
    assert run.weight <= 4 * MIB
    assert set(run.trace["errno"].tolist()) == {63}
    assert run.trace.dropped > 20_000
    assert resident() - before < 120 * MIB


# ---- folders


def writing(times: int, size: int) -> str:
    """A guest that opens `new` in directory 3 and writes `size` bytes `times` times; it exits with the last errno."""
    return program(
        "path_open fd_write proc_exit",
        f"""(local $i i32) (local $e i32)
        (drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 3) (i32.const 1) (i64.const 66)
          (i64.const 0) (i32.const 0) (i32.const {OUT})))
        (i32.store (i32.const {IOVECS + 4}) (i32.const {size}))
        (loop $l
          (local.set $e (call $fd_write (i32.const 4) (i32.const {IOVECS}) (i32.const 1) (i32.const {OUT})))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $l (i32.and (i32.eqz (local.get $e)) (i32.lt_u (local.get $i) (i32.const {times})))))
        (call $proc_exit (local.get $e))""",
        extra='(data (i32.const 16) "new")',
    )  # fmt: skip


def test_a_folder_in_memory_has_a_quota() -> None:
    memory = wasilab.MemDir({"there": "x" * 100}, max_bytes=100_000)
    run = judged(writing(1000, 1000), wasilab.Grants(dirs={"/m": memory}))
    assert run.run.exit_code == 51
    run.assert_refused(DeniedBy.QUOTA, "limit of 100000", call=len(run.run.trace) - 2)
    assert 98_000 < len(memory.files()["new"]) <= 100_000


@pytest.mark.parametrize("how", ["size", "allocate", "hole"])
def test_holes_count_against_the_quota(how: str) -> None:
    memory = wasilab.MemDir(max_bytes=100_000)
    guest = (
        Guest(grants=wasilab.Grants(dirs={"/m": memory}, limits=Limits(bytes_written=None)))
        .iovec(IOVECS, (BUFFER, 10))
        .open("new", oflags=CREAT, rights=ALL)
    )
    for size in (1 << 20, 1 << 30, 1 << 43):
        if how == "size":
            guest.call("fd_filestat_set_size", 4, size)
        elif how == "allocate":
            guest.call("fd_allocate", 4, 0, size)
        else:
            guest.call("fd_pwrite", 4, IOVECS, 1, size, OUT)
    before = resident()
    run = guest.run().assert_answered("SUCCESS", *["NOSPC"] * 3).assert_refused(DeniedBy.QUOTA, "full")
    assert resident() - before < 50 * MIB
    assert run[1].reason


def test_an_unlinked_open_file_counts_until_it_is_closed() -> None:
    memory = wasilab.MemDir(max_bytes=10_000)
    guest = Guest(grants=wasilab.Grants(dirs={"/m": memory}))
    for fd in (4, 5):
        guest.open("new", oflags=CREAT, rights=ALL).call("fd_filestat_set_size", fd, 8000).call(
            "path_unlink_file", 3, "new"
        )
    guest.call("fd_close", 4).call("fd_filestat_set_size", 5, 8000)
    guest.run().assert_answered("SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS", "NOSPC", "SUCCESS", "SUCCESS", "SUCCESS")


@pytest.mark.parametrize("what", ["files", "directories", "links", "hard links"])
def test_names_in_memory_are_bounded(what: str) -> None:
    memory = wasilab.MemDir({"file": ""}, max_names=100, max_bytes=100_000)
    name = f"""(i32.store {i32(32)} (i32.add {i32(0x30303030)} (i32.or (i32.and (local.get $i) {i32(15)})
      (i32.shl (i32.shr_u (local.get $i) {i32(4)}) {i32(8)}))))"""
    call = {
        "files": f"(call $path_open {i32(3, 0, 32, 4, 1)} (i64.const 2) (i64.const 0) {i32(0, 8)})",
        "directories": "(call $path_create_directory (i32.const 3) (i32.const 32) (i32.const 4))",
        "links": "(call $path_symlink (i32.const 1024) (i32.const 900) (i32.const 3) (i32.const 32) (i32.const 4))",
        "hard links": f"(call $path_link {i32(3, 0, 48, 4, 3, 32, 4)})",
    }[what]  # fmt: skip
    close = "(drop (call $fd_close (i32.const 4)))" if what == "files" else ""
    body = counted(f"(block (result i32) {name} {call} {close})", 300)
    text = program(
        "path_open path_create_directory path_symlink path_link fd_close", body,
        extra='(data (i32.const 48) "file") (data (i32.const 1024) "' + "t" * 900 + '")',
    )  # fmt: skip
    run = judged(text, wasilab.Grants(dirs={"/m": memory}))
    assert len(memory.list()) == 100
    assert "NOSPC" in run.errnos()
    refused = [event for event in run.run.trace if event.errno_name == "ENOSPC"]
    assert {int(event.denied_by) for event in refused} == {int(DeniedBy.QUOTA)}


def test_directories_nested_without_end(yard: Yard) -> None:
    """Down through descriptors, so that no path is long; what walks over the tree afterwards must not break."""
    body = counted(
        """(block (result i32) (drop (call $path_create_directory (i32.const 3) (i32.const 32) (i32.const 1)))
        (drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 32) (i32.const 1) (i32.const 2)
          (i64.const 0x1fffffbf)
          (i64.const 0x1fffffff) (i32.const 0) (i32.const 8)))
        (call $fd_renumber (i32.load (i32.const 8)) (i32.const 3)))""",
        5000,
    )  # fmt: skip
    text = program("path_create_directory path_open fd_renumber", body, extra='(data (i32.const 32) "d")')
    memory = wasilab.MemDir()
    judged(text, wasilab.Grants(dirs={"/m": memory}))
    assert memory.files()
    run = judged(text, wasilab.Grants(dirs={"/c": wasilab.HostDir(str(yard.inside), "copy")}))
    assert run.run.changes.created
    assert str(run.run.changes)
    assert run.run._repr_mimebundle_()


def test_a_copy_larger_than_its_bound_is_not_begun(yard: Yard) -> None:
    with (yard.inside / "huge").open("wb") as huge:
        huge.truncate(1 << 40)
    from wasilab.grants.value import GrantError

    before = resident()
    with pytest.raises((GrantError, ValueError), match="grant a smaller folder"):
        wasilab.run(
            from_wat(program("", "")), (), wasilab.Grants(dirs={"/c": wasilab.HostDir(str(yard.inside), "copy")})
        )
    assert resident() - before < 300 * MIB


def test_a_sparse_file_of_the_host_is_read_within_io(yard: Yard) -> None:
    with (yard.inside / "huge").open("wb") as huge:
        huge.truncate(1 << 40)
    guest = yard.guest().iovec(IOVECS, (BUFFER, 1 << 16)).open("huge")
    guest.call("fd_pread", 4, IOVECS, 1, 1 << 39, OUT).call("fd_seek", 4, 0, 2, OUT).call("fd_read", 4, IOVECS, 1, OUT)
    guest.run().assert_answered(*["SUCCESS"] * 4)


# ---- descriptors, polls, randomness


def test_connections_count_as_descriptors() -> None:
    import socket

    listener = listen("127.0.0.1:0")
    clients = [socket.create_connection(listener.bind()) for _ in range(4)]
    guest = Guest(grants=wasilab.Grants(sockets=(listener,), limits=Limits(fds=6, seconds=20)))
    for _ in range(4):
        guest.call("sock_accept", 3, 0, OUT)
    run = guest.run().assert_answered("SUCCESS", "SUCCESS", "MFILE", "MFILE")
    run.assert_refused(DeniedBy.QUOTA, "limit of 6")
    for client in clients:
        client.close()
    listener.release()
    assert run.run.exit_code == 0


@pytest.mark.parametrize("tag", [0, 1, 2, 3])
def test_a_poll_of_thousands(tag: int) -> None:
    """4096 of a kind are served in one call, each with its event."""
    entry = bytes(8) + bytes([tag]) + bytes(7) + (1).to_bytes(4, "little") + bytes(28)
    grants = wasilab.Grants(limits=Limits(seconds=30))
    guest = Guest(grants=grants, pages=8).put(0, entry * 4096).call("poll_oneoff", 0, 256 << 10, 4096, 500 << 10)
    run = guest.run().assert_answered("SUCCESS")
    assert run[0].result["nevents"] == 4096


def test_a_poll_of_thousands_of_waiting_descriptors_is_ended() -> None:
    stdin = QueueInput()
    entry = bytes(8) + b"\1" + bytes(7) + (0).to_bytes(4, "little") + bytes(28)
    guest = Guest(grants=wasilab.Grants(stdin=stdin, limits=Limits(seconds=0.5)), pages=8)
    run = guest.put(0, entry * 4096).call("poll_oneoff", 0, 256 << 10, 4096, 500 << 10).run()
    stdin.close()
    assert run.run.outcome.kind == "limit"


def test_a_gigabyte_of_randomness_can_be_stopped() -> None:
    body = "(drop (call $random_get (i32.const 0) (i32.const 0x30000000)))"
    text = program("random_get", f"(loop $l {body} (br $l))", memory='(memory (export "memory") 12288)')
    run = judged(text, wasilab.Grants(limits=Limits(seconds=0.5)))
    assert run.run.outcome.kind == "limit"


def test_a_limit_that_ends_a_run_leaves_the_next_one_whole(tmp_path: Path) -> None:
    text = program("", LOOP)
    for _ in range(3):
        assert judged(text, wasilab.Grants(limits=Limits(seconds=0.05))).run.exit_code == 137
    assert judged(program("proc_exit", "(call $proc_exit (i32.const 7))")).run.exit_code == 7


@pytest.mark.parametrize("rights", [READ, WRITE])
def test_opening_and_closing_without_end_leaves_nothing(yard: Yard, rights: int) -> None:
    call = f"""(block (result i32)
      (drop (call $path_open (i32.const 3) (i32.const 1) (i32.const 32) (i32.const 8) (i32.const 0) (i64.const {rights})
        (i64.const 0) (i32.const 0) (i32.const 8))) (call $fd_close (i32.const 4)))"""
    text = program("path_open fd_close", counted(call, 20_000), extra='(data (i32.const 32) "file.txt")')
    before = resident()
    run = judged(
        text, wasilab.Grants(dirs={"/d": wasilab.HostDir(str(yard.inside), "rw")}, limits=Limits(trace=2 * MIB))
    )
    assert run.run.weight <= 2 * MIB
    assert set(run.errnos()) == {"SUCCESS"}
    assert run.run.trace.dropped == 40_000 - len(run.run.trace) > 0
    assert resident() - before < 60 * MIB
