"""Nothing leaks from one guest to the next, nor between two that run at once: each has just what its grants say.

=====================================  =====================================================================
left behind by a guest                 found by the next one
=====================================  =====================================================================
memory, globals and tables             as the module says, whatever way the first one ended
descriptors open, closed, renumbered   the grants' own, from 3 on
working directory, environment, umask  the process's own, untouched
an interrupt, a time limit             not its own
the position of stdin, random, clocks  from the beginning
times of a virtual clock in a MemDir   real ones again (what it wrote stays: the tree is the grant's)
bytes written, notes, refusals         counted anew
=====================================  =====================================================================
"""

from __future__ import annotations

import os
import socket
import threading
import time

import pytest

import wasilab
from wasilab.capabilities.clocks import Clocks
from wasilab.capabilities.host.sockets import listen
from wasilab.capabilities.random import Random
from wasilab.module.module import from_wat
from wasilab.wasi.types import Errno

from .conftest import Yard
from .guests import ALL, CREAT, DIRECTORY, OUT, READ, WRITE, Guest, program
from .test_memory import BUFFER, IOVECS

LEAVES = {
    "returns": "(return)",
    "exits": "(call $proc_exit (i32.const 0))",
    "traps": "(unreachable)",
    "is interrupted": "(loop $l (br $l))",
    "overflows": "(call $deep)",
}


@pytest.mark.parametrize("way", LEAVES)
def test_memory_globals_and_tables_begin_anew(way: str) -> None:
    """The same module, whose compiled code and engine are pooled: exit code 1 if anything of the last run is there."""
    extra = """(global $g (mut i64) (i64.const 7)) (table $t 4 8 funcref) (func $f) (elem declare func $f)
      (func $deep (call $deep) (call $deep)) (data (i32.const 70000) "as it is")"""
    body = f"""(local $i i32)
      (if (i64.ne (global.get $g) (i64.const 7)) (then (call $proc_exit (i32.const 1))))
      (if (i32.eqz (ref.is_null (table.get $t (i32.const 0)))) (then (call $proc_exit (i32.const 2))))
      (if (i32.ne (memory.size) (i32.const 2)) (then (call $proc_exit (i32.const 3))))
      (if (i32.ne (table.size $t) (i32.const 4)) (then (call $proc_exit (i32.const 4))))
      (if (i64.ne (i64.load (i32.const 70000)) (i64.const 0x7369207469207361))
        (then (call $proc_exit (i32.const 5))))
      (loop $l
        (if (i32.ne (i32.load8_u (local.get $i)) (i32.const 0)) (then (call $proc_exit (i32.const 6))))
        (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 70000))))
      (drop (memory.grow (i32.const 3)))
      (if (i64.ne (i64.load (i32.const 200000)) (i64.const 0)) (then (call $proc_exit (i32.const 7))))
      (memory.fill (i32.const 0) (i32.const 0xa5) (i32.const 327680))
      (global.set $g (i64.const 99)) (table.set $t (i32.const 0) (ref.func $f))
      (drop (table.grow $t (ref.func $f) (i32.const 3)))
      {LEAVES[way]}"""
    module = from_wat(program("proc_exit", body, memory='(memory (export "memory") 2 9)', extra=extra), name="leaves")
    grants = wasilab.Grants(limits=wasilab.Limits(seconds=0.1 if way == "is interrupted" else 60))
    ends = {(run.outcome.kind, run.exit_code) for run in (wasilab.run(module, (), grants) for _ in range(3))}
    assert ends <= {("exit", 0), ("trap", 134), ("limit", 137)}
    assert len(ends) == 1


def test_descriptors_begin_anew(yard: Yard) -> None:
    grants = wasilab.Grants(dirs={"/d": wasilab.HostDir(str(yard.inside), "rw")}, limits=wasilab.Limits(fds=12))
    messy = Guest(grants=grants)
    for _ in range(9):
        messy.open("file.txt", rights=READ | WRITE)
    messy.call("fd_close", 1).call("fd_close", 2).call("fd_renumber", 5, 3).call("fd_fdstat_set_rights", 4, 0, 0)
    for _ in range(2):
        judged = messy.run()
        assert judged.errnos() == ["SUCCESS"] * 8 + ["MFILE"] + ["SUCCESS"] * 4
        tidy = Guest(grants=grants).iovec(IOVECS, (BUFFER, 20)).call("fd_prestat_get", 3, OUT).open("file.txt")
        tidy.call("fd_read", 4, IOVECS, 1, OUT).call("fd_write", 1, IOVECS, 1, OUT).call("fd_read", 5, IOVECS, 1, OUT)
        after = tidy.run()
        assert after.errnos() == ["SUCCESS"] * 4 + ["BADF"]
        assert after[2].data == b"inside\n"


def test_the_process_is_untouched(yard: Yard) -> None:
    def world() -> tuple[object, ...]:
        mask = os.umask(0o22)
        os.umask(mask)
        return os.getcwd(), dict(os.environ), mask, os.get_inheritable(0), os.nice(0), threading.stack_size()

    before = world()
    grants = wasilab.Grants(dirs={".": wasilab.HostDir(str(yard.inside), "rw")}, env={"HOME": "/", "PATH": "x"})
    guest = Guest(grants=grants).open("sub", oflags=DIRECTORY, rights=ALL & ~WRITE, inheriting=ALL)
    guest.call("fd_renumber", 4, 3).call("environ_get", 0, BUFFER).call("path_create_directory", 3, "made")
    assert guest.run().errnos() == ["SUCCESS"] * 4
    assert world() == before
    bare = Guest().call("environ_sizes_get", OUT, OUT + 8).call("fd_prestat_get", 3, OUT).run()
    assert bare.errnos() == ["SUCCESS", "BADF"]
    assert bare[0].result == {"environc": 0, "environ_buf_size": 0}


