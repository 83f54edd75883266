"""Labs: instances that call each other, with descriptors as plain arguments, and what goes wrong between them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wasilab
from wasilab import Grants, GuestError, HostDir, Limits, MemDir
from wasilab.engine.compiling.engine_options import EngineOptions
from wasilab.engine.lab.passing import PassingError
from wasilab.engine.stop import LinkError
from wasilab.runs.lab import Lab, LabError
from wasilab.trace.trace import Trace
from wasilab.views import static

from .programs import OPENER, READER, text

PASSING = {"count": 0, "number": 0, "scribble": 0, "shut": 0, "keep": 0}


def lab_of(folder: Any, reader: Grants | None = None, **link: Any) -> Lab:
    """An opener that holds a folder, and a reader that holds nothing, linked in a circle."""
    lab = Lab()
    lab.add("opener", OPENER, Grants.nothing(dirs={"/data": folder}))
    lab.add("reader", READER, reader or Grants.nothing())
    lab.link("opener", "reader", **{"passing": PASSING, **link})
    lab.link("reader", "opener")
    return lab


@pytest.fixture
def folder(tmp_path: Path) -> HostDir:
    (tmp_path / "a.txt").write_text("hello, lab")
    return HostDir(str(tmp_path), "rw")


@pytest.fixture
def lab(folder: HostDir) -> Iterator[Lab]:
    with lab_of(folder) as made:
        yield made


def test_a_descriptor_passes_as_a_plain_argument_under_a_number_of_the_receivers_own(lab: Lab) -> None:
    opener = lab["opener"].exports
    fd = opener.open()
    assert fd == 4
    number = opener.number(fd)
    assert number == 3, "the reader holds nothing else"
    assert opener.count(fd) == 10
    assert opener.tell(fd) == 10, "the position is one, as after dup"
    flow = lab.flows[0]
    assert (flow.call, flow.sender, flow.from_fd) == ("reader.number", "opener", 4)
    assert (flow.receiver, flow.to_fd) == ("reader", 3)
    assert flow.path == "/data/a.txt"
    assert {"fd_read", "fd_write"} <= set(flow.rights)
    assert [one.to_fd for one in lab.flows] == [3, 3], "each was closed when its call returned"


@pytest.mark.parametrize("forged", [5, 99, -1, 0, 2])
def test_a_forged_number_is_refused_before_the_receiver_is_entered(lab: Lab, forged: int) -> None:
    opener = lab["opener"].exports
    assert opener.count(forged) == -8
    assert not [event for event in lab["reader"].trace if event.name == "fd_read"]
    (call,) = lab["opener"].trace
    assert (call.name, int(call.errno)) == ("count", 8)
    assert "is not open in opener: reader.count was not entered" in call.reason
    assert lab.flows[0].to_fd == -1


def test_where_no_integer_is_returned_a_forged_number_ends_the_caller(lab: Lab) -> None:
    with pytest.raises(GuestError, match=r"descriptor 77 is not open in opener: reader\.keep was not entered"):
        lab["opener"].exports.keep(77)
    assert lab["reader"].outcome is None, "the reader was not touched"


@pytest.mark.parametrize("rights", ["ro", ["fd_read", "fd_seek", "fd_tell"]])
def test_a_link_passes_on_fewer_rights(folder: HostDir, rights: Any) -> None:
    with lab_of(folder, rights=rights) as lab:
        opener = lab["opener"].exports
        fd = opener.open()
        assert opener.scribble(fd) == 76, "ENOTCAPABLE"
        assert opener.count(fd) == 10
        (write,) = [event for event in lab["reader"].trace if event.name == "fd_write"]
        assert "lacks the right fd_write, which the link from opener withholds" in write.reason
    assert Path(folder.path, "a.txt").read_text() == "hello, lab"


def test_a_link_takes_rights_away_in_compat_mode_too(folder: HostDir) -> None:
    with lab_of(folder, Grants.nothing(rights="compat"), rights="ro") as lab:
        opener = lab["opener"].exports
        assert opener.scribble(opener.open()) != 0
    assert Path(folder.path, "a.txt").read_text() == "hello, lab"


def test_rights_can_differ_from_parameter_to_parameter(folder: HostDir) -> None:
    with lab_of(folder, passing={"count": {0: "ro"}, "scribble": {0: "same"}}) as lab:
        opener = lab["opener"].exports
        assert opener.scribble(opener.open()) == 0
        assert lab.flows[0].rights != ()


def test_an_undeclared_parameter_is_a_bare_number(folder: HostDir) -> None:
    with lab_of(folder, passing={"count": 0}) as lab:
        opener = lab["opener"].exports
        fd = opener.open()
        assert opener.number(fd) == fd
        assert opener.scribble(fd) == 8, "the reader has no such descriptor"
        assert opener.count(fd) == 10


def test_the_receiver_may_close_what_it_got_and_the_senders_stays_open(lab: Lab) -> None:
    opener = lab["opener"].exports
    fd = opener.open()
    assert opener.shut(fd) == 0
    assert opener.count(fd) == 10


def test_with_keep_the_receiver_has_it_until_the_sender_closes(folder: HostDir) -> None:
    with lab_of(folder, keep=True) as lab:
        opener = lab["opener"].exports
        fd = opener.open()
        opener.keep(fd)
        assert opener.later() == 10
        assert opener.close(fd) == 0
        assert opener.later() == -1
    with lab_of(folder) as lab:
        opener = lab["opener"].exports
        opener.keep(opener.open())
        assert opener.later() == -1, "without keep it was closed when the call returned"


def test_a_receiver_whose_table_is_full_gets_nothing(folder: HostDir) -> None:
    with lab_of(folder, Grants.nothing(limits=Limits(fds=1)), keep=True) as lab:
        opener = lab["opener"].exports
        fd = opener.open()
        assert [opener.number(fd), opener.number(fd)] == [3, -33], "EMFILE"


def test_a_link_may_go_in_a_circle(lab: Lab) -> None:
    assert lab["opener"].exports.twice(20) == 42
    assert [event.name for event in lab.trace] == ["back", "twice"], "the inner call ended first"
    assert [event.instance for event in lab.trace] == [1, 0]


def test_a_command_runs_once(folder: HostDir) -> None:
    with lab_of(folder) as lab:
        assert lab.run().exit_code == 0
        with pytest.raises(TypeError, match="opener was started already: a command runs once"):
            lab.run("opener")
        with pytest.raises(TypeError, match="reader is not a command"):
            lab.run("reader")
        with pytest.raises(GuestError):
            lab["opener"].exports.open()


def test_one_trace_has_the_calls_of_all_on_one_time_axis(lab: Lab, tmp_path: Path) -> None:
    opener = lab["opener"].exports
    opener.count(opener.open())
    trace = lab.trace
    assert [(event.instance, event.name) for event in trace] == [(0, "path_open"), (1, "fd_read"), (0, "count")]
    lines = trace.text(time="none").splitlines()
    assert lines[0].startswith("1 [opener] path_open(fd=3</data>")
    assert lines[1].startswith("1 [reader] fd_read(fd=3<<opener>/data/a.txt>")
    assert 'fd0="4</data/a.txt> as reader\'s 3"' in lines[2]
    assert trace[1].t_start >= trace[2].t_start, "the inner call began later"
    assert trace[1].t_start + trace[1].dur <= trace[2].t_start + trace[2].dur
    assert trace.filter("instance=1")[0].name == "fd_read"
    assert trace.save(tmp_path / "lab.wtrace")
    assert Trace.load(tmp_path / "lab.wtrace").text(time="none") == trace.text(time="none")


@pytest.mark.parametrize(
    ("call", "words"),
    [("boom", "reader ended inside boom: the program executed 'unreachable'"), ("leave", "exit status 3")],
)
def test_what_ends_the_receiver_ends_the_call_and_is_told(lab: Lab, call: str, words: str) -> None:
    arguments = (3,) if call == "leave" else ()
    with pytest.raises(GuestError) as ended:
        lab["opener"].exports[call](*arguments)
    assert words in str(ended.value)
    outcome = lab["reader"].outcome
    assert outcome is not None
    assert (outcome.kind, outcome.exit_code) == (("exit", 3) if call == "leave" else ("trap", 134))
    with pytest.raises(GuestError):
        lab["reader"].exports.number(1)


def test_fuel_and_memory_are_each_instances_own(folder: HostDir) -> None:
    with lab_of(folder, Grants.nothing(limits=Limits(fuel=10_000))) as lab:
        with pytest.raises(GuestError, match="reader ended inside spin: the fuel of 10,000 is used up"):
            lab["opener"].exports.spin()
        assert lab["reader"].outcome is not None
        assert lab["reader"].outcome.kind == "limit"


def test_a_time_limit_ends_the_call_wherever_it_is(folder: HostDir) -> None:
    lab = Lab()
    lab.add("opener", OPENER, Grants.nothing(dirs={"/data": folder}, limits=Limits(seconds=0.2)))
    lab.add("reader", READER, Grants.nothing())
    lab.link("opener", "reader").link("reader", "opener")
    with lab, pytest.raises(GuestError, match=r"time limit of 0\.2 s"):
        lab["opener"].exports.spin()


def test_an_interrupt_reaches_the_instance_that_runs(lab: Lab) -> None:
    opened = lab.open()
    timer = threading.Timer(0.2, lambda: opened.members["opener"].live._running.interrupt())  # type: ignore[union-attr]
    timer.start()
    with pytest.raises(GuestError) as ended:
        lab["opener"].exports.spin()
    timer.join()
    assert ended.value.outcome.kind == "interrupt"


def test_grants_are_each_instances_own() -> None:
    both = Lab()
    peek = '(import "wasi_snapshot_preview1" "fd_prestat_get" (func $p (param i32 i32) (result i32)))'
    body = f'{peek} (memory (export "memory") 1) (func (export "f") (result i32) (call $p (i32.const 3) (i32.const 0)))'
    both.add("rich", text(body), Grants.nothing(dirs={"/": MemDir()}))
    both.add("poor", text(body), Grants.nothing())
    with both:
        assert (both["rich"].exports.f(), both["poor"].exports.f()) == (0, 8)
        assert len(both["rich"].trace) == len(both["poor"].trace) == 1


# ---- bad use: one clear error, never a dead process


@pytest.mark.parametrize(
    ("importer", "exporter", "words"),
    [
        ('(import "b" "f" (func))', "", "which b does not export"),
        ('(import "b" "add" (func))', '(func (export "ad"))', "did you mean 'ad'"),
        ('(import "b" "f" (func (param i32)))', '(func (export "f"))', r"as \(i32\) -> \(\), and in b it is \(\)"),
        ('(import "b" "m" (memory 1))', '(memory (export "m") 1)', "only functions pass between stores"),
        (
            '(import "b" "f" (func (param externref)))', '(func (export "f") (param externref))',
            "externref, which cannot",
        ),
        ('(import "c" "f" (func))', '(func (export "f"))', "imports nothing from 'b'"),
    ],
)  # fmt: skip
def test_a_link_that_does_not_fit_is_refused_by_name(importer: str, exporter: str, words: str) -> None:
    lab = Lab()
    lab.add("a", text(f"{importer} (func (export \"go\"))"))
    lab.add("b", text(exporter))
    lab.link("a", "b")
    with lab, pytest.raises(LinkError, match=words):
        lab.open()


@pytest.mark.parametrize(
    ("passing", "words"),
    [
        ({"nope": 0}, "to 'nope', which opener does not import"),
        ({"twice": 1}, "parameter 1 of twice .* is not a descriptor"),
        ({"count": 7}, "parameter 7 of count"),
    ],
)
def test_a_descriptor_over_a_parameter_that_is_none_is_refused(folder: HostDir, passing: Any, words: str) -> None:
    with lab_of(folder, passing=passing) as lab, pytest.raises(LinkError, match=words):
        lab.open()


def test_rights_that_do_not_exist_are_refused(folder: HostDir) -> None:
    with pytest.raises(PassingError, match="'fd_raed' is not a right of preview1; did you mean 'fd_read'"):
        lab_of(folder, rights=["fd_raed"])
    with pytest.raises(PassingError, match="write 'same', 'ro' or a list"):
        lab_of(folder, rights="rw")
    for wrong in (-1, "0", True, None):
        with pytest.raises(PassingError, match="a parameter is a number from 0"):
            lab_of(folder, passing={"count": [wrong]})


def test_names_of_a_lab_are_checked() -> None:
    lab = Lab("mine")
    with pytest.raises(LabError, match="mine is empty"):
        lab.open()
    lab.add("a", text('(func (export "f"))'))
    for name, words in (("a", "already has a member 'a'"), ("", "needs a name")):
        with pytest.raises(LabError, match=words):
            lab.add(name, text(""))
    with pytest.raises(LabError, match=r"no 'b' \(it has a\)"):
        lab.link("a", "b")
    with pytest.raises(LabError, match="0 commands: name one"):
        lab.run()
    with pytest.raises(LabError, match="cannot add 'c': mine is already open"):
        lab.add("c", text(""))
    with pytest.raises(AttributeError, match="exports no function 'g'"):
        lab["a"].exports.g()
    lab.close()
    lab.close()
    with pytest.raises(LabError, match="is closed"):
        lab.open()
    with pytest.raises(LabError, match="cannot make a guest profile"):
        Lab().add("a", text(""), engine=EngineOptions(profile="guest"))
    with pytest.raises(KeyError):
        lab["b"]


def test_a_member_that_traps_at_its_start_is_named_and_nothing_stays_open() -> None:
    lab = Lab()
    lab.add("good", text('(func (export "f"))'))
    lab.add("bad", text("(func $s unreachable) (start $s)"))
    with lab, pytest.raises(GuestError, match="bad: the program executed 'unreachable'"):
        lab.open()


def test_a_function_that_is_called_before_its_instance_is_there_says_so() -> None:
    lab = Lab()
    lab.add("early", text('(import "late" "f" (func $f)) (func $s (call $f)) (start $s)'))
    lab.add("late", text('(func (export "f"))'))
    lab.link("early", "late")
    with lab, pytest.raises(GuestError, match="late is not there yet"):
        lab.open()


def test_endless_recursion_between_instances_is_a_clean_trap() -> None:
    lab = Lab()
    lab.add("ping", text('(import "pong" "f" (func $f)) (func (export "f") (call $f))'))
    lab.add("pong", text('(import "ping" "f" (func $f)) (func (export "f") (call $f))'))
    lab.link("ping", "pong").link("pong", "ping")
    with lab, pytest.raises(GuestError) as ended:
        lab["ping"].exports.f()
    assert ended.value.outcome.kind == "trap"


# ---- Python functions and references


class Ticket:
    """What a guest may hold and cannot make."""


HOLDER = text(
    """(import "office" "issue" (func $issue (param i32) (result externref)))
      (import "office" "redeem" (func $redeem (param externref) (result i32)))
      (import "office" "both" (func $both (param f32 v128 i64) (result i64 f64)))
      (global $held (mut externref) (ref.null extern)) (table $t 4 externref)
      (func (export "get") (param i32) (global.set $held (call $issue (local.get 0))))
      (func (export "use") (result i32) (call $redeem (global.get $held)))
      (func (export "use_null") (result i32) (call $redeem (ref.null extern)))
      (func (export "given") (param externref) (result i32) (call $redeem (local.get 0)))
      (func (export "many") (result i64 f64) (call $both (f32.const 1.5) (v128.const i64x2 1 2) (i64.const -3)))""",
    name="holder.wasm",
)


def office(**functions: Any) -> Lab:
    usual: dict[str, Any] = {
        "issue": lambda kind: Ticket(), "redeem": lambda held: 0, "both": lambda a, b, c: (c, a * b.lanes("i64x2")[1]),
    }  # fmt: skip
    lab = Lab()
    lab.add("holder", HOLDER, functions={"office": {**usual, **functions}})
    return lab


def test_a_guest_holds_an_object_that_it_cannot_forge_and_hands_back_the_very_same() -> None:
    issued: list[object] = []
    redeemed: list[object] = []

    def issue(kind: int) -> object:
        issued.append(Ticket())
        return issued[-1]

    with office(issue=issue, redeem=lambda held: redeemed.append(held) or len(redeemed)) as lab:
        holder = lab["holder"].exports
        holder.get(1)
        assert holder.use() == 1
        assert holder.use_null() == 2
        mine = Ticket()
        assert holder.given(mine) == 3
    assert redeemed == [issued[0], None, mine]


def test_numbers_and_vectors_pass_to_python_and_back() -> None:
    with office() as lab:
        assert lab["holder"].exports.many() == [-3, 3.0]


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda held: 1 / 0, r"office\.redeem failed: ZeroDivisionError"), (lambda held: "x", "is not an i32"),
        (lambda held: None, "is not an i32"), (lambda held: 1 << 40, "does not fit i32"),
        (lambda: 1, "failed: TypeError"),
    ],
)  # fmt: skip
def test_a_python_function_that_fails_ends_the_guest_in_words(function: Any, words: str) -> None:
    with office(redeem=function) as lab:
        with pytest.raises(GuestError, match=words):
            lab["holder"].exports.use_null()
        assert lab["holder"].outcome is not None
        assert lab["holder"].outcome.kind == "trap"


def test_python_functions_that_do_not_fit_are_refused() -> None:
    for functions, words in (
        ({"office": {"isue": print}}, "imports no office.isue, .* did you mean 'office.issue'"),
        ({"office": {"issue": 7}}, "7 is not a function"),
    ):
        lab = Lab()
        lab.add("holder", HOLDER, functions=functions)
        with lab, pytest.raises(LinkError, match=words):
            lab.open()


def test_calls_of_python_functions_are_in_the_trace() -> None:
    with office() as lab:
        lab["holder"].exports.use_null()
        (call,) = lab["holder"].trace
        assert (call.name, call.family) == ("redeem", "python")
        assert "redeem($0=\"null\") = 0 {result=0}" in lab["holder"].trace.text()


def test_a_passed_descriptor_is_an_arrow_between_two_lanes_and_a_forged_number_a_cross(
    folder: HostDir, tmp_path: Path
) -> None:
    with lab_of(folder) as lab:
        opener = lab["opener"].exports
        fd = opener.open()
        opener.count(fd)
        opener.count(77)
        path = tmp_path / "lab.wtrace"
        lab.trace.save(str(path))
        figure = lab.plot()
    for drawn in (figure, wasilab.Trace.load(path)):
        axes = (drawn if drawn is figure else static.plot(drawn, "gantt")).axes[0]
        names = [text.get_text() for text in axes.get_yticklabels()]
        assert "opener 77: not open, refused" in names
        arrows = [text for text in axes.texts if getattr(text, "arrow_patch", None) is not None]
        (arrow,) = arrows
        ends = [names[int(y)] for _, y in (arrow.xyann, arrow.xy)]
        assert ends == ["opener 4</data/a.txt>", "reader 3<<opener>/data/a.txt>"]
        (cross,) = [line for line in axes.lines if line.get_marker() == "X"]
        assert names[int(cross.get_ydata()[0])].startswith("opener 77")
        assert "1 was passed on" in axes.get_title(loc="left")


@pytest.mark.parametrize("passed", [7, [7], [[1, 2]], [["x"] * 8], [[0, "c", "a", 1, 1, "b", True, 2]]])
def test_a_trace_file_with_false_passed_descriptors_draws_none(lab: Lab, passed: Any) -> None:
    lab["opener"].exports.open()
    trace = lab.trace
    trace.meta["passed"] = passed
    axes = static.plot(trace, "gantt").axes[0]
    assert not [text for text in axes.texts if getattr(text, "arrow_patch", None) is not None]
