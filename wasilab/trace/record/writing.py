"""The source text of the code that writes one record: the only place that writes records.

A successful call is recorded by its trampoline (`engine/calls/record_lines.py`), any other call by
`Recorder.make_writer`, of which `failure_writer` makes a shorter one. Both are generated from these lines, because
calling a function for each record would double its cost. The lines use the locals `chunk`, `index`, `path_id`, `arena`
and `payload_at`, and the globals of `record_globals`. Not for: the layout of a record (`layout.py`) or of a payload
(`payload.py`).
"""

from __future__ import annotations

import linecache
import struct
from collections.abc import Callable, Sequence
from functools import cache
from types import CodeType, FunctionType
from typing import Protocol, cast

from ...capabilities.refusal import Need
from .layout import (
    CHUNK_RECORDS,
    MAX_STRUCTS,
    PATH_BYTES,
    PATH_COST,
    RECORD_BYTES,
    SIDE_BYTES,
    STRUCT_COST,
    Chunk,
    Flag,
)
from .payload import RECORD_WORDS, pack_payload

LOCALS = ("chunk", "index", "path_id", "arena", "structs", "payload_at")
"""Names of the locals of the lines."""
FLAGS_SHIFT = 32
_PACK = struct.Struct("<QQQIIIIQIIII").pack_into
"""The layout of a record, with its columns from `call` to `tid` as one number (`meta`)."""


def meta(call: int, instance: int, flags: int, errno: int = 0, denied_by: int = 0, tid: int = 1) -> int:
    """The columns from `call` to `tid` as one number."""
    return call | errno << 8 | denied_by << 16 | instance << 24 | flags << FLAGS_SHIFT | tid << 48


@cache
def _packer(given: tuple[bool, ...]) -> Callable[..., None]:
    """Packs a record's two times and those of its further values that are given; the others are 0."""
    sizes = zip("QIIIIQIIII", given, strict=True)
    return struct.Struct(
        "<QQ" + "".join(code if there else f"{struct.calcsize(f'<{code}')}x" for code, there in sizes)
    ).pack_into


class Chunks(Protocol):
    """The interface of a recorder that the lines need."""

    chunk: Chunk

    def next_chunk(self, force: bool = False) -> None:
        """Begin a new chunk if the current one is full, or in any case."""
        ...


def record_globals(recorder: Chunks) -> dict[str, object]:
    """The values of the upper-case names in the lines, except ORIGIN."""

    def path_number(path: bytes) -> int:
        """The number of a path that is new in the current chunk."""
        chunk = recorder.chunk
        chunk.paths.append(path)
        chunk.side += len(path) + PATH_COST
        number = chunk.path_ids[path] = len(chunk.paths)
        return number

    return {"RECORDER": recorder, "NEXT_CHUNK": recorder.next_chunk, "PATH_NUMBER": path_number, "PACK": _PACK}


# -- the lines ---------------------------------------------------------------------------------------------------------


def find_room() -> list[str]:
    """Set the chunk and the index of the next record."""
    return [
        "chunk = RECORDER.chunk",
        "index = chunk.n",
        f"if index == {CHUNK_RECORDS}:  # it is full",
        "    NEXT_CHUNK()",
        "    chunk = RECORDER.chunk",
        "    index = chunk.n",
    ]


def number_path(path: str) -> list[str]:
    """Set `path_id` for the path in the local `path`, of at most PATH_BYTES bytes."""
    return [f"path_id = chunk.path_ids.get({path}) or PATH_NUMBER({path})"]


def begin_payload() -> list[str]:
    """Set `arena`, and `payload_at` for the next bytes appended to it."""
    return ["arena = chunk.arena", "payload_at = (len(arena) >> 2) + 1"]


def store_payload(payload: str, *, shared: bool = False) -> list[str]:
    """Append the payload in the local `payload`. `shared`: equal ones, which are frequent among results, are stored
    once.
    """
    if not shared:
        return [*begin_payload(), f"arena += {payload}"]
    return [
        "structs = chunk.structs",
        f"payload_at = structs.get({payload})",
        "if payload_at is None:",
        *(f"    {line}" for line in store_payload(payload)),
        f"    if len(structs) < {MAX_STRUCTS}:",
        f"        structs[{payload}] = payload_at",
        f"        chunk.side += {STRUCT_COST}",
    ]


def write_record(
    start: str, dur: str, columns: Sequence[str], meta: str, words: Sequence[str], *, payload: bool, path: bool,
    constant: Callable[[object], str] | None = None,
) -> list[str]:  # fmt: skip
    """Pack the record and count it. `columns` are the expressions of result, handle, path, stack and payload.

    `payload` and `path` tell whether the call may have one: then the chunk may have reached its maximum size.
    `constant` gives the name of an object in the code: then what is always 0 is not passed to be packed.
    """
    full = [f"payload_at > {SIDE_BYTES >> 2}"] * payload + [f"chunk.side > {SIDE_BYTES}"] * path
    pack, given = "PACK", [*columns, meta, *words]
    if constant is not None:
        pack = constant(_packer(tuple(value != "0" for value in given)))
        given = [value for value in given if value != "0"]
    return [
        f"{pack}(",
        f"    chunk.buf, index * {RECORD_BYTES}, {start}, {dur},",
        f"    {', '.join(given)},",
        ")",
        "chunk.n = index + 1",
        *([f"if {' or '.join(full)}:", "    NEXT_CHUNK(True)"] if full else []),
    ]


