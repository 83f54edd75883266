"""Asked for, granted, used: a run's three sides compared, family by family.

A module asks for its static list of imports, has its `Grants`, and used what is in the trace. The panel and the
report draw these rows; nothing here draws.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np

from ...capabilities.host.hostdir import HostDir
from ...capabilities.protocols import Directory
from ...engine import components
from ...module.module import Module
from ...text.numbers import counted
from ...trace.trace import Trace
from ...wasi.operations import FAMILIES, family_of
from ...wasi.preview1.spec import SNAPSHOT1
from ..code_folders import warning
from ..fields import FieldShape, GrantField, grant_fields
from ..grants import Grants
from ..value import GrantValue
from .evidence import read


@dataclass(frozen=True, slots=True)
class Row:
    """One family of WASI calls: what was asked for, what is granted, what was used and what was refused."""

    family: str
    asked: tuple[str, ...]
    """Calls of this family among the module's imports."""
    granted: str
    """What the grants give for this family, as text; "" for nothing."""
    used: Mapping[str, int]
    """Calls made, by name (with any result)."""
    refused: Mapping[str, int]
    """Calls that were refused, by name."""


def asked_by_family(module: Module | None) -> dict[str, list[str]]:
    """Family of `FAMILIES` -> the calls of it that the program imports: an upper bound on the calls it can make."""
    asked: dict[str, list[str]] = {family: [] for family in FAMILIES}
    if module is None:
        return asked
    for family, name in _of_component(module.sha256, module) if module.is_component else _of_module(module):
        if name not in asked[family]:
            asked[family].append(name)
    return asked


def _of_module(module: Module) -> Iterator[tuple[str, str]]:
    for item in module.wasi_imports:
        if item.name in SNAPSHOT1:
            yield SNAPSHOT1[item.name].family, item.name


_WORLDS: dict[str, tuple[tuple[str, str], ...]] = {}
"""What the last few components ask for, by their hash: reading a world is slow."""


def _of_component(sha256: str, module: Module) -> tuple[tuple[str, str], ...]:
    found = _WORLDS.get(sha256)
    if found is None:
        try:
            functions = components.world.asked_functions(module)
        except ValueError:  # its error is reported when it is run
            functions = []
        found = tuple((family_of(f.family, f.operation, f.name), f.name) for f in functions)
        while len(_WORLDS) >= 8:
            _WORLDS.pop(next(iter(_WORLDS)))
        _WORLDS[sha256] = found
    return found


def compare(module: Module | None, grants: Grants, trace: Trace | None) -> list[Row]:
    """The rows of every family that was asked for, granted or used. `trace=None`: before the first run."""
    asked = asked_by_family(module)
    used: dict[str, Counter[str]] = {family: Counter() for family in FAMILIES}
    refused: dict[str, Counter[str]] = {family: Counter() for family in FAMILIES}
    if trace is not None:
        numbers = trace.column("call")
        for table, mask in ((used, slice(None)), (refused, trace.column("denied_by") != 0)):
            counts = np.bincount(numbers[mask], minlength=256)
            for number in np.flatnonzero(counts).tolist():
                family = trace.functions.families[number]
                if family in table:
                    table[family][trace.functions.names[number]] = int(counts[number])
    words = describe(grants)
    rows = [Row(f, tuple(asked[f]), words.get(f, ""), used[f], refused[f]) for f in FAMILIES]
    return [row for row in rows if row.asked or row.granted or row.used]


@dataclass(frozen=True, slots=True)
class Item:
    """One capability, one line of the panel: a directory, a stream, the clocks, ..."""

    family: str
    name: str
    """Its name: a guest path, "stdin", "env", "clocks", "random", "listen ADDRESS", "argv"."""
    granted: str
    """What is given, as text; "" when it is not granted."""
    used: int
    """Successful calls that needed it."""
    refused: int
    """Calls on it that were refused."""
    warning: str = ""
    """A warning for the user before granting this; usually ""."""
    reasons: tuple[str, ...] = ()
    """Why calls on it were refused, one reason per kind of call."""


