"""Makes filters from examples: the filter term for a value of a call, and the values that occur, with counts.

For: views in which the user selects a value (a call, a path, a descriptor, an errno, a line) and chooses "only this".
The result is text for `query.py` and `--filter`. Not for: evaluating an expression.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ...capabilities.refusal import DeniedBy
from ...text.escape import shorten, visible
from ..answers.event import CallEvent
from ..calls import Calls
from ..columns.decode import ERRNO_NAMES, KNOWN_ERRNOS
from ..columns.places import Places
from ..columns.records import Array
from ..columns.store import text_of
from ..record.functions import Functions
from ..record.layout import DID_NOT_RETURN

MOST_VALUES = 12
"""Maximum values listed by a facet, which also has the number of further ones."""
_WORD = re.compile(r"[A-Za-z_][\w-]*")
_PLAIN = frozenset(string.ascii_letters + string.digits + "/._-+@%:<> ")
"""Characters of a path that are literal in a pattern."""


@dataclass(frozen=True, slots=True)
class Example:
    """A value of a call, and the filter for the calls with this value."""

    name: str
    """The kind of value: one of `FACETS`."""
    shown: str
    """The value for display, safe to print."""
    term: str
    """The filter term."""


@dataclass(frozen=True, slots=True)
class Facet:
    """The values of one kind in some calls, the most frequent first."""

    name: str
    values: tuple[tuple[Example, int], ...]
    """At most `MOST_VALUES` of them, each with the number of its calls."""
    more: int
    """The number of further values."""


def call_term(name: str) -> str:
    """The filter for calls of this function."""
    return f"call={name}" if _WORD.fullmatch(name) else f"call~{_exactly(name)}"


def path_term(path: str, *, below: bool = False) -> str:
    """The filter for calls on a path; with `below`, on anything in that folder."""
    if below:
        path = path.rstrip("/") + "/"
    if _PLAIN.issuperset(path) and path:
        value = path + "*" * below
        return f'path="{value}"' if set(value) & {" ", "<", ">"} else f"path={value}"
    return f"path~{_exactly(path, below)}"


def function_term(name: str) -> str:
    """The filter for calls with this guest function on their stack."""
    return f"function={name}" if _WORD.fullmatch(name) else f"function~{_exactly(name)}"


def errno_term(number: int) -> str:
    """The filter for calls with this errno; 0 is success."""
    if number == 0:
        return "ok"
    if number == DID_NOT_RETURN:
        return "unreturned"
    return f"errno={ERRNO_NAMES[number] if number in KNOWN_ERRNOS else number}"


def _exactly(text: str, below: bool = False) -> str:
    """A quoted regular expression that matches only `text` (with `below`, everything starting with it).
    """
    pattern = "^" + "".join(_escaped(char) for char in text) + ("" if below else r"\Z")
    return '"' + pattern.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _escaped(char: str) -> str:
    if visible(char) == char:
        return re.escape(char)
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def examples(event: CallEvent) -> list[Example]:
    """The values for which a call is an example."""
    calls, store = event.trace, event.trace.store
    part, index = store.locate(event.row)
    record = part.records[index]
    full = event.path
    place = Places(store).get(event.stack_id) if event.stack_id else None
    numbers = {
        "call": int(record["call"]),
        "descriptor": int(record["handle"]) or -1,
        "errno": int(record["errno"]),
        "refused by": int(record["denied_by"]) or -1,
        "line": place[1] if place else -1,
    }
    found = {name: _EXAMPLES[name](calls, number) for name, number in numbers.items() if number >= 0}
    if full:  # not by its number, which needs those of all calls
        found["path"] = _full_path(full)
    return [Example(name, *found[name]) for name in FACETS if name in found]


def facets(calls: Calls, most: int = MOST_VALUES) -> list[Facet]:
    """The values that occur in `calls`, with counts; a facet without values is left out."""
    found = []
    for name, make in _COLUMNS.items():
        column = make(calls)
        keys, counts = _counted(column)
        order = np.argsort(-counts, kind="stable")
        top = order[:most]
        values = _values(calls, name, keys[top])
        if values is None:
            continue
        listed = tuple(zip((example for example, _ in values), counts[top].tolist(), strict=True))
        found.append(Facet(name, listed, max(len(keys) - most, 0)))
    return found


def _counted(column: Array) -> tuple[Array, Array]:
    """The distinct numbers of a column, and how often each occurs; -1 means none and is left out."""
    column = column[column >= 0]
    if not len(column):
        return column, np.zeros(0, np.int64)
    if int(column.max()) <= 4 * len(column) + (1 << 16):
        counts = np.bincount(column)
        keys = np.flatnonzero(counts)
        return keys, counts[keys]
    keys, counts = np.unique(column, return_counts=True)
    return keys, counts


def _values(calls: Calls, name: str, keys: Array) -> Iterator[tuple[Example, int]] | None:
    """(example, number) of each number of a facet's column; None if there are none."""
    keys = keys[keys >= 0]
    if not len(keys):
        return None
    describe = _EXAMPLES[name]
    return ((Example(name, *describe(calls, key)), key) for key in keys.tolist())


def _without(column: Array, nothing: int = 0) -> Array:
    """A column with -1 instead of `nothing`."""
    wide = column.astype(np.int64)
    wide[wide == nothing] = -1
    return wide


def _paths(calls: Calls) -> Array:
    empty = np.array([not full for full, _ in calls.store.targets])
    ids = calls.target_ids.astype(np.int64)
    ids[empty[ids]] = -1
    return ids


def _descriptor(calls: Calls, life: int) -> tuple[str, str]:
    known = calls.store.lives.get(life)
    shown = f"opening {life}" if known is None else f"{known.fd}<{visible(text_of(known.path))}>"
    return shorten(shown, 120), f"handle={life}"


def _path(calls: Calls, number: int) -> tuple[str, str]:
    return _full_path(calls.store.targets[number][0])


def _full_path(full: str) -> tuple[str, str]:
    return shorten(visible(full), 120), path_term(full)


def _reason(calls: Calls, number: int) -> tuple[str, str]:
    shown = DeniedBy(number).name.lower() if number <= max(DeniedBy) else str(number)
    return shown, f"denied_by={shown}"


def _errno(calls: Calls, number: int) -> tuple[str, str]:
    words = {0: "success", DID_NOT_RETURN: "did not return"}
    return words.get(number, ERRNO_NAMES[number]), errno_term(number)


def _call(calls: Calls, number: int) -> tuple[str, str]:
    functions: Functions = calls.functions
    return visible(functions.names[number]), call_term(functions.names[number])


_COLUMNS: dict[str, Callable[[Calls], Array]] = {
    "call": lambda calls: calls.column("call").astype(np.int64),
    "path": _paths,
    "descriptor": lambda calls: _without(calls.column("handle")),
    "errno": lambda calls: calls.column("errno").astype(np.int64),
    "refused by": lambda calls: _without(calls.column("denied_by")),
    "line": lambda calls: _without(calls.column("line")) if calls.store.stacks else np.full(len(calls), -1),
}
_EXAMPLES: dict[str, Callable[[Calls, int], tuple[str, str]]] = {
    "call": _call, "path": _path, "descriptor": _descriptor, "errno": _errno, "refused by": _reason,
    "line": lambda calls, number: (f"line {number}", f"line={number}"),
}  # fmt: skip
FACETS = tuple(_COLUMNS)
"""The kinds of facets."""
