"""Evaluates one filter term, a comparison or a word such as `refused`, to the mask of the calls that satisfy it.

For: `query.py`. Everything is evaluated on whole columns; each distinct text is compared only once, however often it
occurs. Messages name the column and list valid values.
"""

from __future__ import annotations

import fnmatch
import operator
import re
from collections.abc import Callable, Iterator, Sequence, Set
from typing import TypedDict

import numpy as np

from ...capabilities.refusal import DeniedBy
from ...text.nearest import did_you_mean
from ...text.numbers import SIZE_UNITS, parse_duration
from ...wasi import types as t
from ...wasi.operations import OPERATION, Operation
from ..calls import Calls
from ..columns.records import Array
from ..errors import QueryError
from ..record.functions import Functions
from ..record.layout import DID_NOT_RETURN, Flag

Mask = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


Text = str | Sequence[str | int] | Set[str | int] | int | None
"""A condition on names or paths: one value (after an operator, unless that is `=`: "!=path_open") or several."""
Number = str | float | range | Sequence[float] | Set[float] | None
"""A condition on a number or a time: "<10", ">1ms", a number (ns for a time), a range, or several values."""


class Conditions(TypedDict, total=False):
    """The keyword arguments of `Trace.filter`: the columns and words of an expression. None: no condition."""

    call: Text
    family: Text
    operation: Text
    path: Text
    function: Text
    errno: Text
    denied_by: Text | DeniedBy | Sequence[DeniedBy]
    t: Number
    t_start: Number
    t_end: Number
    dur: Number
    gap: Number
    bytes: Number
    nbytes: Number
    result: Number
    fd: Number
    generation: Number
    seq: Number
    line: Number
    tid: Number
    instance: Number
    handle: Number
    refused: bool | None
    denied: bool | None
    failed: bool | None
    ok: bool | None
    noted: bool | None
    unreturned: bool | None
    truncated: bool | None
    injected: bool | None
    asked: bool | None
    nosys: bool | None
    overridden: bool | None
    unstable: bool | None


