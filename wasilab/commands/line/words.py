"""The words of a magic's line: shell quoting, and Python values by unquoted `{expression}`.

The rule: an unquoted `{expression}` is replaced with its value; quoted text is never touched, and nothing else (no
`$name`, no `!command`, no globbing) expands. A value stays one word: spaces or a
leading "-" in it cannot make further words or options. All other text is split as by `shlex.split`. Options are
`grammar.py`'s concern.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable

from ...text.numbers import with_article
from ...text.template import Template
from .usage import UsageProblem

# A value passes through argparse as a mark: its number between two private-use characters.
_OPEN, _CLOSE = "\ue000", "\ue001"
_MARK = re.compile(f"{_OPEN}([0-9]{{1,9}}){_CLOSE}")


class Values:
    """The values of one line's `{expression}`s, by the mark that replaces each in the words."""

    def __init__(self) -> None:
        self._values: list[object] = []
        self._sources: list[str] = []

    def put(self, value: object, source: str) -> str:
        """Keep `value` of the expression `source`; returns its placeholder."""
        self._values.append(value)
        self._sources.append(source)
        return f"{_OPEN}{len(self._values) - 1}{_CLOSE}"

    def object(self, word: str) -> object:
        """What `word` means: the value itself if it is a single expression, else its text."""
        whole = _MARK.fullmatch(word)
        return self._values[int(whole[1])] if whole and self._has(whole) else self.text(word)

    def text(self, word: str) -> str:
        """`word` with every mark replaced with its value's text; raises `UsageProblem` for a value without one."""

        def written(mark: re.Match[str]) -> str:
            if not self._has(mark):
                return mark[0]
            value = self._values[int(mark[1])]
            if isinstance(value, (str, int, float, os.PathLike)):
                return os.fsdecode(value) if isinstance(value, os.PathLike) else str(value)
            raise UsageProblem(
                f"{{{self._sources[int(mark[1])]}}} is {with_article(type(value).__name__)}; "
                "text, a number or a path can stand here"
            )

        return _MARK.sub(written, word)

    def _has(self, mark: re.Match[str]) -> bool:
        """Whether `mark` has a value: a shell passes any characters on, including those of a mark."""
        return int(mark[1]) < len(self._values)

    def template(self, word: str, kind: type[Template] = Template) -> Template:
        """`word` for an option that splits it: separators inside a value do not count. Raises as `text` does."""
        self.text(word)
        return kind(word, self.text)

    def shown(self, word: str) -> str:
        """`word` as the user wrote it, for messages."""

        def written(mark: re.Match[str]) -> str:
            return "{" + self._sources[int(mark[1])] + "}" if self._has(mark) else mark[0]

        return _MARK.sub(written, word)


def split(line: str, evaluate: Callable[[str], object] | None = None, values: Values | None = None) -> list[str]:
    """The words of `line`. Without `evaluate`, braces are plain characters.

    Raises `UsageProblem` for an open quote, a brace that does not close, or an expression that fails.
    """
    words: list[str] = []
    word: list[str] | None = None
    at = 0
    while at < len(line):
        char = line[at]
        at += 1
        if char.isspace():
            if word is not None:
                words.append("".join(word))
                word = None
            continue
        word = [] if word is None else word
        if char == "'":
            end = line.find("'", at)
            if end < 0:
                raise UsageProblem(f"the quote in {line[at - 1 :]!r} is not closed")
            word.append(line[at:end])
            at = end + 1
        elif char == '"':
            text, at = _double_quoted(line, at)
            word.append(text)
        elif char == "\\":
            if at == len(line):
                raise UsageProblem("the line ends in a backslash: write '\\\\' for the character itself")
            word.append(line[at])
            at += 1
        elif char == "{" and evaluate is not None and values is not None:
            source, at = _expression(line, at)
            word.append(values.put(_value(source, evaluate), source))
        elif char in (_OPEN, _CLOSE):
            raise UsageProblem(f"the character {char!r} cannot be used here")
        else:
            word.append(char)
    if word is not None:
        words.append("".join(word))
    return words


def _double_quoted(line: str, at: int) -> tuple[str, int]:
    """The text from `at` to the closing double quote, and the place after it (POSIX shell, 2.2.3)."""
    start = at
    text: list[str] = []
    while at < len(line):
        char = line[at]
        if char == '"':
            return "".join(text), at + 1
        if char == "\\" and line[at + 1 : at + 2] in ('"', "\\"):
            at += 1
            char = line[at]
        text.append(char)
        at += 1
    raise UsageProblem(f"the quote in {line[start - 1 :]!r} is not closed")


def _expression(line: str, at: int) -> tuple[str, int]:
    """The Python expression from `at` to its closing brace, and the place after it."""
    end = line.find("}", at)
    while end >= 0:
        source = line[at:end].strip()
        try:
            ast.parse(source, mode="eval")
        except (SyntaxError, ValueError):
            end = line.find("}", end + 1)
        else:
            return source, end + 1
    raise UsageProblem(
        f"{line[at - 1 :]!r} is not a Python expression in braces; quote it if the braces are literal"
    )


def _value(source: str, evaluate: Callable[[str], object]) -> object:
    try:
        return evaluate(source)
    except Exception as error:  # noqa: BLE001  (the user's expression can raise anything; the error is shown by name)
        raise UsageProblem(f"{{{source}}}: {type(error).__name__}: {error}") from None