def test_an_interrupt_ends_one_run_of_two_that_share_a_socket() -> None:
    """Two runs wait on the one port that both were granted; stopping one must not stop the other."""
    listener = listen("127.0.0.1:0")
    grants = wasilab.Grants(sockets=(listener,))
    module = from_wat(Guest(grants=grants).call("sock_accept", 3, 0, OUT).wat(), name="accepts")
    first, second = (wasilab.run(module, (), grants, detach=True) for _ in range(2))
    time.sleep(0.1)  # both wait by now, as a rule; if not, the interrupt finds the first one on its way
    first.stop(10)
    assert first.outcome.kind == "interrupt"
    assert second.running
    with socket.create_connection(listener.bind()):
        second.wait(60)
    assert second.outcome.kind == "exit"
    assert second.trace["errno"].tolist() == [0]
    listener.release()


def test_streams_random_numbers_and_clocks_begin_anew() -> None:
    grants = wasilab.Grants(
        stdin=b"input of each run", random=Random.seeded(3), clocks=Clocks.stepped(1000),
        limits=wasilab.Limits(bytes_written=20),
    )  # fmt: skip
    guest = Guest(grants=grants).iovec(IOVECS, (BUFFER, 16)).call("fd_read", 0, IOVECS, 1, OUT)
    guest.call("random_get", BUFFER, 16).call("clock_time_get", 0, 0, OUT).call("clock_time_get", 1, 0, OUT + 8)
    guest.call("fd_write", 1, IOVECS, 1, OUT).call("fd_write", 1, IOVECS, 1, OUT).call("fd_write", 1, IOVECS, 1, OUT)
    runs = [guest.run() for _ in range(3)]
    assert [run.errnos() for run in runs] == [["SUCCESS"] * 6 + ["NOSPC"]] * 3
    said = {tuple((event.data, str(event.result)) for event in run.run.trace) for run in runs}
    assert len(said) == 1
    real = Guest().call("random_get", BUFFER, 16)
    assert real.run()[0].data != real.run()[0].data


def test_a_virtual_clock_does_not_outlive_its_run_in_a_folder_in_memory() -> None:
    """The tree is the grant's and serves many runs; once the second one's files were dated by the first one's clock."""
    tree = wasilab.MemDir({"a": "x"})
    for clocks, real in ((Clocks.frozen(5), False), (Clocks.real(), True), (Clocks.stepped(7), False)):
        grants = wasilab.Grants(dirs={"/m": tree}, clocks=clocks)
        made = Guest(grants=grants).open("new", oflags=CREAT, rights=ALL).call("path_filestat_get", 3, 0, "new", OUT)
        made.call("path_unlink_file", 3, "new")
        stat = made.run()[1].result["filestat"]
        assert (stat.mtim > 10**18) == real
        assert (stat.dev > 1000) == real


def test_two_virtual_runs_of_one_tree_leave_it_with_the_real_clock() -> None:
    tree = wasilab.MemDir()
    ends = [tree.make_repeatable(lambda: 1, 1), tree.make_repeatable(lambda: 2, 1)]
    for end in ends:
        end()
    tree.mkdir("now")
    assert tree.stat_path("now", False).mtim > 10**18


def test_refusals_notes_and_paths_of_a_run_are_its_own(yard: Yard) -> None:
    os.symlink("/etc", yard.inside / "out")
    grants = wasilab.Grants(dirs={"/d": wasilab.HostDir(str(yard.inside))})
    first = Guest(grants=grants).open("../secret-path").open("out/passwd").run()
    assert first.errnos() == ["PERM", "PERM"]
    second = Guest(grants=grants).open("file.txt").run()
    assert not second.run.trace["denied_by"].any()
    assert not list(second.run.denied)
    text = second.run.trace.text() + repr(second.run.trace.lives) + str(second.run.outcome.warnings)
    assert "secret-path" not in text
    assert int(Errno.SUCCESS) == second[0].errno


def test_guests_at_once_do_not_meet(yard: Yard) -> None:
    """Many runs of one module over one grant, at the same time: each has its own descriptors, offsets and output."""
    grants = wasilab.Grants(dirs={"/d": wasilab.HostDir(str(yard.inside), "rw")})
    guest = Guest(grants=grants).iovec(IOVECS, (BUFFER, 3))
    for _ in range(20):
        guest.open("file.txt").call("fd_read", 4, IOVECS, 1, OUT).call("fd_write", 1, IOVECS, 1, OUT)
        guest.call("fd_close", 4)
    module = from_wat(guest.wat(), name="many")
    runs = [wasilab.run(module, (), grants, detach=True) for _ in range(6)]
    for run in runs:
        run.wait(60)
    assert {(run.exit_code, run.stdout) for run in runs} == {(0, "ins" * 20)}
    assert all(set(run.trace["errno"].tolist()) == {0} for run in runs)
