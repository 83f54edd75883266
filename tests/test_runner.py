"""Runs from end to end, through the Python API."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import wasilab
from wasilab import Grants, HostDir, Limits, MemDir
from wasilab.grants.value import GrantError
from wasilab.module.module import ModuleError
from wasilab.runs.run import RunError

P1 = "wasi_snapshot_preview1"

CAT = f"""(module
  (import "{P1}" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "{P1}" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (loop $again
      (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 4096))
      (if (i32.eqz (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (then (if (i32.load (i32.const 8)) (then
          (i32.store (i32.const 4) (i32.load (i32.const 8)))
          (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))
          (br $again))))))))"""

ENDLESS = '(module (memory (export "memory") 1) (func (export "_start") (loop $l (br $l))))'

ADD = """(module (memory (export "memory") 1)
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "boom") unreachable)
  (func (export "peek") (param i32) (result i32) (i32.load8_u (local.get 0))))"""


def wat(text: str, name: str = "guest") -> wasilab.Module:
    return wasilab.compile(text, "wat", name=name)


def exits(code: int) -> wasilab.Module:
    return wat(
        f'(module (import "{P1}" "proc_exit" (func $exit (param i32))) (memory (export "memory") 1)'
        f' (func (export "_start") (call $exit (i32.const {code}))))'
    )


def creates(path: str, fd: int = 3) -> wasilab.Module:
    return wat(
        f'(module (import "{P1}" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))'
        f' (import "{P1}" "proc_exit" (func $exit (param i32)))'
        f' (memory (export "memory") 1) (data (i32.const 64) "{path}")'
        f' (func (export "_start") (call $exit (call $open (i32.const {fd}) (i32.const 0) (i32.const 64)'
        f" (i32.const {len(path)}) (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 0)))))"
    )


def test_what_stdin_holds_comes_out_of_cat() -> None:
    run = wasilab.run(wat(CAT), grants=Grants(stdin=b"one\ntwo\n"))
    assert (run.stdout, run.stderr, run.exit_code, run.error) == ("one\ntwo\n", "", 0, None)
    assert run.trace["name"].tolist() == ["fd_read", "fd_write", "fd_read"]


def test_without_a_grant_stdin_is_empty_and_with_nothing_it_is_not_there() -> None:
    assert wasilab.run(wat(CAT)).trace["errno_name"].tolist() == [""]
    assert wasilab.run(wat(CAT), grants=Grants.nothing()).trace["errno_name"].tolist() == ["EBADF"]


def test_lines_are_asked_for_one_by_one_in_the_calling_thread() -> None:
    import threading

    lines = iter(["first", "second"])
    asked: list[bool] = []

    def answer() -> str | None:
        asked.append(threading.current_thread() is threading.main_thread())
        return next(lines, None)

    run = wasilab.run(wat(CAT), grants=Grants(stdin="ask"), on_input=answer)
    assert run.stdout == "first\nsecond\n"
    assert asked == [True, True, True]


def test_without_a_user_input_is_at_its_end() -> None:
    assert wasilab.run(wat(CAT), grants=Grants(stdin="ask")).exit_code == 0


def test_output_is_handed_out_while_it_comes_and_kept() -> None:
    heard: list[bytes] = []
    run = wasilab.run(wat(CAT), grants=Grants(stdin=b"x" * 10_000), on_stdout=heard.append)
    assert b"".join(heard) == run.stdout_bytes == b"x" * 10_000


def test_output_beyond_the_limit_is_counted_and_cut() -> None:
    run = wasilab.run(wat(CAT), grants=Grants(stdin=b"x" * 10_000, limits=Limits(output=100)))
    assert (len(run.stdout_bytes), run.output_cut, run.exit_code) == (100, 9_900, 0)


@pytest.mark.parametrize("code", [0, 1, 126, 255])
def test_the_exit_status_is_the_guests(code: int) -> None:
    run = wasilab.run(exits(code))
    assert (run.exit_code, run.outcome.kind, run.error) == (code, "exit", None)


def test_a_trap_is_told_in_words_with_the_stack() -> None:
    run = wasilab.run(wat('(module (func $inner unreachable) (func (export "_start") (call $inner)))'))
    assert run.exit_code == 134
    assert "unreachable" in (run.error or "")
    assert [frame.function for frame in run.outcome.frames] == ["inner", "_start"]


def test_limits_end_a_run_with_137() -> None:
    for limits, word in ((Limits(fuel=1000), "fuel"), (Limits(seconds=0.05), "time limit")):
        run = wasilab.run(wat(ENDLESS), grants=Grants(limits=limits))
        assert run.exit_code == 137
        assert word in (run.error or "")


def test_a_detached_run_goes_on_until_it_is_stopped() -> None:
    run = wasilab.run(wat(ENDLESS), detach=True)
    assert run.running
    with pytest.raises(RunError, match="still runs"):
        _ = run.exit_code
    assert not run.stop().running
    assert run.exit_code == 130


def test_a_detached_run_can_be_awaited_and_fed() -> None:
    async def main() -> wasilab.Run:
        run = wasilab.run(wat(CAT), grants=Grants(stdin="ask"), detach=True)
        run.send("hello\n")
        run.end_input()
        return await run

    assert asyncio.run(main()).stdout == "hello\n"


def test_a_run_without_a_trace_says_so() -> None:
    run = wasilab.run(exits(0), trace=False)
    assert not run.traced
    with pytest.raises(RunError, match="trace=False"):
        _ = run.trace


def test_what_a_trace_says_of_its_run(tmp_path: Path) -> None:
    run = wasilab.run(exits(3), ["a", "b"], Grants(env={"K": "V"}), name="three")
    meta = run.trace.meta
    assert (meta["name"], meta["args"], meta["exit_code"], meta["outcome"]) == ("three", ["a", "b"], 3, "exit")
    assert meta["sha256"] == run.module.sha256
    assert "'K': 'V'" in meta["grants"]


def test_copy_mode_changes_nothing_until_the_changes_are_applied(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("old\n")
    run = wasilab.run(creates("new.txt"), grants=Grants(dirs={"/w": HostDir(str(tmp_path), "copy")}))
    assert run.exit_code == 0
    assert run.changes.created == ["/w/new.txt"]
    assert bool(run.changes)
    assert not (tmp_path / "new.txt").exists()
    run.changes.apply()
    assert (tmp_path / "new.txt").exists()
    again = wasilab.run(exits(0), grants=Grants(dirs={"/w": HostDir(str(tmp_path), "copy")}))
    assert not again.changes


def test_a_directory_in_memory_can_be_looked_into_after_the_run() -> None:
    memory = MemDir()
    assert wasilab.run(creates("made.txt"), grants=Grants(dirs={"/m": memory})).exit_code == 0
    assert [entry.name for entry in memory.list()] == ["made.txt"]


def test_a_grant_serves_many_runs(tmp_path: Path) -> None:
    grants = Grants(dirs={"/d": HostDir(str(tmp_path), "rw")})
    assert [wasilab.run(creates(f"{n}"), grants=grants).exit_code for n in range(5)] == [0] * 5
    assert len(list(tmp_path.iterdir())) == 5


def test_a_reactor_is_kept_alive_and_called() -> None:
    with wasilab.instantiate(wat(ADD)) as inst:
        assert inst.exports.add(2, 40) == 42
        assert inst.exports["add"](-1, 1) == 0
        inst.memory.write(100, b"\x07")
        assert inst.exports.peek(100) == 7
        assert inst.memory.read(100, 2) == b"\x07\0"
        assert "add" in dir(inst.exports)
        with pytest.raises(AttributeError, match="exports no function 'sub'; it exports"):
            inst.exports.sub(1, 2)
        with pytest.raises(TypeError, match="add takes 2 arguments"):
            inst.exports.add(1)
        with pytest.raises(IndexError):
            inst.memory.read(65_535, 2)
    assert inst.closed


def test_a_trap_ends_an_instance() -> None:
    from wasilab.engine.instances import GuestError

    inst = wasilab.instantiate(wat(ADD))
    with pytest.raises(GuestError, match="unreachable"):
        inst.exports.boom()
    assert inst.closed
    inst.close()


def test_an_export_is_invoked_with_numbers() -> None:
    assert wasilab.run(wat(ADD), ["40", "2"], invoke="add").outcome.results == (42,)
    run = wasilab.run(wat(ADD), ["40", "x"], invoke="add")
    assert run.exit_code == 1
    assert "'x' is not an i32" in (run.error or "")


def test_a_preloaded_module_gives_its_exports() -> None:
    user = wat(
        '(module (import "lib" "add" (func $add (param i32 i32) (result i32))) (memory (export "memory") 1)'
        ' (func (export "five") (result i32) (call $add (i32.const 2) (i32.const 3))))'
    )
    assert wasilab.run(user, invoke="five", preload={"lib": wat(ADD)}).outcome.results == (5,)
    missing = wasilab.run(user, invoke="five")
    assert "--preload lib=FILE" in (missing.error or "")


def test_what_cannot_be_run_or_given_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModuleError):
        wasilab.run(b"not wasm at all")
    (tmp_path / "dir").mkdir()
    with pytest.raises((ModuleError, OSError)):
        wasilab.run(tmp_path / "missing.wasm")
    with pytest.raises(GrantError, match="NUL"):
        wasilab.run(exits(0), ["a\0b"])
    with pytest.raises(GrantError, match=r"limits\.fds"):
        wasilab.run(exits(0), grants=Grants(dirs={str(n): MemDir() for n in range(9)}, limits=Limits(fds=5)))


def test_a_run_is_shown_in_words_and_as_html(tmp_path: Path) -> None:
    run = wasilab.run(wat(CAT, "cat"), grants=Grants(stdin=b"hello\n"))
    assert "cat" in repr(run)
    assert "hello" in repr(run)
    bundle = run._repr_mimebundle_()
    assert {"text/plain", "text/html"} <= set(bundle)
    run.to_html(tmp_path / "report.html")
    assert "fd_write" in (tmp_path / "report.html").read_text()


STATS = f"""(module
  (import "{P1}" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "{P1}" "path_filestat_get" (func $stat (param i32 i32 i32 i32 i32) (result i32)))
  (import "{P1}" "random_get" (func $random (param i32 i32) (result i32)))
  (import "{P1}" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 64) "new")
  (func (export "_start")
    (drop (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 3) (i32.const 1) (i64.const 64)
      (i64.const 0) (i32.const 0) (i32.const 0)))
    (drop (call $stat (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 3) (i32.const 128)))
    (drop (call $random (i32.const 256) (i32.const 32)))
    (drop (call $time (i32.const 0) (i64.const 0) (i32.const 512)))))"""


def test_a_run_with_stepped_clocks_seeded_randomness_and_memory_repeats_to_the_bit() -> None:
    def record() -> list[str]:
        grants = Grants(
            dirs={"/m": MemDir({"old": b"x"})},
            clocks=wasilab.Clocks.stepped(1000, 1_700_000_000_000_000_000),
            random=wasilab.Random.seeded(1),
        )
        run = wasilab.run(wat(STATS), grants=grants)
        assert run.trace["errno"].tolist() == [0, 0, 0, 0]
        return [f"{event.args} {event.result} {event.data!r}" for event in run.trace]

    first = record()
    assert "1700000000000" in first[1]
    assert record() == first


def test_what_a_copy_leaves_out_is_reported(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    run = wasilab.run(exits(0), grants=Grants(dirs={"/w": HostDir(str(tmp_path), "copy")}))
    assert any("'pipe'" in warning for warning in run.outcome.warnings)


def test_a_folder_that_is_named_by_a_link_is_reported(tmp_path: Path) -> None:
    """A program of an earlier run may have put it there, in place of the folder that is meant."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    module = wasilab.load(b'(module (memory (export "memory") 1) (func (export "_start")))')
    run = wasilab.run(module, grants=wasilab.Grants(dirs={"/d": wasilab.HostDir(tmp_path / "link")}))
    said = f"the folder {str(tmp_path / 'link')!r}, granted at '/d', is a link: what is granted is"
    assert run.outcome.warnings == (f"{said} {str(tmp_path / 'real')!r}",)
    plain = wasilab.run(module, grants=wasilab.Grants(dirs={"/d": wasilab.HostDir(f"{tmp_path}/link/.")}))
    assert plain.outcome.warnings == ()