# -- the writers of failed calls ---------------------------------------------------------------------------------------


class Write(Protocol):
    """Records one call.

    `t_start` is a raw `time.perf_counter_ns()`, `dur` ns; `path` bytes or None; `payload` bytes from `pack_payload` or
    None; all others unsigned integers within their column's range. Raises nothing for such values.
    """

    def __call__(
        self, t_start: int, dur: int, result: int, handle: int, path: bytes | None, payload: bytes | None, call: int,
        errno: int, denied_by: int, flags: int, w0: int, w1: int, w2: int, w3: int, stack: int = 0,
    ) -> None: ...  # fmt: skip


def writer(recorder: Chunks, instance: int, tid: int) -> Write:
    """The function that records one call of an instance and thread."""
    namespace = record_globals(recorder) | {"META": meta(0, instance, 0, tid=tid)}
    return cast(Write, FunctionType(_code(), namespace, "write", (0,)))


_PARAMETERS = (
    "t_start", "dur", "result", "handle", "path", "payload", "call", "errno", "denied_by", "flags", "w0", "w1", "w2",
    "w3",
)  # fmt: skip


def source() -> str:
    """The text of the function that `writer` returns."""
    truncated = int(Flag.TRUNCATED)
    body = [
        *find_room(),
        "path_id = payload_at = 0",
        "if path is not None:",
        f"    if len(path) > {PATH_BYTES}:",
        f"        path = path[:{PATH_BYTES}]",
        f"        flags |= {truncated}  # TRUNCATED",
        *(f"    {line}" for line in number_path("path")),
        "if payload is not None:",
        *(f"    {line}" for line in store_payload("payload")),
        f"meta = META | call | errno << 8 | denied_by << 16 | flags << {FLAGS_SHIFT}",
        *write_record(
            "t_start - RECORDER.origin_ns", "dur", ["result", "handle", "path_id", "stack", "payload_at"], "meta",
            ["w0", "w1", "w2", "w3"], payload=True, path=True,
        ),
    ]  # fmt: skip
    head = f"def write({', '.join(_PARAMETERS)}, stack=0):"
    return "\n".join([head, *(f"    {line}" for line in body)]) + "\n"


@cache
def _code() -> CodeType:
    text, label = source(), "<wasilab record writer>"
    linecache.cache[label] = (len(text), None, text.splitlines(True), label)
    module = compile(text, label, "exec")
    return next(constant for constant in module.co_consts if isinstance(constant, CodeType))


class WriteFailure(Protocol):
    """Records one call that failed or did not return, and that ends now.

    `start` is when it began, `life` that of its descriptor, `words` all its core words, `aux` its input (`payload.py`);
    `stack` takes its stack, if there is to be one; the others are columns of its record. Raises nothing for values
    within their range.
    """

    def __call__(
        self, start: int, life: int, path: bytes | None, call: int, errno: int, denied_by: int, flags: int, reason: str,
        need: Need | None, aux: bytes, words: Sequence[int], stack: Callable[[], int] | None,
    ) -> None: ...  # fmt: skip


class Failures(Protocol):
    """The interface of a recorder that a writer of failures needs."""

    def make_writer(self, instance: int = 0, tid: int = 1) -> Write:
        """The function that records a call."""
        ...

    def intern_reason(self, text: str, need: Need | None = None) -> int:
        """The number of a reason for the next record."""
        ...


def failure_writer(recorder: Failures, now: Callable[[], int], instance: int) -> WriteFailure:
    """The function that records the failed calls of an instance through the recorder's usual writer."""
    write = recorder.make_writer(instance)

    def write_failure(
        start: int, life: int, path: bytes | None, call: int, errno: int, denied_by: int, flags: int, reason: str,
        need: Need | None, aux: bytes, words: Sequence[int], stack: Callable[[], int] | None,
    ) -> None:  # fmt: skip
        took = now() - start
        payload = None
        if reason or aux or len(words) > RECORD_WORDS:
            index = recorder.intern_reason(reason, need) if reason else 0
            payload = pack_payload(aux, b"", words[RECORD_WORDS:], index)
        w0, w1, w2, w3 = words[:RECORD_WORDS] if len(words) >= RECORD_WORDS else (*words, 0, 0, 0, 0)[:RECORD_WORDS]
        taken = 0 if stack is None else stack()
        write(start, took, 0, life, path, payload, call, errno, denied_by, flags, w0, w1, w2, w3, taken)

    return write_failure
