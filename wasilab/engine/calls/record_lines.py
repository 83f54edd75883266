"""The lines of a trampoline that record its call, for a run that is traced.

They write directly into the recorder's chunk: a function call with fifteen arguments would double the cost. The layout
of a record is in `trace/record/layout.py`, that of its payload in `trace/record/payload.py`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from ...trace.record import writing
from ...trace.record.layout import Flag
from ...trace.record.payload import (
    HEADER,
    MAX_KEPT_EVENTS,
    MAX_KEPT_SUBSCRIPTIONS,
    MAX_KEPT_VECTORS,
    RECORD_WORDS,
    VECTOR_BYTES,
    Aux,
    Data,
    schema,
)
from ...trace.record.recorder import Recorder
from ...wasi import types as t
from ...wasi.preview1.signature import Call
from .trampoline import Locals, SourceText, Variant, identifier

LOCALS = (*writing.LOCALS, "payload", "meta", "kept", "aux", "data", "truncated")
"""Names of locals that these lines use."""

_TRUNCATED = f"{int(Flag.TRUNCATED)} << {writing.FLAGS_SHIFT}"
_MOST_WORDS = 9
"""Core arguments of the longest call after its first four, plus two words."""


def record_globals(recorder: Recorder | None) -> dict[str, Any]:
    """The values of the upper-case names in these lines; `recorder` is None if the run is not traced."""
    if recorder is None:
        return {}
    return writing.record_globals(recorder) | {
        "ORIGIN": recorder.origin_ns,
        "SNAPLEN": recorder.snaplen if recorder.snaplen is not None else 1 << 62,
        "HEADER": HEADER.pack,
        "GATHER": _gather,
        "PADDING": (b"", b"\0\0\0", b"\0\0", b"\0"),
        "PACK_U32": t.U32.pack,
        **{f"WORDS{n}": struct.Struct(f"<{n}I").pack for n in range(1, _MOST_WORDS)},
        **{f"HEADER{n}": struct.Struct(f"<HHI{n}I").pack for n in range(1, _MOST_WORDS + 1)},
    }


def record_lines(text: SourceText, call: Call, variant: Variant, known: Locals) -> None:
    """Append the lines that record a successful call, which lasted from `started` to `ended`."""
    _RecordLines(text, call, variant, known).write()


def _gather(buffers: Sequence[memoryview], size: int) -> bytes:
    """The first `size` bytes of several buffers."""
    parts = []
    for buffer in buffers:
        if size <= 0:
            break
        parts.append(buffer[:size].tobytes())
        size -= len(parts[-1])
    return b"".join(parts)


class _RecordLines:
    """Builds the call's payload, if it has one, then writes the record."""

    def __init__(self, text: SourceText, call: Call, variant: Variant, known: Locals) -> None:
        self.add = text.add
        self.call = call
        self.variant = variant
        self.known = known
        self.id = identifier(call)
        self.schema = schema(call)
        self.further = known.words[RECORD_WORDS:]
        """The argument words for which a record has no columns."""

    def write(self) -> None:
        known = self.known
        self.add(2, *writing.find_room())
        meta = f"META_{self.id}"
        if self.variant.overridden:
            meta += f" | OVERRIDE_{self.id}.flags << {writing.FLAGS_SHIFT}"
        if self.schema.aux is Aux.VECTORS:
            has_payload = True
            self._buffers(meta)
            meta = "meta"
        else:
            has_payload, truncated = self._payload()
            if has_payload:
                self._store_payload()
            if truncated:
                meta += " | truncated"
        if known.paths:
            self.add(2, *writing.number_path(known.paths[0]))
        columns = [
            self._scalar_result() or "0",
            "descriptor.life" if known.descriptor else "0",
            "path_id" if known.paths else "0",
            "STACK(caller)" if self.variant.stacks else "0",
            "payload_at" if has_payload else "0",
        ]
        words = [*known.words, *["0"] * RECORD_WORDS][:RECORD_WORDS]
        times = "started - ORIGIN", "ended - started"
        self.add(
            2, *writing.write_record(*times, columns, meta, words, payload=has_payload, path=bool(known.paths))
        )

    def _scalar_result(self) -> str | None:
        """The name of the first result, unless it is a struct."""
        results = self.known.results
        return results[0][0] if results and not results[0][1].type.record else None

    # ---- payloads: a header, the further words, auxiliary bytes, the data moved

    def _buffers(self, meta: str) -> None:
        """The payload of a call with an array of buffers: the array is its auxiliary bytes.

        The usual case, one buffer whose bytes are all kept, makes no intermediate bytes.
        """
        moved = self.known.results[0][0]
        second = [name for name, _, _ in self.known.results[1:]]
        packed = [*self.further, "pointer", "length", *second]
        aux_bytes = VECTOR_BYTES + t.U32.size * len(second)
        parts = ["HEADER(0, len(aux), len(data))", *self._packed_words(), "aux", "data"]
        self.add(
            2,
            *writing.begin_payload(),
            f"meta = {meta}",
            # length >= moved, unless a user's own file object miscounts
            f"if buffer is not None and length >= {moved} <= SNAPLEN:",
            f"    arena += HEADER{len(packed)}(0, {aux_bytes}, {moved}, {', '.join(packed)})",
            f"    arena += buffer if {moved} == length else buffer[:{moved}]",
            f"    if {moved} & 3:",
            f"        arena += PADDING[{moved} & 3]",
            "else:",
            f"    kept = {moved} if {moved} <= SNAPLEN else SNAPLEN",
            "    aux = vectors if buffer is None else PACK_U32(pointer) + PACK_U32(length)",
            f"    if {moved} > SNAPLEN or {self.known.vector_count} > {MAX_KEPT_VECTORS}:",
            f"        meta |= {_TRUNCATED}  # TRUNCATED",
            f"        aux = aux[:{VECTOR_BYTES * MAX_KEPT_VECTORS}]",
            *[f"    aux += PACK_U32({name})" for name in second],
            "    data = GATHER(buffers, kept)",
            f"    payload = {' + '.join(parts)}",
            "    arena += payload",
            "    if len(payload) & 3:",
            "        arena += PADDING[len(payload) & 3]",
        )

    def _payload(self) -> tuple[bool, bool]:
        """Build `payload` for a call without an array of buffers. Returns whether it has one and whether `truncated` is
        set."""
        aux, (data, truncated) = self._aux(), self._data()
        if not (self.further or aux or data):
            return False, False
        if not aux and not data:
            self.add(2, f"payload = HEADER{len(self.further)}(0, 0, 0, {', '.join(self.further)})")
            return True, False
        sizes = f"0, {f'len({aux})' if aux else 0}, {f'len({data})' if data else 0}"
        count = len(self.further)
        header = f"HEADER{count}({sizes}, {', '.join(self.further)})" if count else f"HEADER({sizes})"
        self.add(2, f"payload = {' + '.join(part for part in (header, aux, data) if part)}")
        if data or self.schema.aux is Aux.PATH:  # structs and events are multiples of four bytes
            self.add(2, "if len(payload) & 3:", "    payload += PADDING[len(payload) & 3]")
        return True, truncated

    def _packed_words(self) -> list[str]:
        return [f"WORDS{len(self.further)}({', '.join(self.further)})"] if self.further else []

    def _data(self) -> tuple[str | None, bool]:
        """The name of the payload's data, cut to the snap length, and whether `truncated` is set if it was longer."""
        if self.schema.data is Data.BUFFER:
            self.add(
                2,
                f"kept = {self._scalar_result() or self.known.buffer_length}",
                "truncated = 0",
                "if kept > SNAPLEN:",
                "    kept = SNAPLEN",
                f"    truncated = {_TRUNCATED}  # TRUNCATED",
                "data = buffer[:kept].tobytes()",
            )
        elif self.schema.data is Data.STRINGS:
            self.add(
                2,
                "truncated = 0",
                "if len(data) > SNAPLEN:",
                "    data = data[:SNAPLEN]",
                f"    truncated = {_TRUNCATED}  # TRUNCATED",
            )
        elif self.schema.data is Data.EVENTS:
            return "data", False
        else:
            return None, False
        return "data", True

    def _aux(self) -> str | None:
        """The name of the payload's auxiliary bytes."""
        results = self.known.results
        match self.schema.aux:
            case Aux.POLL:
                self.add(
                    2,
                    f"aux = asked[:{MAX_KEPT_SUBSCRIPTIONS * self.schema.subscription_bytes}]",
                    f"if len(data) <= {MAX_KEPT_EVENTS * t.EVENT.size}:",
                    "    aux += data",
                    "    data = b''",
                    "elif len(data) > SNAPLEN:",
                    "    data = b''",
                )
            case Aux.PATH:
                return self.known.paths[1]
            case Aux.RESULT:
                self.add(2, f"aux = PACK_U32({results[1][0]})")
            case Aux.STRUCT:
                pointer, size = results[0][2], results[0][1].type.size
                self.add(2, f"aux = MEMORY.view[{pointer}:{pointer} + {size}].tobytes()")
            case _:
                return None
        return "aux"

    def _store_payload(self) -> None:
        """Append `payload` to the arena and store its offset in `payload_at`."""
        # A struct is often the same as before (a repeated stat of a file): then the bytes are shared.
        self.add(2, *writing.store_payload("payload", shared=self.schema.aux is Aux.STRUCT))
