"""`trace`, `sql` and the letters of strace, through both front ends; what a cell keeps of stacks by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

import wasilab
from wasilab import Trace
from wasilab.commands.line.options import CELL_STACKS
from wasilab.magics.wasi_magics import load_ipython_extension

from . import programs

LOOP = """(module
  (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $i i32)
    (loop $again
      (drop (call $yield))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_s (local.get $i) (i32.const 40))))
    (drop (call $read (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 8)))
    (drop (call $read (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 8)))))
"""


@pytest.fixture
def shell(ipython: InteractiveShell) -> InteractiveShell:
    load_ipython_extension(ipython)
    return ipython


def line(shell: InteractiveShell, text: str) -> Any:
    return shell.run_line_magic("wasi", text)


def test_a_cell_takes_stacks_by_itself_within_a_budget(shell: InteractiveShell) -> None:
    run = shell.run_cell_magic("wasi", "wat", programs.HELLO)
    assert run.trace.meta["stacks"] == CELL_STACKS
    assert all(run.trace.column("stack") > 0)
    none = shell.run_cell_magic("wasi", "wat --no-stacks", programs.HELLO)
    assert not none.trace.store.stacks
    assert "stacks" not in none.trace.meta
    assert shell.run_cell_magic("wasi", "wat --stacks", programs.HELLO).trace.meta["stacks"] == "all"


@pytest.mark.parametrize("raw", [True, False])
def test_beyond_the_budget_only_refused_calls_have_a_stack(raw: bool) -> None:
    run = wasilab.run(LOOP.encode(), stacks=3, raw=raw)
    stacks = run.trace.column("stack")
    refused = run.trace.column("denied_by") != 0
    assert refused.sum() == 2
    assert (stacks[:3] > 0).all()
    assert (stacks[refused] > 0).all()
    assert (stacks[3:][~refused[3:]] == 0).all()
    assert "stacks were taken of the first 3 calls and refusals" in str(run.trace.by_line()) or not run.module.has_dwarf


def test_letters_of_strace_choose_calls(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.run_cell_magic("wasi", "wat", LOOP)
    capsys.readouterr()
    line(shell, "trace -e trace=/_read$/ -Z")
    text = capsys.readouterr().out
    assert text.count("fd_read(") == 2
    assert "sched_yield" not in text
    line(shell, "trace -z -e sched --head 2 --times none --no-durations")
    assert capsys.readouterr().out == "sched_yield() = 0\n" * 2
    line(shell, "trace -c -e sched")
    assert "fd_read" not in capsys.readouterr().out
    line(shell, "trace --refused")
    assert capsys.readouterr().out.rstrip("\n") == str(shell.run_cell_magic("wasi", "wat", LOOP).denied)
    line(shell, "trace -e operation=read,close --times none")
    assert capsys.readouterr().out.count("fd_read(") == 2
    with pytest.raises(UsageError, match="did you mean 'sched"):
        line(shell, "trace -e schd")
    with pytest.raises(UsageError, match="unknown operation 'raed'; did you mean 'read'"):
        line(shell, "trace -e operation=raed")


def test_one_filter_language_chooses_calls_of_a_run_a_replay_and_a_trace(
    shell: InteractiveShell, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "l.wtrace"
    chosen = "--filter 'call=fd_* seq>1' --filter 'not call=fd_write'"
    shell.run_cell_magic("wasi", f"wat --name loop --record {file} {chosen}", LOOP)
    cell = [text.split("(")[0].split()[-1] for text in capsys.readouterr().out.splitlines() if "fd_read(" in text]
    assert cell == ["fd_read"] * 2
    for command in (f"run {chosen} loop", f"replay --strace {chosen} {file}", f"trace {file} {chosen}"):
        line(shell, command)
        out = capsys.readouterr().out
        assert out.count("fd_read(") == 2, command
        assert "sched_yield(" not in out, command
    line(shell, "run --filter 'dur>1h' loop")
    captured = capsys.readouterr()
    assert "none of 42 calls matches" in captured.out + captured.err


def test_a_trace_is_shown_by_name_or_file(
    shell: InteractiveShell, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = shell.run_cell_magic("wasi", "wat --name loop", LOOP)
    saved = kept.trace.save(tmp_path / "a.wtrace")
    shell.run_cell_magic("wasi", "wat", programs.HELLO)  # the last run is another
    capsys.readouterr()
    for name in ("loop", saved):
        line(shell, f"trace {name} --tail 1 -s 8")
        assert "fd_read(" in capsys.readouterr().out


def test_sql_in_a_cell_with_and_without_quotes(shell: InteractiveShell) -> None:
    shell.run_cell_magic("wasi", "wat --name loop", LOOP)
    asked = "select call, count(*) n from calls where call <> 'proc_exit' group by 1 order by 2 desc"
    expected = [("sched_yield", 40), ("fd_read", 2)]
    assert line(shell, f"sql {asked}").rows == expected
    assert line(shell, f'sql --of loop "{asked}"').rows == expected
    assert shell.run_cell_magic("wasi", "sql", asked.replace("from", "\nfrom")).rows == expected
    with pytest.raises(UsageError, match="errno, fd"):
        line(shell, "sql select cll from calls")


def test_a_note_from_the_command_line_is_saved_and_shown_everywhere(
    shell: InteractiveShell, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.wtrace"
    wasilab.run(LOOP.encode()).trace.save(file)
    line(shell, f"trace {file} --note '40-41=it is refused'")
    assert Trace.load(file).notes == [(40, 41, "it is refused")]
    capsys.readouterr()
    line(shell, f"trace {file} --filter seq=41 --times none --no-durations")
    assert "/* it is refused (until call 41) */" in capsys.readouterr().out
    line(shell, f"trace {file} -c")
    assert "note on calls 40 to 41: it is refused" in capsys.readouterr().out
    assert "left: note on calls 40 to 41: it is refused" in str(line(shell, f"diff {file} {file}"))
    with pytest.raises(UsageError, match="no call 99"):
        line(shell, f"trace {file} --note '99=nothing'")


def test_an_unwritable_trace_is_reported_before_the_run(shell: InteractiveShell) -> None:
    with pytest.raises(UsageError, match=r"to show only some calls, use -e"):
        shell.run_cell_magic("wasi", "wat --trace path,fd_*", LOOP)


def test_a_saved_trace_holds_more_than_its_memory(shell: InteractiveShell, tmp_path: Path) -> None:
    file = tmp_path / "big.wtrace"
    many = LOOP.replace("(i32.const 40)", "(i32.const 30000)")
    run = shell.run_cell_magic("wasi", f"wat --no-stacks --max-trace 1M --trace {file}", many)
    assert len(Trace.load(file)) == 30_002
    assert Trace.load(file).meta["exit_code"] == 0
    assert run.trace.dropped == 0
    assert list(tmp_path.iterdir()) == [file]


def test_the_summary_separates_host_from_guest() -> None:
    trace = wasilab.run(LOOP.encode()).trace
    found = trace.summary()
    assert found.guest == int(trace.column("gap").sum())
    assert "in the host " in str(found)
    assert trace.filter("refused").summary().guest == 0
