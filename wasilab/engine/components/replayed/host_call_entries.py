"""The record of a component's host calls, one entry a call, in the block COMP of a trace.

    entry  = head | name of the function | arguments | answer | bytes that the call moved between two streams
    head   = number of the call in the trace u64 | kind u8, 000 | the bytes of the four parts u32 x 4
    answer = OK: the result | ERROR: the error, and its cause | EXIT: code u32 | TRAP: message, and its cause
    cause  = 0 u8, or 1 u8 | errno u16 | refused by u8 | reason (`trace/record/reasons.py`)

FULL ends a record that reached the run's trace limit, HTTP one of a program that used it. Reading does not trust the
bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from ....capabilities.refusal import DeniedBy
from ....trace.record.reasons import Reason, pack_reason, unpack_reason
from ....wasi.errnos import Errno, WasiError
from .typed_bytes import Damaged, ValueReader, put_bytes

_HEAD = struct.Struct("<QB3x4I")
_CAUSE = struct.Struct("<HB")
_ERRNOS = {int(errno): errno for errno in Errno}
_REFUSALS = {int(refused): refused for refused in DeniedBy}
MAX_NAME = 256
"""Maximum bytes of a function's name."""


class CallEnd(IntEnum):
    """How a call ended."""

    OK = 0
    ERROR = 1
    EXIT = 2
    TRAP = 3
    STOPPED = 4
    """It was stopped from outside: a limit or an interrupt."""
    FULL = 5
    """Not a call: the calls from here on were not recorded."""
    HTTP = 6
    """Not a call: the program called a function of HTTP here, and nothing was recorded from there on."""


@dataclass(frozen=True, slots=True)
class HostCall:
    """One recorded call."""

    seq: int
    """Its number in the trace."""
    kind: CallEnd
    name: str
    """`wasi:io/streams@0.2#[method]input-stream.read`, or `[resource-drop]input-stream`."""
    arguments: bytes | bytearray | memoryview
    answer: bytes | bytearray | memoryview
    moved: bytes | memoryview
    """The bytes that it moved from one stream to another, which no argument and no result shows."""


def pack_call(call: HostCall) -> bytes:
    """One entry."""
    name = call.name.encode()
    parts = (name, call.arguments, call.answer, call.moved)
    return b"".join([_HEAD.pack(call.seq, call.kind, *map(len, parts)), *parts])


def unpack_calls(data: Sequence[bytes | memoryview]) -> Iterator[HostCall]:
    """The entries of the pieces of a record. Raises `Damaged`."""
    last = -1
    for piece in data:
        view, at = memoryview(piece), 0
        while at < len(view):
            if at + _HEAD.size > len(view):
                raise Damaged("an entry is cut short")
            seq, kind, *sizes = _HEAD.unpack_from(view, at)
            at += _HEAD.size
            if sum(sizes) > len(view) - at or sizes[0] > MAX_NAME:
                raise Damaged("an entry is cut short")
            if seq <= last or kind > max(CallEnd):
                raise Damaged("the entries are not in order, or of an unknown kind")
            parts = []
            for size in sizes:
                parts.append(view[at : at + size])
                at += size
            last = seq
            yield HostCall(seq, CallEnd(kind), parts[0].tobytes().decode("utf-8", "replace"), *parts[1:])


def put_cause(cause: WasiError | None, out: bytearray) -> None:
    """Append what an error came from."""
    out.append(cause is not None)
    if cause is not None:
        out += _CAUSE.pack(int(cause.errno), int(cause.denied_by))
        put_bytes(pack_reason(Reason(cause.reason, cause.need)), out)


def get_cause(data: ValueReader) -> WasiError | None:
    """Read what an error came from. Raises `Damaged`."""
    if data.take(1) == b"\0":
        return None
    errno, denied = _CAUSE.unpack(data.take(_CAUSE.size))
    reason = unpack_reason(data.take(data.u32()))
    if errno not in _ERRNOS or denied not in _REFUSALS:
        raise Damaged("an error has no known number")
    return WasiError(_ERRNOS[errno], reason.text, _REFUSALS[denied], reason.need)
