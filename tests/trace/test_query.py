"""Filters: what they choose, and what they say when they are wrong."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wasilab.capabilities.refusal import DeniedBy
from wasilab.trace.errors import QueryError
from wasilab.trace.filter.query import COLUMNS, WORDS, Conditions
from wasilab.trace.record.layout import Flag
from wasilab.trace.trace import Trace

from .building import Builder, copying, many


@pytest.fixture(scope="module")
def trace() -> Trace:
    b = Builder()
    b.open(3, "/data", preopen="/data", filetype=3)
    b.path_open(3, b"a.txt", opened=4, dur=2_000_000)
    b.read_text(4, b"hello")
    b.write_text(1, b"x" * 5000)
    b.path_open(3, b"../etc/passwd", errno=63, denied=3, reason="left")
    b.stat_path(3, b"sub/my file", errno=44)
    b.call("clock_time_get", 1, 0, 0, 0, result=5, flags=Flag.INJECTED, gap=5_000_000)
    b.call("sched_yield", errno=52, flags=Flag.NOSYS)
    b.call("proc_exit", 3, errno=255)
    b.close(4)
    made = b.trace()
    made.note(2, "look")
    return made


CHOICES = {
    "call=path_open": [0, 3],
    "call=path": [0, 3, 4],
    "call=path_*,sched_yield": [0, 3, 4, 6],
    "call=/^fd_(read|write)$/": [1, 2],
    "call~yield": [6],
    "call!=path": [1, 2, 5, 6, 7],
    "family=clock,proc": [5, 7],
    "errno!=0": [3, 4, 6, 7],
    "errno=ENOENT": [4],
    "errno=noent,perm": [3, 4],
    "errno=?": [7],
    "errno=ok": [0, 1, 2, 5],
    "path=/data/a.txt": [0, 1],
    "path=/data/*": [0, 1, 3, 4],
    "path=a.txt": [0],
    'path="sub/my file"': [4],
    "path='<stdout>'": [2],
    'path~"^/data.*passwd"': [3],
    "path!~data": [2, 5, 6, 7],
    "dur>1ms": [0],
    "dur<=500ns": [1, 2, 3, 4, 5, 6, 7],
    "gap>1ms": [5],
    "t<0.001s": [0],
    "bytes>4KiB": [2],
    "bytes=5": [1],
    "fd=3": [0, 3, 4],
    "fd=3,4": [0, 1, 3, 4],
    "seq>=6": [6, 7],
    "result=5": [1, 5],
    "generation=1 call=fd_read": [1],
    "denied_by=path": [3],
    "refused": [3],
    "denied": [3],
    "failed": [3, 4, 6],
    "ok": [0, 1, 2, 5],
    "unreturned": [7],
    "injected": [5],
    "nosys": [6],
    "noted": [2],
    "call=path not refused": [0, 4],
    "call=path !refused": [0, 4],
    "refused or injected": [3, 5],
    "call=path (refused or errno=ENOENT)": [3, 4],
    "call=path and not (refused or errno=ENOENT)": [0],
    "not call=path not call=fd": [5, 6, 7],
    "path_*": [0, 3, 4],
    "path_open,fd": [0, 1, 2, 3],
    "fd_read or ENOENT": [1, 4],
    "path not refused": [0, 4],
    "": [0, 1, 2, 3, 4, 5, 6, 7],
}


@pytest.mark.parametrize("expression", CHOICES)
def test_expression(trace: Trace, expression: str) -> None:
    assert trace.filter(expression).seq.tolist() == CHOICES[expression]


def test_keyword_conditions(trace: Trace) -> None:
    assert trace.filter(call=["fd_read", "fd_write"]).seq.tolist() == [1, 2]
    assert trace.filter(call="path", refused=False).seq.tolist() == [0, 4]
    assert trace.filter(path="<stdout>").seq.tolist() == [2]
    assert trace.filter(path="~passwd").seq.tolist() == [3]
    assert trace.filter(dur=">1ms").seq.tolist() == [0]
    assert trace.filter(fd=3, errno="!=0").seq.tolist() == [3, 4]
    assert trace.filter(seq=range(2, 4)).seq.tolist() == [2, 3]
    assert trace.filter(denied_by=DeniedBy.PATH).seq.tolist() == [3]
    assert trace.filter("ok", call=None).seq.tolist() == [0, 1, 2, 5]


def test_filters_compose_with_slices() -> None:
    trace = many(2000)
    chosen = trace[500:].filter("call=fd_write")[10:20].filter("dur>1us")
    assert all(e.name == "fd_write" and e.seq >= 500 and e.dur > 1000 for e in chosen)
    assert len(chosen)


WRONG = {
    "nothing_*": "unknown filter term",
    "ENOTHING": "unknown filter term",
    "patth=3": "did you mean 'path'",
    "call=path_opn": "did you mean 'path_open'",
    "family=pth": "did you mean 'path'",
    "errno=ENOTHING": "unknown errno 'ENOTHING'",
    "denied_by=me": "grant",
    "refuse": "did you mean 'refused'",
    "dur>3": "unit",
    "dur>fast": "unit",
    "bytes>big": "number",
    "fd~3": "number",
    "errno>3": "no order",
    "call>path": "cannot be compared with >",
    "path~[": "regular expression",
    'call~"("': "regular expression",
    "(refused": "closing parenthesis",
    "refused)": "unexpected ')' at the end",
    "not": "term is expected",
    "refused or": "term is expected",
    "= 3": "unexpected '=' in the filter",
    "fd=": "needs a value",
    "(" * 500 + "ok": "nested",
    "!" * 5000 + "ok": "nested",
    "seq=1.2.3": "number",
}


@pytest.mark.parametrize("expression", WRONG)
def test_a_wrong_filter_says_what_is_wrong(trace: Trace, expression: str) -> None:
    with pytest.raises(QueryError) as caught:
        trace.filter(expression)
    assert WRONG[expression] in str(caught.value)


def test_a_wrong_column_shows_the_valid_ones(trace: Trace) -> None:
    with pytest.raises(QueryError, match=r"unknown column 'colour'.*call, family, operation, path"):
        trace.filter(colour="red")
    with pytest.raises(QueryError, match="True or False"):
        trace.filter(refused="yes")


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="calpth_errno=!<>~()'\"/*, 123msKiB\\refused", max_size=30))
def test_any_text_is_a_filter_or_a_query_error(trace: Trace, text: str) -> None:
    try:
        chosen = len(trace.filter(text))
    except QueryError:
        chosen = 0
    assert chosen <= len(trace)


def test_every_column_and_word_is_a_keyword_that_a_type_checker_knows() -> None:
    assert set(Conditions.__annotations__) == {*COLUMNS, *WORDS}
    with pytest.raises(QueryError, match="unknown column 'erno'; did you mean 'errno'"):
        many(3).filter(erno="ENOENT")  # type: ignore[call-arg]


MESSAGES = {
    "durr>1ms": "unknown column 'durr'; did you mean 'dur'? valid are: call, family, operation, path, function, errno,",
    "latency>1ms": "unknown column 'latency'; did you mean 'dur'? valid are: call,",
    "name=fd_read": "unknown column 'name'; did you mean 'call'? valid are: call,",
    "dur>1": "dur is a time: write it with a unit, such as dur>1ms (ns, us, ms, s); '1' is not one",
    "dur<>1ms": "unknown operator '<>' after dur: use one of = == != < <= > >= ~ !~",
    "call": "call needs a value: write call=path_*",
    "line": "line needs a value: write line=3",
    "call=path_*|fd_*": "no call matches 'path_*|fd_*': separate alternatives with commas, as in path_*,fd_*",
    "call=path_opn": "unknown call 'path_opn'; did you mean 'path_open'?",
    "path~[": "'[', for path, is not a regular expression: unterminated character set at position 0",
    "seq=1..3": "seq is a number; '1..3' is not one",
    "fd=three": "fd is a number, as in fd=3; 'three' is not one",
    "line~3": "line is a number: compare it with = != < <= > >=, not with ~",
    "errno>3": "an errno has no order; use errno=ENOENT or errno!=0",
    "ok and": "the filter 'ok and' ends where a term is expected, such as errno!=0",
    "and ok": "unexpected 'and' in the filter: write a term, such as errno!=0",
    "refusedd": "unknown filter term 'refusedd'; did you mean 'refused'? valid are:",
    "x" * 5000: f"unknown filter term '{'x' * 57}...'",
}


@pytest.mark.parametrize("expression", MESSAGES)
def test_a_mistyped_filter_is_answered_with_the_right_one(expression: str) -> None:
    with pytest.raises(QueryError) as caught:
        copying().trace().filter(expression)
    said = str(caught.value)
    assert said.startswith(MESSAGES[expression])
    assert len(said) < 1000
    assert said.isprintable()


def test_a_range_is_its_numbers() -> None:
    trace = copying().trace()
    for numbers in (range(1, 5), range(0, 6, 2), range(1, 6, 3), range(4, 0, -2), range(3, 3)):
        assert sorted(trace.filter(seq=numbers).seq.tolist()) == sorted(numbers)
