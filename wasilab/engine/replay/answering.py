"""Compares a recorded call with the guest's repeated call, and writes the recorded answer into its memory.

`compare` describes the difference between the recorded and the repeated call. `answer` writes the recorded results to
the call's result pointers. Both use the spec table and the payload schema, as the trampolines do (`calls/codegen.py`).
The recording is not trusted: each pointer and size is checked against the memory, each value against its type.
"""

from __future__ import annotations

from collections.abc import Sequence

import wasmtime

from ...trace.record.payload import MAX_KEPT_SUBSCRIPTIONS, MAX_KEPT_VECTORS, VECTOR_BYTES, Aux, Data, schema
from ...wasi import types as t
from ...wasi.preview1 import signature as sig
from ...wasi.preview1.signature import Call, Param
from ..calls.failed_calls import attempted
from ..calls.memory import MAX_PATH, GuestMemory
from .recorded_calls import RecordedCall, damaged

_MOST = 1 << 32
_VALUES = (sig.SCALAR, sig.FD)


def words_of(call: Call) -> list[tuple[str, bool]]:
    """(name, is_pointer) of each 32-bit argument word."""
    found = []
    for param in call.params:
        pointing = param.type.kind not in _VALUES
        for order, (name, kind) in enumerate(param.words):
            pointer = pointing and (order == 0 or param.type.kind == sig.OUTSTRINGS)
            found += [(name, pointer)] if kind == "i32" else [(name, pointer), (f"{name} (high half)", pointer)]
    return [*found, *((f"result.{result.name}", True) for result in call.results)]


def _places(call: Call) -> list[tuple[Param, int]]:
    """Each parameter with the index of its first word."""
    found, at = [], 0
    for param in call.params:
        found.append((param, at))
        at += sum(2 if kind == "i64" else 1 for kind in param.type.words)
    return found


def _readable(memory: GuestMemory, pointer: int, size: int) -> bytes | None:
    return memory.view[pointer : pointer + size].tobytes() if pointer + size <= memory.size else None


# ---- what it asked


def compare(
    call: Call, recorded: RecordedCall, words: Sequence[int], memory: GuestMemory, *, exact: bool
) -> str | None:
    """Describe the difference between the recorded call and the call with `words`; None if they agree.

    `exact`: pointers and the lengths of single buffers must also agree, as they do for the same program.
    """
    for (name, pointer), came, was in zip(words_of(call), words, recorded.words, strict=True):
        if came != was and (exact or not (pointer or _is_count(call, name))):
            return f"its argument {name!r} is {_number(came, pointer)}, and was {_number(was, pointer)}"
    strings = [(p, at) for p, at in _places(call) if p.type.kind == sig.STRING]
    kept = [recorded.path, recorded.aux if schema(call).aux is Aux.PATH else None]
    for (param, at), was_text in zip(strings, kept, strict=False):
        text = _readable(memory, words[at], min(words[at + 1], MAX_PATH))
        if was_text is not None and text is not None and (was_text or not recorded.errno) and text != was_text:
            return f"its {param.name} is {text!r}, and was {was_text!r}"
    if exact:
        return _compare_memory(call, recorded, words, memory)
    return _compare_content(call, recorded, words, memory)


def _is_count(call: Call, name: str) -> bool:
    """Whether a word is the number of buffers in an array: two builds may split the same bytes differently."""
    return any(
        p.type.kind in (sig.IOVECS, sig.CIOVECS, sig.STRING) and name == f"{p.name}_len" for p in call.params
    )


def _number(value: int, pointer: bool) -> str:
    return f"0x{value:x}" if pointer else str(value)


def _compare_memory(call: Call, recorded: RecordedCall, words: Sequence[int], memory: GuestMemory) -> str | None:
    aux = schema(call).aux
    if aux is Aux.VECTORS:
        asked = attempted(call, words, memory)
        if recorded.aux[: len(asked)] != asked:
            return "its array of buffers is another one"
    elif aux is Aux.POLL:
        asked = attempted(call, words, memory)
        if recorded.aux[: len(asked)] != asked:
            return "its subscriptions are others"
    return None


def _compare_content(call: Call, recorded: RecordedCall, words: Sequence[int], memory: GuestMemory) -> str | None:
    """Compare what two builds of a program have in common: the total buffer size, and the subscriptions."""
    for param, at in _places(call):
        kind = param.type.kind
        if kind in (sig.IOVECS, sig.CIOVECS) and words[at + 1] <= MAX_KEPT_VECTORS:
            kept = recorded.aux[: VECTOR_BYTES * (min(recorded.words[at + 1], MAX_KEPT_VECTORS))]
            was = sum(memoryview(kept[: len(kept) & ~7]).cast("I")[1::2])
            vectors = _readable(memory, words[at], VECTOR_BYTES * words[at + 1])
            if vectors is not None and recorded.words[at + 1] <= MAX_KEPT_VECTORS:
                came = sum(memoryview(vectors).cast("I")[1::2])
                if came != was:
                    return f"its buffers have {came:,} bytes, and had {was:,}"
        if kind == sig.INSUBS and not recorded.errno:
            size = schema(call).subscription_bytes
            count = min(dict(zip((name for name, _ in words_of(call)), words, strict=True))[param.type.count], 256)
            asked = _readable(memory, words[at], size * count)
            if asked is not None and asked != recorded.aux[: len(asked)]:
                return "its subscriptions are others"
    return None


