"""Parses a filter: the text of an expression into a tree of terms.

For: `query.py`, which evaluates the tree on a trace, and `english.py`, which describes it. The language is described in
`query.py`. Not for: the meaning of a term (`terms.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import QueryError
from .terms import COMPARE, shown


@dataclass(frozen=True, slots=True)
class Comparison:
    """A column, an operator and a value: `errno!=0`."""

    column: str
    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class Bare:
    """A term without an operator: `refused`, `path_open`, `ENOENT`."""

    name: str


@dataclass(frozen=True, slots=True)
class Not:
    """The negation of a part."""

    part: Part


@dataclass(frozen=True, slots=True)
class And:
    """The conjunction of two or more parts."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """The disjunction of two or more parts."""

    parts: tuple[Part, ...]


Part = Comparison | Bare | Not | And | Or


def parsed(text: str) -> Part:
    """The tree of a non-empty expression. Raises QueryError for a syntax error."""
    return _Parser(text).parse()


_TOKEN = re.compile(
    r"""\s*(?:(?P<op><=|>=|!=|==|!~|=|<|>|~)|(?P<paren>[()])|(?P<not>!)"""
    r"""|"(?P<dq>(?:\\.|[^"\\])*)"|'(?P<sq>(?:\\.|[^'\\])*)'|(?P<bare>[^\s()=!<>~"']+))"""
)
_VALUE = re.compile(
    r"""\s*(?:"(?P<dq>(?:\\.|[^"\\])*)"|'(?P<sq>(?:\\.|[^'\\])*)'"""
    r"""|(?P<bare>(?:/(?:\\.|[^/\s\\])+/|[^\s()])+))"""
)


class _Parser:
    """A recursive descent parser. Each rule returns its tree."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0

    def parse(self) -> Part:
        part = self._or()
        if self.at < len(self.text.rstrip()):
            raise QueryError(f"unexpected {shown(self.text[self.at :].strip())} at the end of the filter")
        return part

    def _peek(self) -> re.Match[str] | None:
        return _TOKEN.match(self.text, self.at)

    def _or(self) -> Part:
        parts = [self._and()]
        while (token := self._peek()) and (token["bare"] == "or" or token["bare"] == "||"):
            self.at = token.end()
            parts.append(self._and())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _and(self) -> Part:
        parts = [self._not()]
        while (token := self._peek()) and token["paren"] != ")" and token["bare"] not in ("or", "||"):
            if token["bare"] in ("and", "&&"):
                self.at = token.end()
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _not(self) -> Part:
        token = self._peek()
        if token is None:
            raise QueryError(f"the filter {shown(self.text)} ends where a term is expected, such as errno!=0")
        if self.depth > 100:
            raise QueryError("the filter is nested too deeply")
        if token["not"] or token["bare"] == "not":
            self.at = token.end()
            self.depth += 1
            inner = self._not()
            self.depth -= 1
            return Not(inner)
        if token["paren"] == "(":
            self.depth += 1
            self.at = token.end()
            inner = self._or()
            closing = self._peek()
            if closing is None or closing["paren"] != ")":
                raise QueryError(f"missing closing parenthesis in the filter {shown(self.text)}")
            self.at = closing.end()
            self.depth -= 1
            return inner
        if token["bare"] is None:
            raise QueryError(f"unexpected {shown(token[0].strip())} in the filter: write a term, such as errno!=0")
        return self._term(token)

    def _term(self, token: re.Match[str]) -> Part:
        name = token["bare"]
        self.at = token.end()
        following = self._peek()
        if following is None or following["op"] is None:
            if name in ("and", "or", "&&", "||"):
                raise QueryError(f"unexpected {name!r} in the filter: write a term, such as errno!=0")
            return Bare(name)
        value = _VALUE.match(self.text, following.end())
        if value is None:
            raise QueryError(f"{name}{following['op']} needs a value")
        if value["bare"] is not None and value["bare"][0] in "=<>~!":
            wrong = following["op"] + value["bare"][0]
            raise QueryError(f"unknown operator {wrong!r} after {name}: use one of {' '.join(COMPARE)} ~ !~")
        self.at = value.end()
        quoted = value["dq"] if value["dq"] is not None else value["sq"]
        text = value["bare"] if quoted is None else re.sub(r"\\([\"'\\])", r"\1", quoted)
        return Comparison(name, following["op"], text)
