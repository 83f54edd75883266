"""Claims and checks: what holds, what is said where one does not, and that nothing earns nothing."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import wasilab
from tests.frontends.programs import EXIT_7, HELLO, TRAP, program
from wasilab import Grants, Limits, MemDir, Random
from wasilab.capabilities.patterns import read_only
from wasilab.course import (
    CheckFailed,
    Claim,
    CourseError,
    at_least,
    at_most,
    before,
    check,
    closes_all,
    differs_only_in,
    ends,
    exactly,
    exits,
    exports,
    fuel_at_most,
    granted_no_more_than,
    holds_at_most,
    imports_none_of,
    imports_only,
    makes,
    memory_at_most,
    moves_at_most,
    never,
    only_under,
    prints,
    prints_nothing,
    refused,
    repeats,
    that,
    unrefused,
    writes,
)
from wasilab.course.claim import quoted
from wasilab.runs.run import Run

NOTHING = program('(func (export "_start"))')
OPENS = program("""
  (data (i32.const 100) "a<b>")
  (data (i32.const 120) "../b")
  (func (export "tick") (param i32) (result i32) (local.get 0))
  (func $try (param $at i32) (param $oflags i32)
    (drop (call $open (i32.const 3) (i32.const 0) (local.get $at) (i32.const 4) (local.get $oflags)
      (i64.const 0x40) (i64.const 0) (i32.const 0) (i32.const 64))))
  (func (export "_start")
    (call $try (i32.const 120) (i32.const 0))
    (call $try (i32.const 100) (i32.const 1))
    (call $say (i32.load (i32.const 64)) (i32.const 100) (i32.const 4))
    (call $say (i32.const 1) (i32.const 100) (i32.const 4)))
