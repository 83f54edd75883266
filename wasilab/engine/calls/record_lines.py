"""The lines of a trampoline that record its call: what `codegen.py` adds to one whose run is traced.

Everything is written straight into the recorder's chunk, as `Recorder.make_writer` does it: a function call with
fifteen arguments would cost as much again. What a record and its payload hold is said in `trace/record.py` and
`trace/layout.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...trace.record.layout import MAX_STRUCTS, STRUCT_COST
from ...trace.record.recorder import CHUNK_RECORDS, SIDE_BYTES
from ...wasi.preview1.signature import Call

MAX_KEPT_IOVECS = 64
"""Entries of an iovec array that a trace keeps; more are cut and the call is flagged TRUNCATED."""
MAX_KEPT_SUBSCRIPTIONS = 256
"""Poll subscriptions that a trace keeps."""
MAX_KEPT_EVENTS = 1024
"""Poll events that a trace keeps; if there are more it keeps none."""
_EMPTY = "b''"


@dataclass(frozen=True, slots=True)
class Variant:
    """How a trampoline is built."""

    raw: bool = True
    traced: bool = True
    stacks: bool = False
    overridden: bool = False
    foreign: bool = False


class RecordLines:
    """A function in the making, and the methods that add the lines of its record."""

    def __init__(self, call: Call, variant: Variant) -> None:
        self.call = call
        self.variant = variant
        self.unstable = call.module == "wasi_unstable"
        self.lines: list[str] = []
        self.words: list[str] = []
        """The 32-bit words of all arguments, in order, as expressions."""
        self.arguments: list[str] = []
        """What the semantic function gets."""
        self.paths: list[str] = []
        self.iovecs: str | None = None
        self.outbuf: str | None = None
        self.first_fd: str | None = None
        self.has_payload = False
        self.deferred: list[str] = []
        """Lines after the semantic call, before the results."""

    def put(self, depth: int, *lines: str) -> None:
        """Add lines, indented by `depth` steps."""
        self.lines += ["    " * depth + line for line in lines]

    @property
    def _id(self) -> str:
        return self.call.name + ("_0" if self.unstable else "")

    # ---- the record

    def _record(self) -> None:
        """Build the payload `z` where the call has one, then write the record.

        Both are written here, straight into the recorder's chunk, as `Recorder.make_writer` does it: a function
        call with fifteen arguments would cost as much again.
        """
        put = self.put
        put(2, "h = REC.chunk; e = h.n", f"if e == {CHUNK_RECORDS}:", "    ROOM(); h = REC.chunk; e = h.n")
        meta = f"META_{self._id}"
        if self.variant.overridden:
            meta += f" | S_{self._id}.flags << 32"
        path = where = "0"
        if self.iovecs is not None:
            self.has_payload, where = True, "w"
            self._moved(meta)
            meta = "f"
        else:
            flags = self._payload()
            if self.has_payload:
                where = "w"
                self._keep_payload()
            if self.paths:
                path = "q"
                put(2, f"q = h.path_ids.get({self.paths[0]}) or PATH({self.paths[0]})")
            if flags:
                meta = f"({meta} | f << 32)"
        first = [*self.words[:4], "0", "0", "0", "0"][:4]
        stack = "STACK(c)" if self.variant.stacks else "0"
        handle = "d0.life" if self.first_fd else "0"
        result = "r" if self._has_scalar_result() else "0"
        put(
            2,
            f"PACK(h.buf, e << 6, t0 - ORIGIN, t1 - t0, {result}, {handle}, {path}, {stack}, {where}, {meta}, "
            f"{', '.join(first)})",
            "h.n = e + 1",
        )
        full = [f"w > {SIDE_BYTES >> 2}"] * self.has_payload + [f"h.side > {SIDE_BYTES}"] * bool(self.paths)
        if full:
            put(2, f"if {' or '.join(full)}:", "    ROOM(True)")

    def _keep_payload(self) -> None:
        """Put the payload `z` into the arena, its place into `w`."""
        if any(result.type.record for result in self.call.results):
            # A struct is often the same as before (a file looked at again): then the bytes are shared.
            self.put(2, "g = h.structs; w = g.get(z)", "if w is None:")
            self.put(3, "a = h.arena; w = (len(a) >> 2) + 1; a += z")
            self.put(3, f"if len(g) < {MAX_STRUCTS}:", f"    g[z] = w; h.side += {STRUCT_COST}")
        else:
            self.put(2, "a = h.arena", "w = (len(a) >> 2) + 1", "a += z")

    def _moved(self, meta: str) -> None:
        """The payload of a call with buffers, into the arena at `w`; the record's columns from call to tid into `f`.

        One buffer whose bytes are all kept is the usual case: no intermediate bytes are made for it.
        """
        second = ["r2"] * (len(self.call.results) == 2)
        size, extra = (12 if second else 8), self.words[4:]
        words = f"WORDS{len(extra)}({', '.join(extra)})" if extra else ""
        packed = [*extra, "p", "l", *second]
        self.put(
            2,
            "a = h.arena; w = (len(a) >> 2) + 1",
            "if o is not None and l >= r <= SNAP:",  # l >= r: unless somebody's own file lies
            f"    a += HEAD{len(packed)}(0, {size}, r, {', '.join(packed)})",
            "    a += o if r == l else o[:r]",
            "    if r & 3:",
            "        a += PAD[r & 3]",
            f"    f = {meta}",
            "else:",
            f"    f = {meta}; k = r if r <= SNAP else SNAP",
            "    if o is not None:",
            "        x = U32(p) + U32(l)",
            f"    if r > SNAP or {self.iovecs} > {MAX_KEPT_IOVECS}:",
            f"        f |= 2 << 32; x = x[:{8 * MAX_KEPT_IOVECS}]",
            *(["    x += U32(r2)"] if second else []),
            "    y = GATHER(b, k)",
            f"    z = {' + '.join(filter(None, ['HEADER(0, len(x), len(y))', words, 'x', 'y']))}",
            "    a += z",
            "    if len(z) & 3:",
            "        a += PAD[len(z) & 3]",
        )

    def _payload(self) -> bool:
        """Build the payload `z` of a call without buffers; returns whether `f` holds flags of this very call."""
        call, put = self.call, self.put
        extra = self.words[4:]
        aux = self._aux()
        data = _EMPTY
        self.has_payload = True
        flags = False
        if self.outbuf is not None:
            moved = "r" if call.results else self.outbuf
            put(2, f"f = 0; k = {moved}", "if k > SNAP:", "    k = SNAP; f = 2", "y = b[:k].tobytes()")
            data, flags = "y", True
        elif call.family in ("args", "environ") and self.deferred:
            put(2, "f = 0", "if len(y) > SNAP:", "    y = y[:SNAP]; f = 2")
            data, flags = "y", True
        if not extra and aux == _EMPTY and data == _EMPTY:
            self.has_payload = False
        elif aux == _EMPTY and data == _EMPTY:
            put(2, f"z = HEAD{len(extra)}(0, 0, 0, {', '.join(extra)})")
        else:
            sizes = f"{0 if aux == _EMPTY else f'len({aux})'}, {0 if data == _EMPTY else f'len({data})'}"
            head = f"HEAD{len(extra)}(0, {sizes}, {', '.join(extra)})" if extra else f"HEADER(0, {sizes})"
            put(2, f"z = {' + '.join([head, *(part for part in (aux, data) if part != _EMPTY)])}")
            whole = data == _EMPTY and len(self.paths) < 2  # structs and events are multiples of four bytes
            if not whole:
                put(2, "if len(z) & 3:", "    z += PAD[len(z) & 3]")
        return flags

    def _has_scalar_result(self) -> bool:
        return bool(self.call.results) and not self.call.results[0].type.record

    def _aux(self) -> str:
        """The expression of the payload's auxiliary bytes."""
        results = self.call.results
        if any(param.type.kind == "insubs" for param in self.call.params):
            size = MAX_KEPT_SUBSCRIPTIONS * (56 if self.unstable else 48)
            self.put(2, f"x = x[:{size}] + y if len(y) <= {MAX_KEPT_EVENTS * 32} else x[:{size}]")
            return "x"
        if len(self.paths) == 2:
            return self.paths[1]
        if len(results) == 2:
            self.put(2, "x = U32(r2)")
            return "x"
        if results and results[0].type.record:
            size = results[0].type.size
            pointer = self.words[-1]
            self.put(2, f"x = M.view[{pointer}:{pointer} + {size}].tobytes()")
            return "x"
        return _EMPTY
