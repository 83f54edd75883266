"""A recorded component is replayed without a host: same calls, output and end; and where another one diverges from it.

The components are programs of the course, adapted; and one of text, which needs no tool.
"""

from __future__ import annotations

from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wasilab
from tests.bench.components import GUEST
from tests.components.making import CONNECTS, command, requests
from wasilab import Grants, HostDir, Limits, MemDir, Module
from wasilab.cli import main
from wasilab.engine.components.replayed.call_answers import CallAnswers
from wasilab.engine.components.replayed.call_log import CallLog
from wasilab.engine.replay.recorded_calls import ReplayCursor
from wasilab.engine.stop import CannotReplay
from wasilab.runs.replays.recordings import Recording
from wasilab.runs.replays.replaying import ReplayedRun, replay
from wasilab.toolchains.diagnostics import ToolchainMissing
from wasilab.toolchains.wasm_tools.adapt import adaptation
from wasilab.trace.record.recorder import Recorder
from wasilab.wasi.components import value_types as v
from wasilab.wasi.components.catalogue import INTERFACES
from wasilab.wasi.components.interfaces import Interface, ResultError, WasiFunction
from wasilab.wasi.components.wit.wit_text import read_function, read_type
from wasilab.wasi.errnos import Errno, WasiError
from wasilab.wasi.host import Host


@cache
def adapted(name: str) -> Module:
    if adaptation().install:
        pytest.skip(adaptation().install)
    program = resources.files("wasilab") / "course" / "programs" / f"{name}.wasm"
    return wasilab.adapt(wasilab.load(program.read_bytes(), name=f"{name}.wasm"))


@cache
def compiled(name: str) -> Module:
    if adaptation().install:
        pytest.skip(adaptation().install)
    folder = "examples" if name == "copy" else "course/programs"
    source = (resources.files("wasilab") / folder / f"{name}.c").read_text("utf-8")
    try:
        return wasilab.adapt(wasilab.compile(source, "c", name=f"{name}.c"))
    except ToolchainMissing as missing:
        pytest.skip(str(missing).splitlines()[0])


def starting(extra: str = "") -> Module:
    """A component that opens a file in its first folder; see `tests/bench/components.py`."""
    return wasilab.compile(GUEST.replace('(i32.const 0) (i32.const 3)', f'(i32.const 0) (i32.const {extra or 3})'),
                           "wat", name="guest")  # fmt: skip


def files() -> Grants:
    return Grants(dirs={"/in": MemDir({"a.txt": b"some text\n" * 2000}), "/out": MemDir({}, mode="rw")})


def assert_same(first: wasilab.Run, again: wasilab.Run) -> None:
    assert isinstance(again, ReplayedRun)
    assert again.divergence is None, again.divergence
    ends = [(run.outcome.kind, run.exit_code, run.outcome.message, run.outcome.results) for run in (first, again)]
    assert ends[0] == ends[1]
    assert first.output == again.output
    assert len(first.trace.diff(again.trace)) == 0
    shown = [run.trace.text(time="none", durations=False) for run in (first, again)]
    assert shown[0] == shown[1]


PROGRAMS = {
    "copy": ["/in/a.txt", "/out/b.txt"],
    "holdings": ["/in/a.txt", "/in/none", "/elsewhere"],
    "dice": [],
    "show": ["/in/a.txt", "/in/none"],
}


@pytest.mark.toolchain
@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_a_component_replays_from_its_file_alone(name: str, tmp_path: Path) -> None:
    first = wasilab.run(compiled(name), PROGRAMS[name], files(), record=True)
    assert len(first.trace) > 10
    assert first.output
    assert_same(first, first.replay())
    first.trace.save(tmp_path / "a.wtrace")
    again = replay(Recording.load(tmp_path / "a.wtrace"))
    assert_same(first, again)
    assert_same(again, again.replay())


def test_an_export_is_replayed_with_its_arguments() -> None:
    grants = Grants(dirs={"/": MemDir({"file": b"x" * 8192}, mode="rw")})
    first = wasilab.run(starting(), grants=grants, invoke="start", record=True)
    assert first.outcome.ok, first.outcome.message
    assert_same(first, first.replay())


def test_a_refused_open_traps_again_with_its_reason() -> None:
    first = wasilab.run(starting(), grants=Grants(dirs={"/": MemDir({"file": b"x"}, mode="ro")}), invoke="start",
                        record=True)  # fmt: skip
    assert first.outcome.kind == "trap"
    assert_same(first, first.replay())
    assert [call.reason for call in first.trace] == [call.reason for call in first.replay().trace]