def items(grants: Grants, trace: Trace | None) -> list[Item]:
    """Every capability that can be switched, in the order of `FAMILIES`, with its use in the last run."""
    evidence = read(trace) if trace is not None else read()

    def item(family: str, name: str, granted: str, warning: str = "") -> Item:
        use = evidence.of(name)
        reasons = tuple(dict.fromkeys(f"{call}: {reason}" for call, reason in use.reasons.items()))
        return Item(family, name, granted, use.used, sum(use.refused.values()), warning, reasons)

    found = [
        item(about.family, about.name, granted_words(about, getattr(grants, field)))
        for field, about in switched_fields(type(grants)).items()
    ]
    found += [
        item("path", guest, place_of(d) + lacking(grants, guest), warning(d)) for guest, d in grants.dirs.items()
    ]
    found += [item("sock", f"listen {s.address}", s.address) for s in grants.sockets]
    return found


def switched_fields(kind: type[GrantValue]) -> dict[str, GrantField]:
    """The fields with one row each, in the order of `FAMILIES`; those of other families come last."""

    def place(entry: tuple[str, GrantField]) -> int:
        family = entry[1].family
        return FAMILIES.index(family) if family in FAMILIES else len(FAMILIES)

    return dict(sorted((entry for entry in grant_fields(kind).items() if entry[1].name), key=place))


def granted_words(about: GrantField, value: object) -> str:
    """What a field of the grants gives, as text; "" for nothing."""
    match about.shape:
        case FieldShape.SWITCH:
            return "given" if value else ""
        case FieldShape.VARIABLES:
            return ", ".join(cast(Mapping[str, str], value))
        case FieldShape.SOURCE:
            spec: str = getattr(value, "spec", "custom")
            return "" if spec == "none" else spec
        case FieldShape.STDIN:
            return stdin_words(value)
    return str(value)


def stdin_words(stdin: object) -> str:
    """The guest's stdin as text: "empty", "you are asked", "12 bytes", ..., "" when it is absent."""
    if stdin is None:
        return ""
    if isinstance(stdin, bytes):
        return counted(len(stdin), 'byte') if stdin else "empty"
    return "you are asked" if stdin == "ask" else type(stdin).__name__


def place_of(directory: Directory) -> str:
    """The target of a granted directory: the host folder and the mode, or "in memory"."""
    if isinstance(directory, HostDir):
        return f"{directory.path}{leads_to(directory)} ({directory.mode})"
    return mode_of(directory) or type(directory).__name__


def lacking(grants: Grants, guest: str) -> str:
    """", without fd_readdir" where the grant withholds rights from a directory, else ""."""
    names = grants.withheld.get(guest, ())
    return f", without {', '.join(names)}" if names else ""


def leads_to(directory: HostDir) -> str:
    """" → PATH" for a folder named by a link, else ""."""
    return f" → {directory.real}" if directory.is_link else ""


def describe(grants: Grants) -> dict[str, str]:
    """What the grants give, as text, by family of calls ("" for nothing)."""
    stdio = [name for name, given in (("stdout", grants.stdout), ("stderr", grants.stderr)) if given]
    if grants.stdin is not None:
        kind = "asks you" if grants.stdin == "ask" else "empty" if grants.stdin == b"" else "given"
        stdio.insert(0, f"stdin ({kind})")
    clocks = "" if grants.clocks.spec == "none" else grants.clocks.spec
    return {
        "args": "argv" if grants.args else "",
        "environ": ", ".join(grants.env),
        "clock": clocks,
        "random": "" if grants.random.spec == "none" else grants.random.spec,
        "fd": ", ".join(stdio),
        "path": ", ".join(f"{guest} ({mode_of(d)}{lacking(grants, guest)})" for guest, d in grants.dirs.items()),
        "poll": clocks and f"timers on {clocks} clocks",
        "proc": "exit",
        "sched": "yield",
        "sock": ", ".join(f"listen {socket.address}" for socket in grants.sockets),
    }


def mode_of(directory: Directory) -> str:
    """The mode of a granted directory in a word or two: ro, rw, copy, memory."""
    mode = getattr(directory, "mode", None)
    kind = "memory" if type(directory).__name__ == "MemDir" else "" if mode else type(directory).__name__
    return " ".join(part for part in (kind, mode if isinstance(mode, str) else "") if part)
