"""What some grants give that others do not, in words.

For: "is this more than needed?" (`Grants.covers`, the checks of the course). A folder is compared by its guest path,
its place on the host and whether it can be changed. Folders in memory are compared by that, not by their contents.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import cast

from ..capabilities.host.hostdir import HostDir
from ..capabilities.protocols import Directory
from ..engine.limits import BOUNDS, Limits
from ..text.escape import visible
from .fields import FieldShape, GrantField, grant_fields
from .value import GrantValue


def excess(given: GrantValue, limit: GrantValue, *, limits: Collection[str] | None = None) -> list[str]:
    """What `given` gives beyond `limit`, a noun phrase each: "writing in the folder /data"; [] if it gives no more.

    `limits` are the names of the fields of `Limits` to compare, by default all: a larger one gives more.
    """
    found: list[str] = []
    for name, about in grant_fields(type(given)).items():
        mine, theirs = getattr(given, name), getattr(limit, name)
        match about.shape:
            case FieldShape.DIRS:
                found += _dirs(mine, theirs)
            case FieldShape.WITHHELD:
                found += _withheld(given, limit)
            case FieldShape.LIMITS:
                found += _limits(mine, theirs, BOUNDS if limits is None else limits)
            case FieldShape.CHOICE:
                if name == "rights" and mine == "compat" and theirs == "strict":
                    found.append("the rights mode compat")
            case _:
                found += _field(name, about, mine, theirs)
    return found


def _dirs(given: Mapping[str, Directory], limit: Mapping[str, Directory]) -> Iterator[str]:
    for guest, directory in given.items():
        shown = visible(guest)
        if guest not in limit:
            yield f"the folder {shown}"
            continue
        allowed = limit[guest]
        if isinstance(directory, HostDir) and isinstance(allowed, HostDir) and not _inside(directory, allowed):
            yield f"another folder at {shown}"
        elif directory.writable and not allowed.writable:
            yield f"writing in the folder {shown}"


def _inside(directory: HostDir, other: HostDir) -> bool:
    """Whether a host folder is another one or lies in it, by their real paths."""
    path, root = str(directory.real), str(other.real)
    return os.path.commonpath([path, root]) == root


def _withheld(given: GrantValue, limit: GrantValue) -> Iterator[str]:
    for guest, names in limit.withheld.items():
        if guest in given.dirs:
            missing = set(names) - set(given.withheld.get(guest, ()))
            yield from (f"the right {name} in {visible(guest)}" for name in sorted(missing))


def _limits(given: Limits, limit: Limits, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        mine, theirs = getattr(given, name), getattr(limit, name)
        if theirs is not None and (mine is None or mine > theirs):
            bound = BOUNDS[name]
            yield f"more {bound.words} ({bound.text(mine)} instead of {bound.text(theirs)})"


def _field(name: str, about: GrantField, given: object, limit: object) -> Iterator[str]:
    match about.shape:
        case FieldShape.SWITCH:
            if given and not limit:
                yield about.name or name
        case FieldShape.VARIABLES:
            variables, allowed = cast(Mapping[str, str], given), cast(Mapping[str, str], limit)
            yield from (f"the variable {visible(each)}" for each in variables if each not in allowed)
        case FieldShape.STDIN:
            if given is not None and limit is None:
                yield name
        case FieldShape.SOURCE:
            spec, allowed_spec = (getattr(each, "spec", "custom") for each in (given, limit))
            if spec not in ("none", allowed_spec) and allowed_spec != "real":
                yield f"{about.name or name} ({visible(str(spec))})"
        case FieldShape.RULES if name != "faults":
            rules, allowed_rules = cast(Iterable[str], given), cast(Collection[str], limit)
            yield from (f"{name} {visible(rule)}" for rule in rules if rule not in allowed_rules)
        case FieldShape.SOCKETS:
            addresses = {str(getattr(each, "address", each)) for each in cast(Iterable[object], limit)}
            for each in cast(Iterable[object], given):
                if (address := str(getattr(each, "address", each))) not in addresses:
                    yield f"the socket {visible(address)}"
        case FieldShape.FUNCTIONS:
            calls, allowed_calls = cast(Mapping[str, object], given), cast(Mapping[str, object], limit)
            yield from (f"a function in place of {visible(each)}" for each in calls if each not in allowed_calls)