def test_another_build_stops_at_the_call_that_differs() -> None:
    grants = Grants(dirs={"/": MemDir({"file": b"x" * 8192}, mode="rw")})
    first = wasilab.run(starting(), grants=grants, invoke="start", record=True)
    run = replay(Recording(first.trace, starting("1")))
    assert run.outcome.kind == "diverged"
    assert run.divergence is not None
    assert run.divergence.seq == 1
    assert run.divergence.difference == "its argument 'flags' is read, and was read|write"
    assert "open-at" in run.divergence.recorded
    assert "flags=read)" in run.divergence.came
    assert run.outcome.frames
    assert run.calls == len(run.trace) == 1


def test_the_bytes_that_are_written_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    component = adapted("hello")
    first = wasilab.run(component, record=True)
    first.trace.save(tmp_path / "a.wtrace")
    text = first.stdout_bytes[:5]
    assert component.bytes.count(text) == 1
    (tmp_path / "b.wasm").write_bytes(component.bytes.replace(text, text.swapcase()))
    assert main(["replay", str(tmp_path / "a.wtrace"), "--from-file", str(tmp_path / "b.wasm")]) == 1
    said = capsys.readouterr().err
    assert "diverges from the recording at call" in said
    assert "has other bytes: the first that differs is number 0" in said
    assert "recorded: " in said
    assert "came: " in said
    assert "    at " in said