class Sent:
    """The bytes that a call writes from the guest's memory.

    A record holds them as they are after the results are stored, which may overlap the same buffer. So they are
    compared after the answer; `data` holds the bytes before it.
    """

    def __init__(self, call: Call, recorded: RecordedCall, words: Sequence[int], memory: GuestMemory) -> None:
        self._memory = memory
        self._recorded = recorded
        self._pieces: list[tuple[int, int]] | None = None
        place = next((at for param, at in _places(call) if param.type.kind == sig.CIOVECS), None)
        if place is not None and not recorded.errno:
            self._pieces = _pieces(memory, words[place], words[place + 1], recorded.result)
        self.data = self._read()

    def _read(self) -> bytes:
        view = self._memory.view
        return b"".join([view[at : at + size].tobytes() for at, size in self._pieces or ()])

    def difference(self) -> str | None:
        """Describe the difference from the recorded bytes; None if they agree. Call it after the answer."""
        recorded = self._recorded
        if self._pieces is None:
            return None
        sent = self._read()
        if sent == recorded.data:
            return None
        pairs = enumerate(zip(sent, recorded.data, strict=False))
        place = next((index for index, (a, b) in pairs if a != b), min(len(sent), len(recorded.data)))
        return (
            f"it writes other bytes: the first that differs is number {place:,} of {recorded.result:,}, "
            f"{sent[place : place + 16]!r}, and was {recorded.data[place : place + 16]!r}"
        )


def _pieces(memory: GuestMemory, array: int, count: int, size: int) -> list[tuple[int, int]] | None:
    """(pointer, length) of the buffers of an array, up to `size` bytes; None if they cannot be read."""
    vectors = _readable(memory, array, VECTOR_BYTES * count)
    if vectors is None:
        return None
    found = []
    entries = memoryview(vectors).cast("I").tolist()
    for at, length in zip(entries[::2], entries[1::2], strict=True):
        length = min(length, size)
        if at + length > memory.size:
            return None
        found.append((at, length))
        size -= length
    return found


# ---- what it answered


def answer(
    call: Call, recorded: RecordedCall, words: Sequence[int], memory: GuestMemory, caller: wasmtime.Caller
) -> None:
    """Write the results of a successful call into the guest's memory. Raises `CannotReplay` for results that no run can
    have recorded, and `Trap` for out-of-bounds pointers."""
    layout = schema(call)
    for param, at in _places(call):
        kind = param.type.kind
        if kind == sig.IOVECS:
            _scatter(call, recorded, words[at], words[at + 1], memory, caller)
        elif kind == sig.OUTBUF:
            if len(recorded.data) > words[at + 1]:
                raise damaged(recorded.seq, f"it wrote {len(recorded.data):,} bytes into {words[at + 1]:,}")
            memory.check(caller, words[at], len(recorded.data), 1, call.name, param.name)
            memory.view[words[at] : words[at] + len(recorded.data)] = recorded.data
        elif kind == sig.OUTSTRINGS:
            if recorded.data and recorded.data[-1:] != b"\0":
                raise damaged(recorded.seq, "its last string has no end")
            memory.put_strings(caller, words[at], words[at + 1], recorded.data.split(b"\0")[:-1], call.name)
        elif kind == sig.OUTEVENTS:
            _put_events(call, param, recorded, words, at, memory, caller)
    pointers = words[len(words) - len(call.results) :] if call.results else ()
    second = recorded.aux[-4:] if len(call.results) == 2 else b""
    for order, (result, pointer) in enumerate(zip(call.results, pointers, strict=True)):
        type_ = result.type
        memory.check(caller, pointer, type_.size, type_.align, call.name, f"result.{result.name}")
        if type_.record:
            value = recorded.aux
        else:
            number = recorded.result if order == 0 else int.from_bytes(second, "little")
            if number >= 1 << 8 * type_.size:
                raise damaged(recorded.seq, f"its result {result.name} does not fit its type")
            value = number.to_bytes(type_.size, "little")
        if len(value) != type_.size or (order == 1 and len(second) != 4):
            raise damaged(recorded.seq, f"its result {result.name} is missing")
        memory.view[pointer : pointer + type_.size] = value
    if layout.data is Data.MOVED and len(recorded.data) != recorded.result:
        raise damaged(recorded.seq, f"{len(recorded.data):,} of the {recorded.result:,} bytes that it moved are there")


def _scatter(
    call: Call, recorded: RecordedCall, array: int, count: int, memory: GuestMemory, caller: wasmtime.Caller
) -> None:
    """Write the recorded data of a read into the buffers of an array."""
    data = memoryview(recorded.data)
    try:
        buffers = memory.iovecs(caller, array, count, _MOST, call.name, "buffers")
    except t.WasiError as error:
        raise damaged(recorded.seq, f"it succeeded with buffers that no call takes ({error.reason})") from None
    for buffer in buffers:
        size = min(len(buffer), len(data))
        buffer[:size] = data[:size]
        data = data[size:]
    if data:
        raise damaged(recorded.seq, f"it read {len(data):,} bytes more than its buffers hold")


def _put_events(
    call: Call, param: Param, recorded: RecordedCall, words: Sequence[int], at: int, memory: GuestMemory,
    caller: wasmtime.Caller,
) -> None:  # fmt: skip
    count = dict(zip((name for name, _ in words_of(call)), words, strict=True))[param.type.count]
    kept = min(count, MAX_KEPT_SUBSCRIPTIONS) * schema(call).subscription_bytes
    events = recorded.aux[kept:] or recorded.data
    if len(events) != t.EVENT.size * recorded.result or recorded.result > count:
        raise damaged(recorded.seq, "its events are not those of its subscriptions")
    memory.check(caller, words[at], t.EVENT.size * count, 8, call.name, param.name)
    memory.view[words[at] : words[at] + len(events)] = events
