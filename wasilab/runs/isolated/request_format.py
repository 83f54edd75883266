"""Requests of a confined process in ask mode, and their answers, as JSON values.

A request names an operation of a directory of the parent (`OPERATIONS`), something to use ("use"), or a directory that
is no longer needed ("close"). The process encodes it (`requests.py`); the parent, which trusts none of it, decodes
and performs it (`performing.py`).
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import fields
from enum import Enum, auto

from ...capabilities.paths import fail
from ...capabilities.protocols import Directory, Entry, FileType, OpenHow, Stat
from ...capabilities.refusal import DeniedBy, Refused
from ...engine.isolate.messages import BadMessage, Record
from ...trace.record.reasons import need_from_value, need_value
from ...wasi.preview1.path import MAX_PATH

MOST_REQUEST_BYTES = 1 << 17
"""Maximum bytes of a request: two paths, each byte of them escaped, and their operation."""


class ParameterKind(Enum):
    """The kinds of parameters of an operation."""

    PLACE = auto()
    """A directory: the number of one that asks, the guest path of a granted one, or None for any other."""
    PATH = auto()
    HOW = auto()
    FLAG = auto()
    TIME = auto()
    """Nanoseconds since the epoch, or None."""


PLACE, PATH, HOW, FLAG, TIME = ParameterKind
OPERATIONS: dict[str, tuple[ParameterKind, ...]] = {
    "open": (PLACE, PATH, HOW),
    "stat_path": (PLACE, PATH, FLAG),
    "list": (PLACE,),
    "readlink": (PLACE, PATH),
    "mkdir": (PLACE, PATH),
    "rmdir": (PLACE, PATH),
    "unlink": (PLACE, PATH),
    "symlink": (PLACE, PATH, PATH),
    "rename": (PLACE, PATH, PLACE, PATH),
    "link": (PLACE, PATH, PLACE, PATH, FLAG),
    "set_times_path": (PLACE, PATH, FLAG, TIME, TIME),
}
"""The operations of `Directory` that the parent performs: its object, then its arguments. For `symlink` the first path
is the text of the link."""
_HOW = frozenset(field.name for field in fields(OpenHow) if field.init)
_MOST_NS = 1 << 96

Place = int | str | None
"""A directory in a request."""


def encoded(kind: ParameterKind, value: object, place_of: Callable[[object], Place]) -> object:
    """A parameter as a JSON value. Raises `OSError` for a path that no call may have."""
    if kind is PLACE:
        return place_of(value)
    if kind is PATH:
        if "\0" in str(value):
            raise fail(errno.EINVAL)
        if len(str(value).encode()) > MAX_PATH:
            raise fail(errno.ENAMETOOLONG)
    if isinstance(value, OpenHow):
        return [name for name in sorted(_HOW) if getattr(value, name)]
    return value


def decoded(kind: ParameterKind, value: object, place: Callable[[object], Directory]) -> object:
    """The inverse of `encoded`. Raises `BadMessage` for what it never makes."""
    match kind:
        case ParameterKind.PLACE:
            return place(value)
        case ParameterKind.PATH if _is_path(value):
            return value
        case ParameterKind.HOW if isinstance(value, list) and len(value) <= len(_HOW) and all(
            isinstance(name, str) and name in _HOW for name in value
        ):
            return OpenHow(**{name: name in value for name in _HOW})
        case ParameterKind.FLAG if isinstance(value, bool):
            return value
        case ParameterKind.TIME if value is None or (type(value) is int and 0 <= value < _MOST_NS):
            return value
    raise BadMessage(f"a request with a {kind.name.lower()} that is not one")


def _is_path(value: object) -> bool:
    if not isinstance(value, str) or "\0" in value:
        return False
    try:
        return len(value.encode()) <= MAX_PATH
    except UnicodeEncodeError:
        return False


def result_value(result: object) -> object:
    """The result of an operation that opens nothing, as a JSON value."""
    if isinstance(result, list):
        return [[entry.name, entry.ino, int(entry.filetype)] for entry in result]
    return result


def stat_of(value: list[int]) -> Stat:
    """The inverse of `result_value` for a `Stat`."""
    dev, ino, filetype, *rest = value
    return Stat(dev, ino, FileType(filetype), *rest)


def entries_of(value: list[tuple[str, int, int]]) -> list[Entry]:
    """The inverse of `result_value` for a listing."""
    return [Entry(name, ino, FileType(filetype)) for name, ino, filetype in value]


def error_value(error: OSError) -> Record:
    """An error of an operation as JSON values."""
    found: Record = {"errno": error.errno or errno.EIO, "text": error.strerror or str(error)}
    if isinstance(error, Refused):
        need = None if error.need is None else need_value(error.need)
        found |= {"refused": True, "by": int(error.by), "need": need, "notcapable": error.notcapable}
    return found


def error_of(found: Record) -> OSError:
    """The inverse of `error_value`."""
    if not found.get("refused"):
        return OSError(found["errno"], found["text"])
    need = need_from_value(found["need"])
    return Refused(found["errno"], found["text"], DeniedBy(found["by"]), need, notcapable=found["notcapable"])
