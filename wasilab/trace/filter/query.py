"""Selects calls: `Trace.filter("call=path_* errno!=0 path~'^/data' dur>1ms refused")` or by keyword arguments.

An expression is a list of terms that must all hold; `or`, `not` and parentheses work as in Python.

    call=path_open,fd_*      a name, a pattern, a family (path), or /regular expression/; commas mean "any of"
    operation=open,remove    the kind of operation, with the same names for preview1, WASI 0.2 and 0.3
    path=/data/*             the full path that the call acted on, or the path as the guest gave it; ~ for a regex
    function=main            a function of the guest, anywhere on the stack of the call (needs stacks)
    errno=ENOENT  errno!=0   names with or without the E, or numbers; "?" for a call that did not return
    dur>1ms  gap>=2s  t<0.5s a time needs a unit: ns, us, ms, s
    bytes>4KiB  result=7  fd=3  generation  seq  line  tid  instance  handle
    denied_by=right          grant, right, path, host, revoked, quota, policy, ask
    refused  failed  ok  injected  truncated  asked  nosys  overridden  unstable  noted  unreturned
    fd_*  path_open,fd  ENOENT   alone: call=fd_*, call=path_open,fd, errno=ENOENT

Not for: parsing (`expressions.py`), the meaning of a term (`terms.py`), or SQL (`sql/statements.py`).
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Sequence, Set

import numpy as np

from ...capabilities.refusal import DeniedBy
from ..calls import Calls
from ..errors import QueryError
from .expressions import And, Bare, Comparison, Not, Or, Part, parsed
from .terms import (
    COLUMNS,
    EXAMPLES,
    TEXT_COLUMNS,
    TIME_COLUMNS,
    WORDS,
    Conditions,
    Mask,
    column_of,
    compare,
    number_column,
    shown,
    suggest,
    word,
)  # fmt: skip

__all__ = ["COLUMNS", "WORDS", "Conditions", "QueryError", "matching"]


def matching(trace: Calls, expression: str | None, conditions: Conditions | None = None) -> Mask:
    """Which calls of `trace` satisfy the expression and all conditions. Raises QueryError."""
    mask = np.ones(len(trace), bool)
    if expression is not None and expression.strip():
        mask &= _mask(trace, parsed(expression))
    for name, wanted in (conditions or {}).items():
        if wanted is not None:
            mask &= _condition(trace, name, wanted)
    return mask


def _condition(trace: Calls, name: str, wanted: object) -> Mask:
    if name in WORDS:
        if not isinstance(wanted, bool):
            raise QueryError(f"{name}= takes True or False, not {wanted!r}")
        mask = word(trace, name)
        return mask if wanted else ~mask
    if isinstance(wanted, str):
        found = re.match(r"\s*(!=|==|!~|=|~)\s*" if name in TEXT_COLUMNS else r"\s*(<=|>=|!=|==|=|<|>)\s*", wanted)
        if found:
            return compare(trace, name, found[1], wanted[found.end() :])
        return compare(trace, name, "=", wanted)
    if isinstance(wanted, range):
        column = number_column(trace, name)
        ascending = wanted if wanted.step > 0 else wanted[::-1]
        within = (column >= ascending.start) & (column < ascending.stop)
        step = ascending.step
        return np.asarray(within if step == 1 else within & ((column - ascending.start) % step == 0))
    values = wanted if isinstance(wanted, Sequence | Set) else [wanted]
    mask = np.zeros(len(trace), bool)
    for value in values:
        if name in TIME_COLUMNS and isinstance(value, int | float):
            value = f"{value}ns"
        mask |= compare(trace, name, "=", value.name if isinstance(value, DeniedBy) else str(value))
    return mask


def _mask(trace: Calls, part: Part) -> Mask:
    match part:
        case And(parts):
            return functools.reduce(operator.and_, (_mask(trace, each) for each in parts))
        case Or(parts):
            return functools.reduce(operator.or_, (_mask(trace, each) for each in parts))
        case Not(part):
            return ~_mask(trace, part)
        case Comparison(column, relation, value):
            return compare(trace, column, relation, value)
        case Bare(name):
            return _bare(trace, name)


def _bare(trace: Calls, name: str) -> Mask:
    """A term without an operator: a word such as `refused`, or the name of a call, a family or an errno."""
    if name in WORDS:
        return word(trace, name)
    if column := column_of(trace.functions, name):
        return compare(trace, column, "=", name)
    if name in COLUMNS:
        raise QueryError(f"{name} needs a value: write {EXAMPLES.get(name, f'{name}=3')}")
    raise QueryError(f"unknown filter term {shown(name)}{suggest(name, (*WORDS, *COLUMNS))}")