COMPARE: dict[str, Callable[[Array, float], object]] = {
    "=": operator.eq, "==": operator.eq, "!=": operator.ne,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
TIME_COLUMNS = {"t": "t_start", "t_start": "t_start", "t_end": "t_end", "dur": "dur", "gap": "gap"}
_NUMBER_COLUMNS = {
    "bytes": "nbytes", "nbytes": "nbytes", "result": "result", "fd": "fd", "generation": "generation", "seq": "seq",
    "line": "line", "tid": "tid", "instance": "instance", "handle": "handle",
}  # fmt: skip
TEXT_COLUMNS = ("call", "family", "operation", "path", "function", "errno", "denied_by")
COLUMNS = (*TEXT_COLUMNS, *TIME_COLUMNS, *_NUMBER_COLUMNS)
"""The columns of the filter language."""
_FLAG_WORDS = {
    "injected": Flag.INJECTED, "truncated": Flag.TRUNCATED, "asked": Flag.ASKED, "nosys": Flag.NOSYS,
    "overridden": Flag.OVERRIDE, "unstable": Flag.UNSTABLE,
}  # fmt: skip
_ALSO_CALLED = {
    "op": "operation", "name": "call", "syscall": "call", "error": "errno", "err": "errno", "file": "path",
    "filename": "path",
    "size": "bytes", "len": "bytes", "length": "bytes", "latency": "dur", "duration": "dur", "time": "t",
    "start": "t", "thread": "tid", "pid": "tid", "ret": "result", "return": "result", "denied": "denied_by",
}  # fmt: skip
"""The names of columns in other tools -> their names here."""
EXAMPLES = {
    "call": "call=path_*", "family": "family=path", "operation": "operation=open,make", "path": "path=/data/*",
    "function": "function=main",
    "errno": "errno=ENOENT",
    "denied_by": "denied_by=grant", "bytes": "bytes>4KiB", "nbytes": "nbytes>4KiB",
    **{name: f"{name}>1ms" for name in TIME_COLUMNS},
}  # fmt: skip
WORDS = ("refused", "denied", "failed", "ok", "noted", "unreturned", *_FLAG_WORDS)
"""The words of the filter language that need no operator."""


def word(trace: Calls, name: str) -> Mask:
    """The calls selected by a word such as `refused`."""
    if name in ("refused", "denied"):
        return np.asarray(trace.column("denied_by") != 0)
    if name == "failed":
        errno = trace.column("errno")
        return np.asarray((errno != 0) & (errno != DID_NOT_RETURN))
    if name == "ok":
        return np.asarray(trace.column("errno") == 0)
    if name == "unreturned":
        return np.asarray(trace.column("errno") == DID_NOT_RETURN)
    if name == "noted":
        seq = trace.column("seq")
        mask = np.zeros(len(trace), bool)
        for first, last, _ in trace.notes:
            mask |= (seq >= first) & (seq <= last)
        return mask
    if name in _FLAG_WORDS:
        return np.asarray(trace.column("flags") & int(_FLAG_WORDS[name]) != 0)
    raise QueryError(f"unknown filter term {name!r}{suggest(name, WORDS)}")


def compare(trace: Calls, name: str, op: str, value: str) -> Mask:
    """The calls for which the comparison `name op value` is true."""
    if name == "operation":
        table = _operation_table(trace.functions, value, regex="~" in op)
        return _negate(table[trace.column("call")], _equality(name, op))
    if name in ("call", "family"):
        table = _call_table(trace.functions, value, regex="~" in op, family=name == "family")
        return _negate(table[trace.column("call")], _equality(name, op))
    if name == "errno":
        if op in ("<", "<=", ">", ">="):
            raise QueryError("an errno has no order; use errno=ENOENT or errno!=0")
        table = np.zeros(256, bool)
        table[[_errno(item) for item in value.split(",")]] = True
        return _negate(table[trace.column("errno")], _equality(name, op, regex=False))
    if name == "denied_by":
        table = np.zeros(256, bool)
        table[[_denied_by(item) for item in value.split(",")]] = True
        return _negate(table[trace.column("denied_by")], _equality(name, op, regex=False))
    if name == "path":
        return _negate(_path(trace, value, regex="~" in op), _equality(name, op))
    if name == "function":
        return _negate(_function(trace, value, regex="~" in op), _equality(name, op))
    column = number_column(trace, name)
    if op not in COMPARE:
        raise QueryError(f"{name} is a number: compare it with = != < <= > >=, not with {op}")
    parse = _time if name in TIME_COLUMNS else _size
    if op in ("=", "==", "!="):
        mask = np.zeros(len(trace), bool)
        for item in value.split(","):
            mask |= column == parse(name, item)
        return ~mask if op == "!=" else mask
    return np.asarray(COMPARE[op](column, parse(name, value)))


def _equality(name: str, op: str, regex: bool = True) -> bool:
    """Whether the operator negates; QueryError for an operator that does not apply to text."""
    allowed = ("=", "==", "!=", "~", "!~") if regex else ("=", "==", "!=")
    if op not in allowed:
        raise QueryError(f"{name} cannot be compared with {op}: use one of {' '.join(allowed)}")
    return op.startswith("!")


def _negate(mask: Mask, negate: bool) -> Mask:
    return np.asarray(~mask if negate else mask)


def number_column(trace: Calls, name: str) -> Array:
    """The column of numbers or times with the filter name `name`; QueryError if there is none."""
    column = TIME_COLUMNS.get(name) or _NUMBER_COLUMNS.get(name)
    if column is None:
        raise QueryError(f"unknown column {shown(name)}{suggest(name, (*COLUMNS, *WORDS))}")
    return trace.column(column)


def suggest(name: str, valid: Sequence[str]) -> str:
    """The text after "unknown x": the nearest valid name, if one is close, and all valid names."""
    return f"{did_you_mean(name, valid, ';', _ALSO_CALLED)} valid are: {', '.join(dict.fromkeys(valid))}"


def _regex(name: str, value: str) -> re.Pattern[str]:
    try:
        return re.compile(value)
    except re.error as error:
        raise QueryError(f"{shown(value)}, for {name}, is not a regular expression: {error}") from None


def shown(text: str) -> str:
    """User input, quoted and shortened for a message."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _call_table(functions: Functions, value: str, *, regex: bool, family: bool = False) -> Mask:
    """For each of the 256 numbers of functions, whether `value` matches its name, or behind `OPERATION` its kind."""
    if not family and not regex and value.startswith(OPERATION):
        return _operation_table(functions, value.removeprefix(OPERATION), regex=False)
    texts = functions.families if family else functions.names
    if regex:
        pattern = _regex("family" if family else "call", value)
        found = np.array([bool(pattern.search(text)) for text in texts])
        if family:
            found |= np.array([bool(text and pattern.search(text)) for text in functions.packages])
        return found
    table = np.zeros(256, bool)
    for item in _split(value):
        if len(item) > 2 and item[0] == item[-1] == "/":
            table |= _call_table(functions, item[1:-1], regex=True)
            continue
        found = np.array([fnmatch.fnmatchcase(text, item) for text in texts])
        if family:
            found |= np.array([bool(text) and fnmatch.fnmatchcase(text, item) for text in functions.packages])
        elif not found.any():
            found = np.array([item in (text, package) for text, package in _families(functions)])
        if not found.any() and not any(char in item for char in "*?["):
            families = functions.family_names
            names = () if family else [functions.names[number] for number in functions.known]
            hint = did_you_mean(item, (*names, *families), f"; families are: {', '.join(families)}")
            raise QueryError(f"unknown {'family' if family else 'call'} {shown(item)}{hint}")
        if not found.any() and "|" in item:
            raise QueryError(f"no call matches {shown(item)}: separate alternatives with commas, as in path_*,fd_*")
        table |= found
    return table


def _families(functions: Functions) -> Iterator[tuple[str, str]]:
    return zip(functions.families, functions.packages, strict=True)


def _operation_table(functions: Functions, value: str, *, regex: bool) -> Mask:
    """For each of the 256 numbers of functions, whether `value` matches its operation."""
    texts = functions.operations
    if regex:
        pattern = _regex("operation", value)
        return np.array([bool(pattern.search(text)) for text in texts])
    table = np.zeros(256, bool)
    known = [operation.value for operation in Operation]
    for item in _split(value):
        if not any(char in item for char in "*?[") and item not in known:
            hint = did_you_mean(item, known, f"; operations are: {', '.join(known)}")
            raise QueryError(f"unknown operation {shown(item)}{hint}")
        table |= np.array([fnmatch.fnmatchcase(text, item) for text in texts])
    return table


def column_of(functions: Functions, name: str) -> str:
    """The column that a value without a column belongs to: "call" for a name, pattern or family, "errno" for an errno,
    "" for anything else.
    """
    try:
        if re.fullmatch("E[A-Z0-9]+", name):
            _errno(name)
            return "errno"
        return "call" if _call_table(functions, name, regex=False).any() else ""
    except QueryError:
        return ""


def _split(value: str) -> list[str]:
    """Split at commas, but not within /regular expressions/."""
    return [item.strip() for item in re.findall(r"/(?:\\.|[^/\\])+/|[^,]+", value) if item.strip()]


def _errno(item: str) -> int:
    item = item.strip()
    if item.isdecimal() and int(item) < 256:
        return int(item)
    name = item.upper()
    if name in ("OK", "SUCCESS"):
        return 0
    if name == "?":
        return DID_NOT_RETURN
    if name in ("E2BIG", "2BIG"):
        return int(t.Errno.TOOBIG)
    for candidate in (name, name.removeprefix("E")):
        if candidate in t.Errno.__members__:
            return int(t.Errno[candidate])
    raise QueryError(f"unknown errno {shown(item)}{suggest(name, [e.symbol for e in t.Errno])}")


def _denied_by(item: str) -> int:
    item = item.strip()
    if item.isdecimal() and int(item) < 256:
        return int(item)
    if item.upper() in DeniedBy.__members__:
        return int(DeniedBy[item.upper()])
    raise QueryError(f"unknown denied_by {shown(item)}{suggest(item, [d.name.lower() for d in DeniedBy])}")


def _path(trace: Calls, value: str, *, regex: bool) -> Mask:
    if regex:
        search = _regex("path", value).search
        table = [bool(search(full)) or bool(given and search(given)) for full, given in trace.store.targets]
    else:
        patterns = [re.compile(fnmatch.translate(item)).match for item in value.split(",")]
        targets = trace.store.targets
        table = [any(bool(m(full)) or bool(given and m(given)) for m in patterns) for full, given in targets]
    return np.asarray(np.array(table, bool)[trace.target_ids])


def _function(trace: Calls, value: str, *, regex: bool) -> Mask:
    """The calls with a function that matches `value` anywhere on the guest's stack."""
    patterns = [_regex("function", value).search] if regex else [
        re.compile(fnmatch.translate(item)).match for item in value.split(",")
    ]  # fmt: skip
    store = trace.store
    named = [any(match(frame[0]) for match in patterns) for frame in store.raw_frames]
    table = [False, *(any(0 <= i < len(named) and named[i] for i in stack) for stack in store.stacks)]
    numbers = trace.column("stack")
    return np.asarray(np.array(table, bool)[np.where(numbers < len(table), numbers, 0)])


def _time(name: str, value: str) -> float:
    try:
        return parse_duration(value)
    except ValueError:
        units = f"write it with a unit, such as {name}>1ms (ns, us, ms, s)"
        raise QueryError(f"{name} is a time: {units}; {shown(value)} is not one") from None


def _size(name: str, value: str) -> float:
    found = re.fullmatch(r"\s*(0x[0-9a-fA-F]+|-?[\d.]+(?:e\d+)?)\s*([A-Za-z]*)\s*", value)
    if not found or found[2].lower() not in SIZE_UNITS:
        raise QueryError(f"{name} is a number, as in {name}=3; {shown(value)} is not one")
    number = int(found[1], 16) if found[1].startswith("0x") else _float(name, found[1])
    return number * SIZE_UNITS[found[2].lower()]


def _float(name: str, text: str) -> float:
    try:
        return int(text) if text.lstrip("-").isdecimal() else float(text)
    except ValueError:
        raise QueryError(f"{name} is a number; {shown(text)} is not one") from None