def test_until_stops_before_the_call(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    first = wasilab.run(adapted("dice"), record=True)
    stopped = first.replay(until=4)
    assert (len(stopped.trace), stopped.calls, stopped.is_stopped, stopped.outcome.ok) == (4, 4, True, True)
    assert stopped.outcome.frames
    assert_same(first, first.replay(until=len(first.trace)))
    first.trace.save(tmp_path / "a.wtrace")
    assert main(["replay", str(tmp_path / "a.wtrace"), "--until", "4"]) == 0
    assert "stopped before call 4: " in capfd.readouterr().err


SPLICES = """
  (import "wasi:cli/stdin@V" "get-stdin" (func $stdin (result i32)))
  (import "wasi:cli/stdout@V" "get-stdout" (func $stdout (result i32)))
  (import "wasi:io/streams@V" "[method]output-stream.blocking-splice" (func $splice (param i32 i32 i64 i32)))
  (func $run (result i32) (local $out i32) (local $in i32)
    (local.set $out (call $stdout)) (local.set $in (call $stdin))
    (loop $more
      (call $splice (local.get $out) (local.get $in) (i64.const 1000) (i32.const 48))
      (br_if $more (i32.eqz (i32.load8_u (i32.const 48)))))
    (i32.const 1))
"""


def test_what_is_spliced_to_stdout_is_there_again() -> None:
    first = wasilab.run(Module(command(SPLICES), "splices"), grants=Grants(stdin=b"abc" * 500), record=True)
    assert first.stdout_bytes == b"abc" * 500
    assert first.exit_code == 1
    assert_same(first, first.replay())


def test_a_refused_connection_is_replayed() -> None:
    first = wasilab.run(Module(command(CONNECTS), "connects"), record=True)
    assert first.exit_code == 1
    assert_same(first, first.replay())


ENDLESS = """
  (import "wasi:random/random@V" "get-random-u64" (func $random (result i64)))
  (func $run (result i32) (drop (call $random)) (loop $forever (br $forever)) (i32.const 0))
"""


def test_a_run_that_a_limit_ended_ends_there_again() -> None:
    first = wasilab.run(Module(command(ENDLESS), "endless"), grants=Grants(limits=Limits(fuel=10_000)), record=True)
    assert first.outcome.kind == "limit"
    assert_same(first, first.replay())


def test_what_cannot_be_replayed_is_refused_in_words(tmp_path: Path) -> None:
    waits = wasilab.compile('(component (type (func async)))', "wat", name="waits")
    with pytest.raises(CannotReplay, match="has functions that wait while others run"):
        wasilab.run(waits, record=True)
    with pytest.raises(CannotReplay, match="is a component in another process"):
        wasilab.run(starting(), record=True, isolate=True)
    grants = Grants(dirs={"/": MemDir({"file": b""}, mode="rw")})
    traced = wasilab.run(starting(), grants=grants, invoke="start")
    with pytest.raises(CannotReplay, match="does not have the typed calls"):
        traced.replay()
    first = wasilab.run(starting(), grants=grants, invoke="start", record=True)
    for how in (lambda: first.replay(continue_with=Grants()), lambda: first.memory_at(1)):
        with pytest.raises(CannotReplay, match="is a component: "):
            how()
    with pytest.raises(CannotReplay, match="is a component: the inputs"):
        wasilab.minimize(first, "errno=0")
    with pytest.raises(CannotReplay, match="one of a component, and plain is a core module"):
        Recording(first.trace, wasilab.compile("(module)", "wat", name="plain"))
    first.trace.save(tmp_path / "a.jsonl")
    with pytest.raises(CannotReplay, match="does not have the typed calls"):
        Recording(wasilab.Trace.load(tmp_path / "a.jsonl"), first.module)


def test_a_replay_ends_where_the_program_used_http(tmp_path: Path) -> None:
    first = wasilab.run(Module(command(requests("localhost:1")), "http"), record=True)
    assert first.exit_code == 1
    assert any("call 0 is of HTTP" in words and "cannot be replayed" in words for words in first.outcome.warnings)
    first.trace.save(tmp_path / "a.wtrace")
    again = replay(Recording.load(tmp_path / "a.wtrace"))
    assert again.outcome.kind == "error"
    assert "the recorded program called HTTP here" in again.outcome.message
    assert "(call 0, wasi:http/types@0.2#[constructor]fields)" in again.outcome.message


def test_a_record_above_the_trace_limit_says_so() -> None:
    grants = Grants(dirs={"/": MemDir({"file": b""}, mode="rw")}, limits=Limits(trace=100))
    first = wasilab.run(starting(), grants=grants, invoke="start", record=True)
    assert first.outcome.ok
    again = first.replay()
    assert again.outcome.kind == "error"
    assert "reached the trace limit at this call: raise limits.trace" in again.outcome.message


@pytest.mark.toolchain
def test_a_replay_has_no_host(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("before")
    first = wasilab.run(compiled("show"), ["/in/a.txt"], Grants(dirs={"/in": HostDir(tmp_path / "in")}), record=True)
    (tmp_path / "in" / "a.txt").unlink()
    again = first.replay()
    assert again.stdout == "before"
    assert_same(first, again)


# ---- every function


def _named(bare: str, version: str, made: dict[tuple[str, str, str], Any], name: str) -> Any:
    key = (bare, version, name)
    if key not in made:
        interface = INTERFACES[bare, version]
        text = interface.types.get(name, "")
        if name in interface.resources:
            made[key] = v.ResourceType(name, is_host=True)
        elif text.startswith("use "):
            where, _, there = text.removeprefix("use ").partition(" as ")
            made[key] = _named(where, version, made, there or name)
        else:
            made[key] = read_type(text, partial(_named, bare, version, made))
    return made[key]


def _functions() -> list[tuple[WasiFunction, v.ComponentFuncType]]:
    made: dict[tuple[str, str, str], Any] = {}
    found = []
    for (bare, version), interface in INTERFACES.items():
        if version == "0.2" and not bare.startswith("wasi:http/"):
            for function in interface.functions.values():
                found.append((function, read_function(function.type, partial(_named, bare, version, made))))
    return found


FUNCTIONS = _functions()


class Thing:
    """A resource."""

    def __init__(self, path: str) -> None:
        self.path = path


def values(type_: v.ValueType, things: list[Thing]) -> st.SearchStrategy[Any]:
    """The values of a type; a borrowed resource is one of `things`."""
    if isinstance(type_, v.PrimitiveType):
        if type_.name in ("string", "bool", "char"):
            return {"string": st.text(max_size=20), "bool": st.booleans(), "char": st.characters(codec="utf-8")}[
                type_.name
            ]
        bits, signed = int(type_.name[1:]), type_.name[0] == "s"
        return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1) if signed else st.integers(0, (1 << bits) - 1)
    if isinstance(type_, v.ListType):
        if type_.element == v.U8:
            return st.binary(max_size=40)
        return st.lists(values(type_.element, things), max_size=4)
    if isinstance(type_, v.BorrowType):
        return st.sampled_from(things)
    if isinstance(type_, v.OwnType):
        return st.one_of(st.sampled_from(things), st.builds(Thing, st.text(max_size=9)))
    if isinstance(type_, v.FlagsType):
        return st.integers(0, (1 << len(type_.labels)) - 1)
    if isinstance(type_, (v.RecordType, v.TupleType)):
        return st.tuples(*(values(part, things) for part in type_.parts()))
    if isinstance(type_, v.OptionType):
        some = values(type_.some, things)
        return st.one_of(st.none(), st.tuples(some) if isinstance(type_.some, v.OptionType) else some)
    if isinstance(type_, v.EnumType):
        return st.sampled_from(type_.labels)
    return st.one_of(*(
        st.tuples(st.just(name), st.none() if part is None else values(part, things)) for name, part in
        v.cases_of(type_)
    ))  # fmt: skip


def plain(value: Any, numbers: dict[int, int]) -> Any:
    """A value with resources as their numbers, in the order in which the guest got them."""
    if isinstance(value, (list, tuple)):
        return [plain(each, numbers) for each in value]
    if isinstance(value, (str, bytes, int)) or value is None:
        return value
    return getattr(value, "number", None) or numbers.setdefault(id(value), len(numbers) + 1)


def test_there_are_functions_of_every_family() -> None:
    assert {function.family for function, _ in FUNCTIONS} == {"cli", "clocks", "filesystem", "io", "random", "sockets"}
    assert len(FUNCTIONS) > 100


@pytest.mark.slow
@settings(max_examples=150, deadline=None, database=None, derandomize=True)
@given(data=st.data())
def test_a_record_holds_what_every_function_was_asked_and_answered(data: st.DataObject) -> None:
    recorder = Recorder(snaplen=None)
    recorder.host_calls = []
    log, host = CallLog(recorder), Host()
    numbers: dict[int, int] = {}
    first = [Thing("/"), Thing("<stdin>")]
    give = WasiFunction(Interface("wasi:x/y", "0.2"), "give", "", FUNCTIONS[0][0].operation, lambda host: first, None)
    kind = v.ResourceType("thing", is_host=True)
    owned = v.ComponentFuncType((), v.ListType(v.OwnType(kind)))
    calls: list[tuple[WasiFunction, v.ComponentFuncType, tuple[Any, ...], Any]] = [(give, owned, (), first)]
    plain(first, numbers)
    for function, type_ in data.draw(st.lists(st.sampled_from(FUNCTIONS), min_size=1, max_size=6)):
        arguments = tuple(data.draw(values(of, first)) for _, of in type_.params)
        result, good = type_.result, type_.result
        if isinstance(result, v.ResultType):
            good = result.ok
            if data.draw(st.booleans()):
                error = None if result.error is None else data.draw(values(result.error, first))
                calls.append((function, type_, arguments, ResultError(error, WasiError(Errno.NOENT, "why"))))
                continue
        calls.append((function, type_, arguments, None if good is None else data.draw(values(good, first))))

    def explain(error: BaseException, first: object) -> ResultError:
        assert isinstance(error, ResultError)
        return error

    def made(function: WasiFunction, answer: Any) -> WasiFunction:
        def call(host: Host, *arguments: Any) -> Any:
            if isinstance(answer, ResultError):
                raise answer
            return answer

        return WasiFunction(function.interface, function.name, "", function.operation, call, None)

    def perform(layer: CallLog | CallAnswers, asked: list[Any]) -> list[Any]:
        found: list[Any] = []
        for (function, type_, _, answer), arguments in zip(calls, asked, strict=True):
            try:
                got = layer.function(made(function, answer), type_, explain)(host, *arguments)
                found.append(("ok", got))
            except ResultError as error:
                cause = error.cause
                found.append(("error", error.value, None if cause is None else [int(cause.errno), cause.reason]))
            writer = recorder_of[id(layer)]
            writer.record(writer.origin_ns, 0, 0, 0, None, None, 0, 0, 0, 0, 0, 0, 0, 0)
        return found

    again = Recorder(snaplen=None)
    cursor = ReplayCursor(iter(()), len(calls))
    recorder_of = {id(log): recorder}
    recorded = perform(log, [arguments for _, _, arguments, _ in calls])
    shown = [plain(each, numbers) for each in recorded]
    answers = CallAnswers(recorder.host_calls, cursor, again)
    recorder_of[id(answers)] = again
    stand_ins = answers.function(made(give, None), owned, explain)(host)
    again.record(again.origin_ns, 0, 0, 0, None, None, 0, 0, 0, 0, 0, 0, 0, 0)

    def replaced(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return type(value)(replaced(each) for each in value)
        return stand_ins[first.index(value)] if isinstance(value, Thing) else value

    calls, shown = calls[1:], shown[1:]
    found = perform(answers, [replaced(arguments) for _, _, arguments, _ in calls])
    assert [plain(each, {}) for each in found] == shown
    assert cursor.divergence is None
    answers.finish()
    assert cursor.done == cursor.count
