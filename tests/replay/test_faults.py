"""Faults: read from text, put into calls where they say, flagged, replayed; and each call of a program failed once."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wasilab
from tests.engine.guests import wat
from wasilab import Fault, Grants, HostDir, Limits, MemDir
from wasilab.cli import main
from wasilab.engine.calls.injection import Injection
from wasilab.grants.faults import FaultError, read_fault_file
from wasilab.grants.forms.flags import add_options, from_options
from wasilab.grants.forms.python import from_python, to_python
from wasilab.grants.forms.toml import merge_text, to_toml
from wasilab.grants.value import GrantError
from wasilab.panels.table import static_html
from wasilab.runs.experiments.injecting import inject_each
from wasilab.trace.record.layout import Flag
from wasilab.wasi.preview1.spec import SNAPSHOT1

NAMES = "fd_write fd_read random_get path_open proc_exit sched_yield"
SIX_WRITES = wat(NAMES, """
  (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 4))
  (loop $l
    (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then
      (i32.store8 offset=100 (local.get $i) (i32.const 1))))
    (br_if $l (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 6))))
  (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 6))
  (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))""",
  extra='(data (i32.const 64) "abc\\n")')  # fmt: skip
"""Writes "abc\\n" to stdout six times, then to stderr a byte for each: 1 where the write failed."""


def failed(*faults: str | Fault, **more: Any) -> tuple[list[int], wasilab.Run]:
    run = wasilab.run(SIX_WRITES, grants=Grants(faults=faults, **more))
    assert run.outcome.ok, run.outcome
    return [at for at, byte in enumerate(run.stderr_bytes, 1) if byte], run


@pytest.mark.parametrize(
    ("when", "which"),
    [
        (None, [1, 2, 3, 4, 5, 6]), ("3", [3]), (3, [3]), ("3+", [3, 4, 5, 6]), ("2+2", [2, 4, 6]), ("2..4", [2, 3, 4]),
        ("1..5+2", [1, 3, 5]), ("9", []),
    ],
)  # fmt: skip
def test_when_chooses_calls_as_strace_does(when: int | str | None, which: list[int]) -> None:
    found, run = failed(Fault("fd_write", error="EIO", when=when, path="<stdout>"))
    assert found == which
    assert [call.seq + 1 for call in run.trace.filter("injected")] == which
    assert {call.errno.symbol for call in run.trace.filter("injected")} <= {"EIO"}
    assert len(run.stdout) == 4 * (6 - len(which))
    assert not run.denied


def test_only_a_call_with_a_fault_is_flagged() -> None:
    _, run = failed("fd_write:error=ENOSPC:when=2")
    assert run.trace["flags"].tolist() == [0, int(Flag.INJECTED), 0, 0, 0, 0, 0]
    assert "= -1 ENOSPC (No space left on device) (INJECTED)" in run.trace.text()
    assert run.trace.store.reason(1).text == "a fault was injected: fd_write:error=ENOSPC:when=2"


def test_a_probability_draws_the_same_lots_in_every_run() -> None:
    first, second = (failed("fd_write:error=EIO:p=0.5:seed=7:path=*out*")[0] for _ in range(2))
    assert first == second
    assert 0 < len(first) < 6
    assert failed("fd_write:error=EIO:p=0.5:seed=8:path=*out*")[0] != first


def test_one_fault_counts_all_calls_that_it_is_for() -> None:
    module = wat(NAMES, "(drop (call $sched_yield)) (drop (call $random_get (i32.const 0) (i32.const 4)))" * 2)
    run = wasilab.run(module, grants=Grants(faults=["sched_yield,random:error=EIO:when=2+2"]))
    assert [call.name for call in run.trace.filter("injected")] == ["random_get", "random_get"]


READ = wat(NAMES, """
  (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 3))
  (i32.store (i32.const 8) (i32.const 80)) (i32.store (i32.const 12) (i32.const 30))
  (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 16)))
  (i32.store (i32.const 12) (i32.sub (i32.load (i32.const 16)) (i32.const 3)))
  (if (i32.lt_u (i32.load (i32.const 16)) (i32.const 3))
    (then (i32.store (i32.const 4) (i32.load (i32.const 16))) (i32.store (i32.const 12) (i32.const 0))))
  (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 2) (i32.const 16)))""")
"""Reads 33 bytes of stdin into two buffers and writes what came to stdout."""


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(
    ("short", "text"), [(0, ""), (2, "so"), (3, "som"), (5, "some "), (999, "some text that is read")]
)
def test_a_short_read_moves_so_many_bytes(short: int, text: str, native: bool) -> None:
    grants = Grants(stdin=b"some text that is read", faults=[Fault("fd_read", short=short)])
    run = wasilab.run(READ, grants=grants, native=native)
    assert run.stdout == text
    assert bool(run.trace[0].flags & Flag.INJECTED) == (short < 33)


def test_a_flipped_bit_is_one_bit_read_or_written() -> None:
    text = b"some text that is read"
    for faults in (["fd_read:data=flip:seed=3"], ["fd_write:data=flip:seed=3"]):
        run = wasilab.run(READ, grants=Grants(stdin=text, faults=faults))
        changed = [a ^ b for a, b in zip(run.stdout_bytes, text, strict=True) if a != b]
        assert len(changed) == 1
        assert changed[0].bit_count() == 1
        assert len(run.trace.filter("injected")) == 1
    empty = wasilab.run(READ, grants=Grants(faults=["fd_read,fd_write:data=flip"]))
    assert not len(empty.trace.filter("injected"))  # no byte was moved


def test_a_delay_ends_with_the_run() -> None:
    run = wasilab.run(SIX_WRITES, grants=Grants(faults=["fd_write:delay=1h:when=3"], limits=Limits(seconds=0.3)))
    assert run.outcome.kind == "limit"
    assert len(run.stdout) == 8
    quick = wasilab.run(SIX_WRITES, grants=Grants(faults=["fd_write:delay=20ms:when=3"]))
    assert quick.trace["dur"][2] >= 20_000_000
    assert len(quick.stdout) == 24


def test_faults_go_before_overrides_and_share_the_call_with_them() -> None:
    asked: list[int] = []

    def shout(original: Callable[..., int], descriptor: Any, buffers: list[memoryview]) -> int:
        asked.append(descriptor.fd)
        return original(descriptor, [memoryview(bytes(b).upper()) for b in buffers])

    found, run = failed("fd_write:error=EIO:when=2", overrides={"fd_write": shout})
    assert found == [2]
    assert run.stdout == "ABC\n" * 5
    assert asked == [1, 1, 1, 1, 1, 2]
    flags = run.trace["flags"].tolist()
    assert flags[0] == Flag.OVERRIDE
    assert flags[1] & Flag.INJECTED


def test_a_run_with_faults_is_replayed_without_them() -> None:
    grants = Grants(stdin=b"some text", faults=["fd_read:data=flip:seed=2", "fd_write:short=3"])
    first = wasilab.run(READ, grants=grants, record=True)
    again = first.replay()
    assert again.divergence is None
    assert again.stdout_bytes == first.stdout_bytes != b"som"
    assert again.trace["flags"].tolist() == first.trace["flags"].tolist()


# --- the text ---

FAULTS = st.builds(
    Fault,
    calls=st.sampled_from(["fd_write", "fd_read,fd_pread", "fd_*", "path", "random_get,fd_read"]),
    error=st.none(),
    short=st.just(None) | st.integers(0, 1 << 31),
    delay=st.sampled_from([0.05, 2, 3600, 0.001]),
    data=st.none(),
    when=st.none() | st.sampled_from([1, "3+", "3+2", "2..5", "2..9+3"]),
    path=st.none() | st.sampled_from(["*.db", "/data/?", "[a-c]=d"]),
    p=st.sampled_from([1.0, 0.1, 0.25]),
    seed=st.integers(0, 1 << 40),
)


@given(fault=st.data())
@settings(max_examples=100, deadline=None, database=None)
def test_a_fault_is_the_same_through_text_flags_policies_and_python(fault: st.DataObject) -> None:
    try:
        one = fault.draw(FAULTS)
    except FaultError:
        return  # a short random_get, say
    assert Fault.parse(one.rule) == Fault.parse(Fault.parse(one.rule).rule)
    assert Fault.parse(one.rule).rule == one.rule
    grants = Grants(faults=[one, "fd_write:error=EIO"])
    parser = argparse.ArgumentParser()
    add_options(parser)
    assert from_options(parser.parse_args(grants.to_flags()), Grants()) == grants
    assert from_python(to_python(grants), Grants) == grants
    assert merge_text(Grants(), to_toml(grants)) == grants
    assert "--inject" in static_html(None, grants, None)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("fd_wrte:error=EIO", "did you mean 'fd_write'"), ("fd_write:eror=EIO", "did you mean 'error'"),
        ("fd_write", "no fault given"), ("fd_write:error=EFOO", "no such errno"),
        ("fd_write:error=SUCCESS", "no such errno"),
        ("fd_write:short=x", "write a number"), ("fd_write:short=-1", "number of bytes"),
        ("clock_time_get:short=1", "short= is for"), ("path_open:data=flip", "data= is for"),
        ("fd_write:data=burn", "data=flip"), ("fd_write:error=EIO:when=0", "write 3"),
        ("fd_write:error=EIO:when=5..2", "write 3"), ("fd_write:error=EIO:when=1+0", "write 3"),
        ("fd_write:error=EIO:when=\u0663", "write 3"), ("fd_write:error=EIO:short=1", "transfers no bytes"),
        ("fd_write:delay=9h", "up to an hour"), ("fd_write:delay=-1", "up to an hour"),
        ("proc_exit:error=EIO", "not a call that"),
        ("fd_write:error=EIO:p=0", "probability"), ("fd_write:error=EIO:p=nan", "probability"),
        ("fd_write:error=EIO:p=2", "probability"), ("fd_write:error=EIO:seed=-1", "whole number"),
        ("fd_write:error=EIO:path=", "pattern"), ("fd_write:error=EIO:error=EIO", "twice"), ("", "not a call that"),
        ("operation=opne:error=EIO", "not an operation of a call that can have a fault; did you mean 'open'"),
        ("operation=:error=EIO", "not an operation"), ("operation=exit:error=EIO", "operations of such calls are: "),
        ("operation=open:short=1", "short= is for"),
    ],
)  # fmt: skip
def test_a_bad_fault_is_named_with_what_to_write(text: str, sentence: str) -> None:
    with pytest.raises(FaultError, match=sentence):
        Fault.parse(text)
    with pytest.raises(GrantError, match=sentence):
        Grants(faults=[text])


def test_a_fault_can_name_operations() -> None:
    fault = Fault.parse("operation=write,read*,write:delay=1ms")
    assert Fault.parse(fault.rule) == fault
    assert fault.names == ["fd_pwrite", "fd_write", "fd_pread", "fd_read", "path_readlink"]


def test_what_is_no_fault_is_refused() -> None:
    with pytest.raises(GrantError, match="is not text"):
        Grants(faults=[7])  # type: ignore[list-item]
    with pytest.raises(GrantError, match="faults"):
        Grants(faults="fd_write:error=EIO")  # a text, not a list


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[[fault]", "not TOML"), ("", "nothing"), ("x = 1", "'x'"), ("fault = 1", r"\[\[fault\]\]"),
        ("[[fault]]\nerror = 'EIO'", "names its calls"),
        ("[[fault]]\ncalls = 'fd_write'\neror = 'EIO'", "mean 'error'"),
        ("inject = 'fd_write'", "inject ="), ("inject = ['fd_write:x=1']", "there is no 'x=1'"),
        ("[[fault]]\ncalls = 'fd_write'\nshort = 'x'", "number of bytes"), ("[[fault]]\ncalls = 3\nerror='EIO'", "'3'"),
    ],
)  # fmt: skip
def test_a_bad_file_of_faults_is_named_with_what_to_write(text: str, sentence: str) -> None:
    with pytest.raises(FaultError, match=sentence):
        read_fault_file(text)


def test_a_file_of_faults_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = "[[fault]]\ncalls = 'fd_write'\nerror = 'EIO'\nwhen = 1\n"
    (tmp_path / "f.toml").write_text(f"inject = ['fd_read:short=4']\n{one}")
    assert read_fault_file((tmp_path / "f.toml").read_text()) == ["fd_read:short=4", "fd_write:error=EIO:when=1"]
    (tmp_path / "p.wasm").write_bytes(SIX_WRITES.bytes)
    assert main(["run", "--no-stderr", "--inject-file", str(tmp_path / "f.toml"), str(tmp_path / "p.wasm")]) == 0
    assert capsys.readouterr().out == "abc\n" * 5
    assert main(["run", "--inject-file", str(tmp_path / "none.toml"), str(tmp_path / "p.wasm")]) == 2
    assert "none.toml" in capsys.readouterr().err
    assert main(["run", "--inject", "fd_wite:error=EIO", str(tmp_path / "p.wasm")]) == 2
    assert "--inject" in capsys.readouterr().err


def test_every_call_that_answers_can_fail() -> None:
    for name, call in SNAPSHOT1.items():
        if call.returns:
            assert Fault(name, error="EIO").names == [name]
            assert Injection(call, [], None) is not None  # type: ignore[arg-type]  # no rule waits


# --- each call once ---

CAREFUL = """
  (if (call $random_get (i32.const 40) (i32.const 1)) (then (call $proc_exit (i32.const 7))))
  (drop (call $sched_yield))
  (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 4))
  (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
  (if (call $path_open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 3) (i32.const 1) (i64.const 64)
    (i64.const 0) (i32.const 0) (i32.const 80)) (then unreachable))
  (drop (call $fd_write (i32.const 99) (i32.const 0) (i32.const 1) (i32.const 8)))"""
EACH = wat(NAMES, CAREFUL, extra='(data (i32.const 64) "abc\\n")')
"""Reports a failed random_get, recovers from sched_yield, loses what it prints, traps where path_open fails."""


def test_each_call_fails_once_and_the_verdict_says_what_came_of_it(tmp_path: Path) -> None:
    folder = MemDir({"kept": b"1"})
    found = inject_each(EACH, [], Grants(dirs={"/": folder}))
    assert [(row.call, row.nth, row.seq, row.verdict, row.exit_code) for row in found.rows] == [
        ("random_get", 1, 0, "reports", 7), ("sched_yield", 1, 1, "recovers", 0), ("fd_write", 1, 2, "loses", 0),
        ("path_open", 1, 3, "crashes", 134),
    ]  # fmt: skip
    assert folder.contents() == {"kept": b"1"}  # the runs had folders of their own
    assert "1 crashes: a trap, or a limit" in str(found)
    (tmp_path / "abc").write_text("on the host")
    host = inject_each(EACH, [], Grants(dirs={"/": HostDir(str(tmp_path), "rw")}), most=2)
    assert [row.call for row in host.rows] == ["fd_write"]  # the second one is on a descriptor that is not open
    assert host.left_out == 3
    assert [path.name for path in tmp_path.iterdir()] == ["abc"]


def test_the_command_fails_each_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.wasm").write_bytes(EACH.bytes)
    program = str(tmp_path / "p.wasm")
    assert main(["inject", "--each", "--mem", "/", program]) == 1
    said = capsys.readouterr().out
    assert "fails with EIO" in said
    assert "path_open #1" in said
    assert main(["inject", "--each", "--calls", "sched", "--error", "EINTR", "--mem", "/", program]) == 0
    assert "1 recovers" in capsys.readouterr().out
    for words, sentence in (
        (["inject", program], "inject --each FILE"), (["inject", "--each", "--error", "EX", program], "no such errno"),
        (["inject", "--each", "--calls", "fd_nothing", program], "not a call that can have a fault"),
        (["inject", "--each", "--inject", "fd_write:error=EIO", program], "remove the other faults"),
        (["inject", "--each", "--calls", "path_link", program], "no call to fail"),
    ):  # fmt: skip
        assert main(words) == 2, words
        assert sentence in capsys.readouterr().err
