"""The schema of a payload, the data of a call that does not fit its record.

A payload is `<HHI` reason, bytes of aux, bytes of data; then the call's 32-bit core words after the fourth; then the
auxiliary bytes; then the data; then zeros up to a multiple of four bytes. `schema(call)` tells what the auxiliary bytes
and the data are. The engine's trampolines write payloads by it, and `columns/decode.py` reads them by it.

For a failed call, aux has its input (`Aux.VECTORS` without the result, `Aux.PATH`, the subscriptions of `Aux.POLL`), as
far as the guest's pointers could be read, and data is empty. Not for: the record itself (`layout.py`).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from ...wasi import types as t
from ...wasi.preview1 import signature as sig
from ...wasi.preview1.signature import Call

HEADER = struct.Struct("<HHI")
"""The head of a payload: reason (a number of the chunk's table, 0 for none), bytes of aux, bytes of data."""
RECORD_WORDS = 4
"""Core words of a call in its record; the others are in its payload."""
MAX_AUX = 0xFFFF
MAX_KEPT_VECTORS = 64
"""Maximum entries of an iovec array that are kept; if there were more, the call is flagged TRUNCATED."""
VECTOR_BYTES = 8
"""One entry: pointer u32, length u32."""
MAX_KEPT_SUBSCRIPTIONS = 256
"""Maximum poll subscriptions that are kept."""
MAX_KEPT_EVENTS = 1024
"""Maximum poll events kept in the auxiliary bytes. If there are more, they are the data; if the snap length is less
than all of them, none is kept."""


class Aux(Enum):
    """The contents of a payload's auxiliary bytes."""

    NOTHING = "nothing"
    VECTORS = "the array of buffers as read, then the second result (u32), if any"
    PATH = "the second path; the first is in the record"
    RESULT = "the second result, a u32; the first is in the record"
    STRUCT = "the result, a struct, as in guest memory"
    POLL = "the subscriptions as read, then the events as written, up to MAX_KEPT_EVENTS"
    VALUES = "the arguments, written by `pack_values`"


class Data(Enum):
    """The contents of a payload's data, cut to the trace's snap length."""

    NOTHING = "nothing"
    MOVED = "the bytes that the call read or wrote through its array of buffers"
    BUFFER = "the bytes that the call wrote to its buffer"
    STRINGS = "the arguments or variables that the call wrote, each with a NUL"
    EVENTS = "the events as written, if there are more than MAX_KEPT_EVENTS"
    VALUES = "the results, written by `pack_values`"


@dataclass(frozen=True, slots=True)
class Schema:
    """How the payloads of one call are laid out."""

    words: int
    """Core words of the call, including those in the record; an i64 is two, low word first."""
    aux: Aux
    data: Data
    subscription_bytes: int
    """Bytes of one poll subscription in the call's module."""

    @property
    def further_words(self) -> int:
        """Core words in the payload."""
        return max(self.words - RECORD_WORDS, 0)


VALUES = Schema(0, Aux.VALUES, Data.VALUES, 0)
"""The payloads of a function of a trace's own list (`functions.py`)."""


def schema(call: Call) -> Schema:
    """The layout of the payloads of `call`."""
    kinds = [param.type.kind for param in call.params]
    words = sum(2 if word == "i64" else 1 for word in call.signature)
    aux, data = Aux.NOTHING, Data.NOTHING
    if sig.IOVECS in kinds or sig.CIOVECS in kinds:
        aux, data = Aux.VECTORS, Data.MOVED
    elif sig.INSUBS in kinds:
        aux, data = Aux.POLL, Data.EVENTS
    elif kinds.count(sig.STRING) == 2:
        aux = Aux.PATH
    elif len(call.results) == 2:
        aux = Aux.RESULT
    elif call.results and call.results[0].type.record:
        aux = Aux.STRUCT
    if sig.OUTBUF in kinds:
        data = Data.BUFFER
    elif sig.OUTSTRINGS in kinds:
        data = Data.STRINGS
    size = (t.SUBSCRIPTION_UNSTABLE if call.module == "wasi_unstable" else t.SUBSCRIPTION).size
    return Schema(words, aux, data, size)


_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")
HEADS = tuple(struct.Struct(f"<HHI{count}I").pack for count in range(32))
"""Packs the head of a payload and that many words; no call of WASI has more."""


def pack_payload(aux: bytes = b"", data: bytes = b"", words: Sequence[int] = (), reason: int = 0) -> bytes:
    """The bytes of a payload.

    `words`: the core words after the fourth, all of them. `aux`: at most 65535 bytes are kept; the caller sets
    TRUNCATED if it gives less than there was. `data`: already cut to the snap length. `reason`: from
    `Recorder.intern_reason`, 0 for none.
    """
    if len(aux) > MAX_AUX:
        aux = aux[:MAX_AUX]
    count = len(words)
    pack = HEADS[count] if count < len(HEADS) else struct.Struct(f"<HHI{count}I").pack
    head = pack(reason, len(aux), len(data), *words)
    if not aux and not data:
        return head
    blob = head + aux + data
    return blob + _PADDING[len(blob) & 3]