""")
"""Opens `../b`, which is refused, creates `a<b>`, writes "a<b>" to it and to stdout, and closes nothing."""


def run(text: str, **given: Any) -> Run:
    return wasilab.run(wasilab.load(text.encode()), **given)


@pytest.fixture(scope="module")
def nothing() -> Run:
    return run(NOTHING)


@pytest.fixture(scope="module")
def hello() -> Run:
    return run(HELLO)


@pytest.fixture(scope="module")
def opens() -> Run:
    return run(OPENS, grants=Grants(dirs={"d": MemDir()}))


LEAST = Grants.nothing(stdout=True, dirs={"d": MemDir()})

OF_OPENS: list[tuple[Claim, bool, str]] = [
    (exits(0), True, ""),
    (exits(3), False, "it ended with exit status 0"),
    (ends("exit"), True, ""),
    (ends("trap"), False, "it ended with exit status 0"),
    (prints("a<b>"), True, ""),
    (prints("c"), False, 'it prints "a<b>"'),
    (prints("c", stream="stderr"), False, "it prints nothing"),
    (prints_nothing(), False, 'it prints "a<b>"'),
    (prints_nothing(stream="stderr"), True, ""),
    (writes("d", "a<b>", "a<"), True, ""),
    (writes("d", "a<b>", "c"), False, 'it holds "a<b>"'),
    (writes("d", "c", "c"), False, 'there is no file "c" in "d"'),
    (writes("e", "c", "c"), False, 'no folder is granted at "e"'),
    (makes("path_open errno=0"), True, ""),
    (makes("path_symlink"), False, "there is none"),
    (never("path_symlink"), True, ""),
    (never("path_open ok"), False, "there is 1 call"),
    (exactly(2, "path_open"), True, ""),
    (exactly(1, "path_open"), False, "there are 2 calls"),
    (at_least(2, "fd_write"), True, ""),
    (at_least(3, "fd_write"), False, "there are 2 calls"),
    (at_most(2, "fd_write"), True, ""),
    (at_most(3), False, "there are 4 calls, the first 3 of which follow (path_open 2 times, fd_write 2 times)"),
    (before("path_open", "fd_write"), True, ""),
    (before("fd_write", "path_open"), False, "call 0 comes before call 3"),
    (before("fd_write", "path_symlink"), False, "there is no path_symlink call"),
    (only_under("d", "/"), False, 'it also names "d/../b"'),
    (closes_all(), False, 'it leaves the descriptor 4 ("d/a<b>") open'),
    (moves_at_most(8), True, ""),
    (moves_at_most(7), False, "it moves 8 bytes"),
    (moves_at_most(4, "fd_write fd=1"), True, ""),
    (refused("path_open", "../b", by="path"), True, ""),
    (refused(by="revoked"), False, "1 other refusal"),
    (unrefused(), False, "1 refusal"),
    (holds_at_most(5), True, ""),
    (holds_at_most(4), False, "it has 5 descriptors open at once"),
    (imports_none_of("sock_*"), True, ""),
    (imports_none_of("path_*", "poll_*"), False, "it imports path_open, poll_oneoff"),
    (imports_only("*"), True, ""),
    (imports_only("fd_*", "p[ao]*"), False, "it also imports proc_exit"),
    (exports("tick"), True, ""),
    (exports("tick", "(i32) -> (i32)"), True, ""),
    (exports("tick", "() -> (i32)"), False, 'the type of "tick" is (i32) -> (i32)'),
    (exports("tock"), False, "it exports memory, tick, _start"),
    (granted_no_more_than(Grants(dirs={"d": MemDir()})), True, ""),
    (granted_no_more_than(LEAST), False, "it is also granted argv, stdin, stderr, clocks (real), random (real)"),
    (memory_at_most(1 << 30), True, ""),
    (memory_at_most(1 << 16), False, "this run could have used 1.0 GiB: run it with --max-memory 65536"),
    (fuel_at_most(10), False, "its instructions were not counted"),
    (that("it is so", lambda run: run.outcome.exit_code == 0), True, ""),
    (that("it is so", lambda run: "there was a reason"), False, "there was a reason"),
    (that("it is so", lambda run: 1 // 0), False, "this could not be judged: ZeroDivisionError"),
    (~makes("path_symlink"), True, ""),
    (~makes("path_open"), False, "it does"),
    (makes("path_symlink") | makes("path_open"), True, ""),
    (makes("path_symlink") | prints("c"), False, 'there is none; and it prints "a<b>"'),
]


@pytest.mark.parametrize(("claim", "holds", "found"), OF_OPENS, ids=lambda each: getattr(each, "sentence", None))
def test_a_claim_holds_or_says_what_was_found(opens: Run, claim: Claim, holds: bool, found: str) -> None:
    checked = check(opens, claim, makes("path_open"), stop=False)
    assert checked.verdicts[0].state == ("holds" if holds else "fails")
    assert checked.verdicts[0].found.startswith(found)
    assert bool(found) is not holds


def test_every_claim_that_holds_for_nothing_says_so(nothing: Run) -> None:
    """The flag of each claim is what a program that does nothing shows."""
    for claim, _, _ in OF_OPENS:
        verdict = check(nothing, claim, prints("x"), stop=False).verdicts[0]
        assert verdict.state == ("fails" if not claim.holds_for_nothing else verdict.state), claim.sentence


def test_nothing_earns_nothing(nothing: Run) -> None:
    checked = check(nothing, exits(0), never("refused"), unrefused(), closes_all(), prints("x"), stop=False)
    assert (checked.points, checked.out_of) == (0, 5)
    assert [each.state for each in checked.verdicts] == ["open"] * 4 + ["fails"]
    assert "not judged yet" in str(checked)


def test_a_check_of_claims_that_hold_for_nothing_is_its_authors_mistake(hello: Run) -> None:
    with pytest.raises(CourseError, match="a program that does nothing fulfils every claim"):
        check(hello, exits(0), never("refused"), that("it is so", lambda run: True))


def test_not_doing_nothing_is_a_claim_of_its_own() -> None:
    assert not (~exits(0)).holds_for_nothing
    assert (~prints("x")).holds_for_nothing
    assert (prints("x") | unrefused()).holds_for_nothing
    assert not exits(3).holds_for_nothing
    assert not that("it acts", lambda run: True, needs_action=True).holds_for_nothing


def test_a_failed_check_raises_its_sentences_in_place_of_a_stack(opens: Run) -> None:
    with pytest.raises(CheckFailed) as failed:
        check(opens, makes("path_symlink"), at_most(1, "fd_write"), exercise="01.1")
    (text,) = failed.value._render_traceback_()
    assert text.startswith("Exercise 01.1: 0 of 2 claims hold, 0 of 2 points.\n")
    assert "✘ fails: it makes at most 1 fd_write call" in text
    assert "call 2: fd_write(fd=4<d/a<b>>" in text
    assert isinstance(failed.value, AssertionError)


def test_the_table_holds_nothing_active(opens: Run) -> None:
    checked = check(opens, never("path_open"), prints("<script>"), stop=False)
    page = checked._repr_html_()
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert "d/a&lt;b&gt;" in page


def test_a_long_output_is_quoted_by_its_ends() -> None:
    text = quoted("begin" + "\x1b" * 5_000_000 + "end")
    assert text.startswith('"begin\\x1b')
    assert text.endswith('end"')
    assert len(text) == 162


def test_points_are_weights(opens: Run) -> None:
    checked = check(opens, prints("a").worth(2.5), makes("path_symlink").worth(2), stop=False)
    assert (checked.points, checked.out_of, bool(checked)) == (2.5, 4.5, False)


def test_a_hint_more_is_shown_at_each_attempt() -> None:
    claim = makes("path_symlink").hint("first", "second")
    shown = []
    for _ in range(3):
        mine = run(HELLO)
        for _ in range(2):  # the same run again is no further attempt
            shown.append(check(mine, claim, exercise="hints", stop=False).verdicts[0].hints)
    assert shown == [("first",)] * 2 + [("first", "second")] * 4


def test_attempts_do_not_keep_a_run_alive() -> None:
    class Small:
        trace = denied = None

    mine: Any = Small()
    gone = []
    check(mine, that("x", lambda run: True, needs_action=True), stop=False)
    weakref.finalize(mine, gone.append, 1)
    del mine
    gc.collect()
    assert gone == [1]


def test_a_trap_and_a_status_are_ends() -> None:
    assert check(run(TRAP), ends("trap"), ~exits(0))
    assert check(run(EXIT_7), exits(7))
    checked = check(run(TRAP), exits(7), stop=False)
    assert checked.verdicts[0].found.startswith("its end is trap: ")


def test_fuel_and_memory_are_judged_by_the_runs_limits() -> None:
    mine = run(HELLO, grants=Grants(limits=Limits(fuel=10**6, memory=1 << 20)))
    assert check(mine, prints("hello"), fuel_at_most(10**5), memory_at_most(1 << 20))
    assert "instructions" in check(mine, prints("hello"), fuel_at_most(1), stop=False).verdicts[1].found


def test_what_was_there_before_is_not_written() -> None:
    mine = run(HELLO, grants=Grants(dirs={"d": MemDir({"bill": "100"})}))
    checked = check(mine, writes("d", "bill", "100"), stop=False)
    assert checked.points == 0
    assert "hello" not in str(checked)


def test_two_runs_are_compared_with_their_results() -> None:
    first, second = run(HELLO), run(HELLO)
    assert check(second, repeats(first))
    assert repeats(run(NOTHING)).holds_for_nothing
    other = run(HELLO.replace("hello", "hallo"))
    checked = check(other, repeats(first), prints("h"), stop=False)
    assert checked.verdicts[0].state == "fails"
    assert "fd_write" in checked.verdicts[0].evidence[0].text
    assert check(other, differs_only_in(first, "fd_write"))
    assert not check(other, differs_only_in(first, "path_open"), stop=False)
    assert not check(second, differs_only_in(first, "fd_write"), stop=False)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda run: check(run), "needs claims"),
        (lambda run: check(run, prints), r"prints\(\) is not a claim"),
        (lambda run: check(run.module, prints("x")), "the first value is Module, not a run"),
        (lambda run: check(prints("x"), prints("x")), "the first value is a claim"),
        (lambda run: check(run, prints("x"), exercise=2.1), "named by text"),
        (lambda run: never("call=path_opn"), "did you mean 'path_open'"),
        (lambda run: makes("errno"), "errno needs a value"),
        (lambda run: makes(3), "is not a filter"),
        (lambda run: at_most("2", "fd_write"), "a number of calls"),
        (lambda run: at_least(0, "fd_write"), "always holds"),
        (lambda run: prints(""), "not empty"),
        (lambda run: prints("x", stream="out"), "'stdout' or 'stderr'"),
        (lambda run: exits("0"), "an exit status is a number"),
        (lambda run: ends("crash"), "a program ends by one of 'exit'"),
        (lambda run: refused(by="paths"), "did you mean 'path'"),
        (lambda run: only_under(), "names guest folders"),
        (lambda run: granted_no_more_than({}), "takes Grants"),
        (lambda run: repeats("first"), "compares with a run"),
        (lambda run: that("x", True), "a function of the run"),
        (lambda run: prints("x").hint(), "are sentences"),
        (lambda run: prints("x").worth(0), "above 0"),
        (lambda run: bool(prints("x")), "neither true nor false"),
        (lambda run: imports_only(), "takes names"),
        (lambda run: exports(""), "the name of an export"),
        (lambda run: moves_at_most(-1), "a number of bytes"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_check_is_one_clear_error(hello: Run, wrong: Callable[[Run], object], words: str) -> None:
    with pytest.raises(CourseError, match=words):
        wrong(hello)


def test_a_running_program_is_waited_for() -> None:
    mine = wasilab.run(wasilab.load(program('(func (export "_start") (loop (br 0)))').encode()), detach=True)
    try:
        with pytest.raises(CourseError, match="still runs"):
            check(mine, prints("x"))
    finally:
        mine.stop()


def test_grants_are_compared_field_by_field() -> None:
    limit = Grants.nothing(dirs={"d": read_only(MemDir())}, env={"A": "1"}, random=Random.seeded(1))
    mine = run(HELLO, grants=Grants.nothing(dirs={"d": MemDir()}, env={"B": "1"}, stdout=True, random=Random.seeded(2)))
    found = check(mine, granted_no_more_than(limit), prints("h"), stop=False).verdicts[0].found
    assert found == "it is also granted writing in the folder d, the variable B, stdout, random (seeded:2)"
