"""Guests that try to exhaust the host: memory behind listings, tables and heaps, descriptors, time without a loop.

Modelled on advisories of other hosts: guests that make the host allocate on their behalf, or that run without end where
the host only checks loops.

====================================  ====================================================================
bomb                                  expected result
====================================  ====================================================================
a listing behind each descriptor      the listings together stay bounded, each can still be read to its end
descriptors of many runs              MFILE before the process has none left for itself
many tables, one collected heap       their limits are shared, as those of memories are
recursion by tail calls, exceptions   ended by seconds and by fuel
buffers that add up to more than 4 G  moved up to `Limits.io`
links whose texts multiply            an answer in bounded time, or LOOP
threads                               one sentence
====================================  ====================================================================
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time

import pytest

import wasilab
from wasilab import Limits
from wasilab.capabilities.memory.memdir import Symlink
from wasilab.module.module import from_wat
from wasilab.wasi import fdtable

from .conftest import PYTHON_HERE, Yard
from .fuzz import resident
from .guests import ALL, DIRECTORY, OUT, WRITE, Guest, judged, program
from .test_memory import BUFFER

MIB = 1 << 20


@pytest.mark.slow
def test_a_listing_behind_every_descriptor_stays_bounded() -> None:
    """200 descriptors on a folder of 5,000 long names: once 290 MB, as each kept its own copy."""
    names = {f"{number:05}" + "n" * 200: b"" for number in range(5000)}
    guest = Guest(grants=wasilab.Grants(dirs={"/m": wasilab.MemDir(names)}))
    for _ in range(200):
        guest.open(".", oflags=DIRECTORY, rights=ALL & ~WRITE, inheriting=ALL)
    for _ in range(2):
        for fd in range(4, 204):
            guest.call("fd_readdir", fd, BUFFER, 4096, 24, OUT)
    base = resident()
    run = guest.run()
    assert set(run.errnos()) == {"SUCCESS"}
    assert {event.result["bufused"] for event in run.run.trace[200:]} == {4096}
    assert resident() - base < 5 * fdtable.MAX_LISTED


def test_listings_that_were_dropped_are_made_anew_and_closed_ones_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    from wasilab.wasi.host import Host

    monkeypatch.setattr(fdtable, "MAX_LISTED", 1000)
    tree = wasilab.MemDir({"a": {"in-a": ""}, "b": {"in-b" + "x" * 200: "", "y" * 200: "", "z" * 200: ""}})
    guest = Guest(grants=wasilab.Grants(dirs={"/m": tree}))
    for name in ("a", "b"):
        guest.open(name, oflags=DIRECTORY, rights=ALL & ~WRITE, inheriting=ALL)
    for fd, cookie in ((4, 0), (5, 0), (4, 2), (5, 2), (4, 2)):
        guest.call("fd_readdir", fd, BUFFER, 4096, cookie, OUT)
    run = guest.run(snaplen=None)
    assert [b"in-a" in (run[n].data or b"") for n in (2, 4, 6)] == [True] * 3
    assert [run[n].result["bufused"] for n in (2, 4, 6)] == [24 * 3 + 3 + 4, 28, 28]
    host = Host(preopens={"/m": tree})
    descriptor = host.fds.entries[3]
    for _ in range(50):
        host.fds.keep_listing(descriptor, fdtable.Listing(b"x" * 600, [0, 600]))
    assert len(host.fds._listed) == 1
    host.fds.close(descriptor)
    assert not host.fds._listed
    assert descriptor.listing is None
    host.close()


def test_a_number_used_again_lists_the_new_directory(yard: Yard) -> None:
    (yard.inside / "other").mkdir()
    (yard.inside / "other" / "only-here").touch()
    guest = yard.guest().open("sub", oflags=DIRECTORY, rights=ALL & ~WRITE, inheriting=ALL)
    guest.call("fd_readdir", 4, BUFFER, 4096, 0, OUT).call("fd_close", 4)
    guest.open("other", oflags=DIRECTORY, rights=ALL & ~WRITE, inheriting=ALL)
    guest.call("fd_readdir", 4, BUFFER, 4096, 2, OUT)
    run = guest.run(snaplen=None)
    assert run.errnos() == ["SUCCESS"] * 5
    assert b"only-here" in (run[4].data or b"")
    assert b"deep" in (run[1].data or b"")


_STARVE = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (150, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
import wasilab
from wasilab.module.module import from_wat
from tests.hostile.guests import *
kind = sys.argv[2]
guest = Guest(grants=wasilab.Grants(dirs={"/d": wasilab.HostDir(sys.argv[1], "rw")}, overrides={
    "sched_yield": lambda original: left.append([os.open("/dev/null", os.O_RDONLY) for _ in range(50)])}))
left = []
for _ in range(200):
    guest.open("file.txt") if kind == "file" else guest.open(".", oflags=DIRECTORY, rights=ALL & ~WRITE)
judged = guest.call("sched_yield").run()
answers = judged.errnos()
print(len(left[0]), answers.count("SUCCESS") > 30, answers.count("MFILE") > 100, judged[150].reason)
"""


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_guests_cannot_take_the_last_descriptors_of_the_process(yard: Yard, kind: str) -> None:
    """`Limits.fds` is of one run; here it is larger than what the system lets the whole process open."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_STARVE), str(yard.inside), kind],
        capture_output=True, text=True, check=False, env=PYTHON_HERE, cwd=os.getcwd(), timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("50 True True the process has opened all 86 descriptors available to guests")


def test_tables_share_their_limit() -> None:
    tables = " ".join(f"(table $t{n} 0 funcref)" for n in range(4))
    grown = " ".join(
        f"(if (i32.ge_s (table.grow $t{n} (ref.null func) (i32.const {size})) (i32.const 0))"
        f" (then (local.set 0 (i32.add (local.get 0) (i32.const {1 << n})))))"
        for n, size in enumerate((100_000, 2_500, 2_501, 2_500))
    )
    text = program("proc_exit", f"(local i32) {grown} (call $proc_exit (local.get 0))", extra=tables)
    assert judged(text, wasilab.Grants(limits=Limits(table_elements=10_000))).run.exit_code == 0b1010


COLLECTED = "(type $a (array (mut i8))) (type $l (struct (field (ref null $l)) (field (ref $a))))"


def test_a_collected_heap_counts_as_a_memory() -> None:
    """A list that is kept, of arrays; garbage is collected and may go on for ever."""
    keep = """(module {} (global $g (mut (ref null $l)) (ref.null $l)) (memory (export "memory") 1)
      (func (export "_start") (loop $l
        (global.set $g (struct.new $l {} (array.new_default $a (i32.const 1000000)))) (br $l))))"""
    grants = wasilab.Grants(limits=Limits(memory=64 * MIB, seconds=20), features=["gc"])
    base = resident()
    run = wasilab.run(from_wat(keep.format(COLLECTED, "(global.get $g)")), (), grants)
    assert run.outcome.kind == "trap"
    assert run.outcome.message == (
        "the program's garbage-collected heap is full: it may take 33,554,432 bytes, its part of the memory allowed; "
        "raise it with --max-memory"
    )
    assert resident() - base < 64 * MIB
    grants = wasilab.Grants(limits=Limits(memory=64 * MIB, seconds=0.3), features=["gc"])
    assert wasilab.run(from_wat(keep.format(COLLECTED, "(ref.null $l)")), (), grants).outcome.kind == "limit"
    huge = f'(module {COLLECTED} (func (export "_start") (drop (array.new_default $a (i32.const 0x7fffffff)))))'
    assert "heap is full" in wasilab.run(from_wat(huge), (), grants).outcome.message


ENDLESS = {
    "tail calls": "(module (func $f (export {}) (return_call $f)))",
    "tail calls in turn": "(module (func $f (export {}) (return_call $g)) (func $g (return_call $f)))",
    "indirect tail calls": """(module (table $t funcref (elem $f)) (type $v (func))
      (func $f (export {}) (return_call_indirect $t (type $v) (i32.const 0))))""",
    "exceptions": """(module (tag $z)
      (func (export {}) (loop $l (block $c (try_table (catch_all $c) (throw $z))) (br $l))))""",
    "exceptions that hold exceptions": """(module (tag $e (param exnref)) (func (export {}) (local $x exnref)
      (loop $l (block $c (result exnref) (try_table (catch_all_ref $c) (throw $e (local.get $x))) (unreachable))
        (local.set $x) (br $l))))""",
    "bulk writes": """(module (memory 800)
      (func (export {}) (loop $l (memory.fill (i32.const 0) (i32.const 1) (i32.const 52428800)) (br $l))))""",
    "host calls by tail call": """(module (import "wasi_snapshot_preview1" "sched_yield" (func $y (result i32)))
      (func $f (export {}) (drop (call $y)) (return_call $f)))""",
}


@pytest.mark.parametrize("kind", ENDLESS)
@pytest.mark.parametrize("limits", [{"seconds": 0.3}, {"fuel": 200_000}], ids=["seconds", "fuel"])
def test_endless_execution_without_a_loop_is_ended(kind: str, limits: dict[str, float]) -> None:
    bounds = Limits(memory=64 * MIB, trace=4 * MIB, **limits)  # type: ignore[arg-type]
    grants = wasilab.Grants(limits=bounds, features=["exceptions"])  # type: ignore[arg-type]
    run = wasilab.run(from_wat(ENDLESS[kind].format('"_start"')), (), grants)
    assert run.outcome.kind in ("limit", "trap"), run.outcome
    if run.outcome.kind == "trap":
        assert "heap is full" in run.outcome.message


@pytest.mark.parametrize("call", ["fd_write", "fd_read"])
def test_buffers_that_add_up_to_more_than_4_gib_move_no_more_than_io(yard: Yard, call: str) -> None:
    """1024 buffers over the same 8 MiB: 8 GiB in all, whose sum wraps in 32 bits."""
    (yard.inside / "large").write_bytes(b"x" * (3 * MIB))
    guest = yard.guest(pages=130, limits=Limits(io=2 * MIB, output=MIB)).open("large")
    guest.put(16384, (b"\0\0\2\0" + (8 * MIB).to_bytes(4, "little")) * 1024)
    run = guest.call(call, 4 if call == "fd_read" else 1, 16384, 1024, OUT).run().assert_answered("SUCCESS", "SUCCESS")
    assert list(run[1].result.values()) == [2 * MIB]


@pytest.mark.parametrize("kind", ["host", "memory"])
def test_links_whose_texts_multiply_are_answered(yard: Yard, kind: str) -> None:
    """40 links of 4,000 bytes, each to 800 steps down and up and on to the next: 64,000 steps for one name."""
    names = {f"l{n}": "s/../" * 800 + (f"l{n + 1}" if n < 39 else "f") for n in range(40)}
    if kind == "host":
        (yard.inside / "s").mkdir()
        (yard.inside / "f").touch()
        for name, target in names.items():
            os.symlink(target, yard.inside / name)
        os.symlink("l0", yard.inside / "one-more")
        guest = yard.guest()
    else:
        files = {name: Symlink(target) for name, target in names.items()}
        tree = wasilab.MemDir({**files, "s": {}, "f": "", "one-more": Symlink("l0")})
        guest = Guest(grants=wasilab.Grants(dirs={"/m": tree}))
    before = time.process_time()
    guest.open("l0").open("one-more").call("path_filestat_get", 3, 1, "l0/", OUT)
    guest.run().assert_answered("SUCCESS", "LOOP", "NOTDIR")
    assert time.process_time() - before < 60


@pytest.mark.parametrize("where", ["own", "imported"])
def test_a_memory_for_threads_is_one_sentence(where: str) -> None:
    memory = '(memory 1 2 shared)' if where == "own" else '(import "env" "memory" (memory 1 2 shared))'
    run = wasilab.run(from_wat(f'(module {memory} (func (export "_start")))', name="threads"))
    assert run.outcome.kind == "error"
    assert run.outcome.message.startswith("threads has a memory that threads share, and there are no threads in WASI")
