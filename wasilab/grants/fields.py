"""The single description of each field of `Grants`, used by flags, policies, Python, JSON, the panel and running
guests.

Each field of `value.GrantValue` has a `GrantField`. Its `shape` says how the value is written; each form (`forms/`) has
one function per shape and loops over the fields, so a new grant of a known shape needs no change there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import Enum, auto
from typing import Any

_KEY = "grant"


class FieldShape(Enum):
    """How the value of a field is written."""

    DIRS = auto()
    """Directories by guest path."""
    WITHHELD = auto()
    """Names of rights by guest path."""
    VARIABLES = auto()
    """Text by name."""
    SWITCH = auto()
    """True or false."""
    STDIN = auto()
    """Bytes, a file, "ask" or None."""
    SOURCE = auto()
    """An object with a `spec`, such as "seeded:1", that `GrantField.parse` reads back."""
    SOCKETS = auto()
    """Listening sockets by address."""
    RULES = auto()
    """Texts, each of which `GrantField.parse` can read."""
    LIMITS = auto()
    """`Limits`."""
    CHOICE = auto()
    """One of `GrantField.choices`."""
    FUNCTIONS = auto()
    """Python functions by name: only Python can express them."""


@dataclass(frozen=True, slots=True)
class SourceKind:
    """One kind of a source: "real", or "coarse" with a number behind a colon."""

    name: str
    usual: str = ""
    """The default number; "" if there is none."""
    note: str = ""
    """The unit of that number, for people: "ns a step"."""


@dataclass(frozen=True, slots=True)
class GrantField:
    """The description of one field of `Grants`."""

    shape: FieldShape
    words: str
    """The help text of its option."""
    type: type | tuple[type, ...]
    """What a value must be an instance of."""
    example: str
    """How to write a value in Python, for messages."""
    flag: str = ""
    """Its option on the command line; a switch has `--no-...` as well. "" for none."""
    toml: tuple[str, str] = ("", "")
    """The table and the key of a policy file ("" for the top level, "" for the whole table)."""
    name: str = ""
    """The name by which it is switched and counted while a guest runs; "" for none."""
    family: str = ""
    """The family of WASI calls that need it, for its row of the panel."""
    fixed: str = ""
    """Why it cannot change while a guest runs; "" if it can."""
    component_only: str = ""
    """Which call preview 1 lacks for it, as in "has no call that connects"; "" if a core module may use it."""
    metavar: str = ""
    """The placeholder for a value in the help of its option; "" for the default one."""
    parse: Callable[[str], object] | None = None
    """For a source: converts its text to its value; raises `ValueError`."""
    kinds: tuple[SourceKind, ...] = ()
    """For a source: the available kinds."""
    choices: tuple[str, ...] = ()
    """For a choice: the values."""
    nothing: Callable[[], object] | None = None
    """Its value in `Grants.nothing()`; None for the default."""


def grant(shape: FieldShape, words: str, **more: Any) -> dict[str, GrantField]:
    """The metadata of a dataclass field: its `GrantField`, with the same arguments."""
    return {_KEY: GrantField(shape, words, **more)}


def grant_fields(kind: type) -> Mapping[str, GrantField]:
    """The description of every field of a class of grants, in order."""
    return {each.name: each.metadata[_KEY] for each in fields(kind)}
