"""Choosing calls: `Trace.filter("call=path_* errno!=0 path~'^/data' dur>1ms refused")` or by keyword arguments.

An expression is a list of terms that must all hold; `or`, `not` and parentheses work as in Python.

    call=path_open,fd_*      a name, a pattern, a family (path), or /regular expression/; commas mean "any of"
    operation=open,remove    what calls are for, in words that preview1, WASI 0.2 and 0.3 share
    path=/data/*             the full path of what the call acted on, or the path as the guest gave it; ~ for a regex
    function=main            a function of the guest, anywhere on the stack of the call (needs stacks)
    errno=ENOENT  errno!=0   names with or without the E, or numbers; "?" for a call that did not return
    dur>1ms  gap>=2s  t<0.5s a time needs a unit: ns, us, ms, s
    bytes>4KiB  result=7  fd=3  generation  seq  line  tid  instance  handle
    denied_by=right          grant, right, path, host, revoked, quota, policy, ask
    refused  failed  ok  injected  truncated  asked  nosys  overridden  unstable  noted  unreturned
    fd_*  path_open,fd  ENOENT   alone: call=fd_*, call=path_open,fd, errno=ENOENT

Not for: what one term means (`terms.py`), or SQL (`sql/statements.py`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set

import numpy as np

from ...capabilities.refusal import DeniedBy
from ..calls import Calls
from ..errors import QueryError
from .terms import (
    COLUMNS,
    COMPARE,
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
        mask &= _Parser(trace, expression).parse()
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


# -- expressions -------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""\s*(?:(?P<op><=|>=|!=|==|!~|=|<|>|~)|(?P<paren>[()])|(?P<not>!)"""
    r"""|"(?P<dq>(?:\\.|[^"\\])*)"|'(?P<sq>(?:\\.|[^'\\])*)'|(?P<bare>[^\s()=!<>~"']+))"""
)
_VALUE = re.compile(
    r"""\s*(?:"(?P<dq>(?:\\.|[^"\\])*)"|'(?P<sq>(?:\\.|[^'\\])*)'"""
    r"""|(?P<bare>(?:/(?:\\.|[^/\s\\])+/|[^\s()])+))"""
)


class _Parser:
    """A recursive descent parser. Each rule returns the mask of the calls that satisfy it."""

    def __init__(self, trace: Calls, text: str) -> None:
        self.trace = trace
        self.text = text
        self.at = 0
        self.depth = 0

    def parse(self) -> Mask:
        mask = self._or()
        if self.at < len(self.text.rstrip()):
            raise QueryError(f"unexpected {shown(self.text[self.at :].strip())} at the end of the filter")
        return mask

    def _peek(self) -> re.Match[str] | None:
        return _TOKEN.match(self.text, self.at)

    def _or(self) -> Mask:
        mask = self._and()
        while (token := self._peek()) and (token["bare"] == "or" or token["bare"] == "||"):
            self.at = token.end()
            mask = mask | self._and()
        return mask

    def _and(self) -> Mask:
        mask = self._not()
        while (token := self._peek()) and token["paren"] != ")" and token["bare"] != "or":
            if token["bare"] in ("and", "&&"):
                self.at = token.end()
            mask = mask & self._not()
        return mask

    def _not(self) -> Mask:
        token = self._peek()
        if token is None:
            raise QueryError(f"the filter {shown(self.text)} ends where a term is expected, such as errno!=0")
        if self.depth > 100:
            raise QueryError("the filter is nested too deeply")
        if token["not"] or token["bare"] == "not":
            self.at = token.end()
            self.depth += 1
            mask = ~self._not()
            self.depth -= 1
            return mask
        if token["paren"] == "(":
            self.depth += 1
            self.at = token.end()
            mask = self._or()
            closing = self._peek()
            if closing is None or closing["paren"] != ")":
                raise QueryError(f"the filter {shown(self.text)} lacks a closing parenthesis")
            self.at = closing.end()
            self.depth -= 1
            return mask
        if token["bare"] is None:
            raise QueryError(f"unexpected {shown(token[0].strip())} in the filter: write a term, such as errno!=0")
        return self._term(token)

    def _term(self, token: re.Match[str]) -> Mask:
        name = token["bare"]
        self.at = token.end()
        following = self._peek()
        if following is None or following["op"] is None:
            if name in WORDS:
                return word(self.trace, name)
            if column := column_of(self.trace.functions, name):
                return compare(self.trace, column, "=", name)
            if name in COLUMNS:
                raise QueryError(f"{name} needs a value: write {EXAMPLES.get(name, f'{name}=3')}")
            if name in ("and", "or", "&&", "||"):
                raise QueryError(f"unexpected {name!r} in the filter: write a term, such as errno!=0")
            raise QueryError(f"unknown filter term {shown(name)}{suggest(name, (*WORDS, *COLUMNS))}")
        value = _VALUE.match(self.text, following.end())
        if value is None:
            raise QueryError(f"{name}{following['op']} needs a value")
        if value["bare"] is not None and value["bare"][0] in "=<>~!":
            wrong = following["op"] + value["bare"][0]
            raise QueryError(f"unknown operator {wrong!r} after {name}: use one of {' '.join(COMPARE)} ~ !~")
        self.at = value.end()
        quoted = value["dq"] if value["dq"] is not None else value["sq"]
        text = value["bare"] if quoted is None else re.sub(r"\\([\"'\\])", r"\1", quoted)
        return compare(self.trace, name, following["op"], text)
