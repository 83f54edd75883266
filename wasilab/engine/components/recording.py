"""Records a component's calls in the trace: raw if the function's types allow it, else as values.

Calls are recorded in two ways: by lines of a generated trampoline (`raw_lines`), which write directly into the chunk as
for preview1, and by `CallRecorder.values` off the hot path. The layout is in `trace/record/raw_values.py`.

A resource handle has a life in the trace, as a descriptor has, with its type and the life of its parent.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Sequence
from functools import cache

from ...capabilities.refusal import DeniedBy, Need
from ...trace.record.functions import Function, pack_values
from ...trace.record.layout import Flag
from ...trace.record.payload import HEADER, pack_payload
from ...trace.record.raw_values import INTEGERS, RawArgument, RawLayout, RawParam, RawResult, raw_layout
from ...trace.record.recorder import DID_NOT_RETURN, Recorder
from ...trace.record.writing import (
    begin_payload,
    find_room,
    meta,
    number_path,
    record_globals,
    store_payload,
    write_record,
)
from ...wasi.components import value_types as v
from ...wasi.components.error_names import number_of
from ...wasi.components.interfaces import ResultError, WasiFunction
from ...wasi.components.waits import Value
from ...wasi.errnos import WasiError
from ...wasi.operations import Operation
from ..stop import EndOfReplay
from .abi.emitter import Emitter
from .concurrency.handles import Handle

_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")
_UNSIGNED = tuple(v.PRIMITIVES[name] for name in INTEGERS if name[0] == "u")
MAX_PATH = 4096
_MAX_LIST = 16 << 10
"""Maximum bytes of a list kept in aux."""


def type_text(function: v.ComponentFuncType) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """Parameters and results in WIT syntax."""
    params = tuple((name, str(type_)) for name, type_ in function.params)
    return params, (("result", str(function.result)),) if function.result is not None else ()


def _plain(value: Value) -> Value:
    """An ABI value in the form for `pack_values`."""
    if isinstance(value, (str, bytes, memoryview, bytearray, int, float, bool)) or value is None:
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    path = getattr(value, "path", None)
    if isinstance(path, str) and path:
        return path if path[0] == "<" else f"<{path}>"
    return f"<{type(value).__name__.lower()}>"


def _typed(type_: v.ValueType | None, value: Value) -> Value:
    """An ABI value in the form for `pack_values`, with the names from its type."""
    if isinstance(type_, v.FlagsType):
        return [label for bit, label in enumerate(type_.labels) if value >> bit & 1]
    if isinstance(type_, v.RecordType):
        return {name: _typed(part, item) for (name, part), item in zip(type_.fields, value, strict=True)}
    if isinstance(type_, v.TupleType):
        return [_typed(part, item) for part, item in zip(type_.elements, value, strict=True)]
    if isinstance(type_, v.ListType) and isinstance(value, (list, tuple)):
        return [_typed(type_.element, item) for item in value]
    if isinstance(type_, v.OptionType) and value is not None:
        return _typed(type_.some, value[0] if isinstance(type_.some, v.OptionType) else value)
    if isinstance(type_, (v.VariantType, v.ResultType)):
        case, inside = value
        return case if inside is None else {case: _typed(dict(v.cases_of(type_))[case], inside)}
    return _plain(value)


class CallRecorder:
    """Records the calls of one component run. `snaplen`: bytes of data kept per call."""

    def __init__(self, recorder: Recorder, *, detached: bool, take_stack: Callable[[], int] | None) -> None:
        self.recorder = recorder
        self.write = recorder.make_writer()
        self.flags = int(Flag.DETACHED) if detached else 0
        self.snaplen = recorder.snaplen if recorder.snaplen is not None else 1 << 62
        self.take_stack = take_stack
        self._lives = 0
        self._of: dict[int, int] = {}
        """The life of the handle of each resource object, by the object's id."""
        self._numbers: dict[tuple[str, str], int] = {}

    # ---- functions

    def function(self, function: WasiFunction, type_: v.ComponentFuncType, *, raw: bool) -> int:
        """The number of a WASI function in the trace."""
        params, results = type_text(type_)
        if not raw and isinstance(type_.result, v.ResultType):  # the values do not contain the error
            results = () if type_.result.ok is None else (("result", str(type_.result.ok)),)
        interface = function.interface
        return self.recorder.function_number(
            Function(
                function.name,
                function.family,
                interface.name,
                interface.version,
                function.operation,
                params,
                results,
                raw,
            )
        )

    def builtin(self, name: str, operation: Operation, params: Sequence[tuple[str, str]], result: str = "") -> int:
        """The number of a canonical built-in in the trace."""
        results = (("result", result),) if result else ()
        return self.recorder.function_number(
            Function(name, "component", "canon", "", operation, tuple(params), results)
        )

    # ---- resources

    def opened(self, handle: Handle, number: int) -> None:
        """A handle was opened."""
        rep = handle.rep
        self._lives += 1
        handle.life = self._lives
        preopen = getattr(rep, "preopen", None)
        path = getattr(rep, "path", "") or f"<{handle.resource.name}>"
        parent = self._of.get(id(getattr(rep, "descriptor", rep)), 0)
        self._of[id(rep)] = handle.life
        filetype = int(getattr(rep, "filetype", 0) or 0)
        self.recorder.open_resource(handle.life, number, path, preopen, filetype, handle.resource.name, parent)

    def life_of(self, thing: Value) -> int:
        """The life of an object's handle; 0 if the object is not a resource."""
        return self._of.get(id(thing), 0)

    def taken(self, handle: Handle) -> None:
        """A handle was dropped or passed on by the call in progress."""
        if handle.life:
            self._of.pop(id(handle.rep), None)
            self.recorder.on_close(handle)

    def dropped(self, handle: Handle, number: int, start: int) -> None:
        """A handle was dropped: record the end of its life, and a call."""
        resource = handle.resource
        if not resource.is_host:
            return
        self.taken(handle)
        key = ("drop", resource.name)
        drop = self._numbers.get(key)
        if drop is None:
            function = Function(
                f"[resource-drop]{resource.name}", "component", "canon", "", Operation.CLOSE,
                (("self", f"own<{resource.name}>"),), (), True,
            )  # fmt: skip
            drop = self._numbers[key] = self.recorder.function_number(function)
        took = time.perf_counter_ns() - start
        stack = 0 if self.take_stack is None else self.stack()
        self.write(start, took, 0, handle.life, None, None, drop, 0, 0, self.flags, number, 0, 0, 0, stack)

    def copied(self, name: str, number: int, count: int, result: int, start: int) -> None:
        """Record a read or write of a stream or future, from call to answer."""
        key = ("canon", name)
        if key not in self._numbers:
            operation = Operation.READ if name.endswith("read") else Operation.WRITE
            params = (("end", "u32"), ("count", "u32"))
            self._numbers[key] = self.builtin(name, operation, params, "string")
        ended = ("completed", "dropped", "cancelled")[result & 15]
        progress = result >> 4
        said = f"{ended}, {progress}" if name.startswith("stream") else ended
        self.values(self._numbers[key], start, (number, count), said, has_result=True)

    # ---- calls

    def stack(self) -> int:
        """The number of the guest's stack; 0 if none is recorded."""
        recorder = self.recorder
        if self.take_stack is None or recorder.stacks_left <= 0:
            return 0
        recorder.stacks_left -= 1
        return self.take_stack()

    def _refused_stack(self) -> int:
        recorder = self.recorder
        if self.take_stack is None or recorder.stacks_left > 0 or recorder.refused_stacks_left <= 0:
            return self.stack()
        recorder.refused_stacks_left -= 1
        return self.take_stack()

    def values(
        self, number: int, start: int, arguments: Sequence[Value], result: Value, *, has_result: bool,
        error: ResultError | None = None, path: str | None = None, life: int = 0, nbytes: int = 0,
        type_: v.ComponentFuncType | None = None,
    ) -> None:  # fmt: skip
        """Record a call as values: an answer that came later, a built-in, or a call with parameters in memory.

        `result` of a `type_` with a result type is its ok.
        """
        if type_ is not None:
            arguments = [_typed(of, given) for (_, of), given in zip(type_.params, arguments, strict=True)]
            good = type_.result.ok if isinstance(type_.result, v.ResultType) else type_.result
            has_result = has_result and good is not None
            result = _typed(good, result) if has_result and error is None else None
        errno, denied, reason, need = said(error)
        index = self.recorder.intern_reason(reason, need) if reason else 0
        aux = pack_values([_plain(argument) for argument in arguments], self.snaplen)
        data = b"" if error is not None or not has_result else pack_values([_plain(result)], self.snaplen)
        payload = pack_payload(aux, data, (), index)
        stack = self._refused_stack() if denied else self.stack()
        named = None if path is None else path.encode("utf-8", "surrogateescape")[:MAX_PATH]
        self.write(
            start, time.perf_counter_ns() - start, nbytes, life, named, payload, number, errno, denied, self.flags,
            0, 0, 0, 0, stack,
        )  # fmt: skip

    def failed(
        self, number: int, start: int, words: tuple[int, ...], error: ResultError, life: int, path: str | None,
        second: str | None,
    ) -> None:  # fmt: skip
        """Record a raw call that failed."""
        errno, denied, reason, need = said(error)
        self._raw(number, start, words, errno, denied, reason, need, life, path, second)

    def ended(self, number: int, start: int, words: tuple[int, ...], error: BaseException, life: int = 0) -> None:
        """Record a raw call that did not return. A call at which a replay ends was not made."""
        if isinstance(error, EndOfReplay):
            return
        cause = getattr(error, "cause", None)
        denied, reason, need = 0, str(error) if isinstance(error, Exception) else "", None
        if isinstance(cause, WasiError):
            denied, reason, need = int(cause.denied_by), cause.reason or reason, cause.need
        self._raw(number, start, words, DID_NOT_RETURN, denied, reason, need, life, None, None)

    def _raw(
        self, number: int, start: int, words: tuple[int, ...], errno: int, denied: int, reason: str, need: Need | None,
        life: int, path: str | None, second: str | None,
    ) -> None:  # fmt: skip
        took = time.perf_counter_ns() - start
        index = self.recorder.intern_reason(reason, need) if reason else 0
        aux = b"" if second is None else second.encode("utf-8", "surrogateescape")[:MAX_PATH]
        payload = pack_payload(aux, b"", words[4:], index) if index or aux or len(words) > 4 else None
        w0, w1, w2, w3 = (*words[:4], 0, 0, 0, 0)[:4]
        stack = self._refused_stack() if denied else self.stack()
        named = None if path is None else path.encode("utf-8", "surrogateescape")[:MAX_PATH]
        self.write(start, took, 0, life, named, payload, number, errno, denied, self.flags, w0, w1, w2, w3, stack)

    # ---- the lines of a trampoline

    def globals(self) -> dict[str, Value]:
        """The values of the names in `raw_lines`."""
        return {
            **record_globals(self.recorder),
            "PADDING": _PADDING, "SNAPLEN": self.snaplen, "STACK": self.stack,
            "VALUES": lambda value: pack_values([_plain(value)], self.snaplen),
        }  # fmt: skip

    def meta(self, number: int) -> int:
        """The record's columns from `call` to `tid` as one number, for a successful call."""
        return meta(number, 0, self.flags)


def said(error: ResultError | None) -> tuple[int, int, str, Need | None]:
    """(errno, denied_by, reason, need) of a call's answer."""
    if error is None:
        return 0, int(DeniedBy.NONE), "", None
    if error.cause is not None:
        return int(error.cause.errno), int(error.cause.denied_by), error.cause.reason, error.cause.need
    return number_of(error.value), int(DeniedBy.NONE), "", None


def sent_lines(
    emitter: Emitter, layout: RawLayout, arguments: Sequence[str], words: Sequence[str], snaplen: int
) -> None:
    """Lines that keep the bytes and lists that a successful call was given.

    They come before the lines that write its result, which the guest may want in the same place of its memory.
    """
    if layout.listed:
        _listed(emitter, layout, words)
    if sent := _sent(layout, arguments, words):
        data, size = sent
        if _only_sends(layout):
            emitter.put(*find_room())
            _data_payload(emitter, words[4:], data, size, snaplen)
        else:
            emitter.put(f"data = {data}[:SNAPLEN].tobytes()")


def _sent(layout: RawLayout, arguments: Sequence[str], words: Sequence[str]) -> tuple[str, str] | None:
    """The expressions of the bytes that the call sends, and of their number."""
    for argument, param in zip(arguments, layout.params, strict=True):
        if param.given is RawArgument.BYTES:
            return argument, words[param.word + 1]
    return None


def _only_sends(layout: RawLayout) -> bool:
    """Whether the payload of a call that sends bytes has nothing else but words."""
    return not layout.second_string and not layout.listed and layout.gotten not in (RawResult.STRUCT, RawResult.VALUES)


def raw_lines(
    emitter: Emitter, layout: RawLayout, arguments: Sequence[str], words: Sequence[str], result: str, pointer: str,
    offset: int, stacks: bool, snaplen: int,
) -> None:  # fmt: skip
    """Lines that record a successful call, from `t0` to `t1`, after those of `sent_lines`.

    `arguments`: the expressions of the lifted arguments; `words`: of the 32-bit core words; `result`: of the result,
    or of the number of its handle; a result that lies in memory begins at `pointer + offset`.
    """
    put = emitter.put
    sent = _sent(layout, arguments, words)
    stored = sent is not None and _only_sends(layout)
    if not stored:
        put(*find_room())
    path = "0"
    strings = [a for a, p in zip(arguments, layout.params, strict=True) if p.given is RawArgument.STRING]
    if strings:
        put(f"path = {strings[0]}.encode()", f"if len(path) > {MAX_PATH}:", f"    path = path[:{MAX_PATH}]")
        put(*number_path("path"))
        path = "path_id"
    value, aux, data = "0", "", ""
    further = list(words[4:])
    payload = "0"
    if layout.second_string:
        put(f"aux = {strings[1]}.encode()[:{MAX_PATH}]")
        aux = "aux"
    elif layout.listed:
        aux = "aux"
    if sent is not None:
        value, data = sent[1], "data"
    if layout.gotten in (RawResult.NUMBER, RawResult.HANDLE):
        signed = layout.gotten is RawResult.NUMBER and layout.result not in _UNSIGNED
        value = f"{result} & 0xffffffffffffffff" if signed else result
    elif layout.gotten is RawResult.BYTES:
        data = result
        if layout.result == v.STRING:
            put(f"data = {result}.encode()")
            data = "data"
        put(f"size = len({data})")
        value = "size"
        if not aux:
            _data_payload(emitter, further, data, "size", snaplen)
            stored = True
        else:
            put(f"data = {data}[:SNAPLEN]")
            data = "data"
    elif layout.gotten is RawResult.STRUCT:
        assert layout.result is not None
        size = v.layout(layout.result)[0]
        base = f"{pointer} + {offset}" if offset else pointer
        if further or data:
            in_memory = f"M.view[{base}:{base} + {size}].tobytes()"
            put(f"aux = {in_memory if pointer else _in_word(size)}")
            aux = "aux"
        else:
            put(f"payload = {_struct_payload(emitter, size, base)}", *store_payload("payload", shared=True))
            payload = "payload_at"
    elif layout.gotten is RawResult.VALUES:
        assert layout.result is not None
        put(f"data = {values_text(emitter, layout.result, result)}")
        data = "data"
    if stored:
        payload = "payload_at"
    elif further or aux or data:
        payload = "payload_at"
        put(*begin_payload())
        pack = emitter.constant(_head_of(len(further)))
        sizes = f"{f'len({aux})' if aux else '0'}, {f'len({data})' if data else '0'}"
        put(f"arena += {pack}({', '.join(['0', sizes, *further])})")
        put(*(f"arena += {part}" for part in (aux, data) if part))
        if aux or data:
            put("if len(arena) & 3:", "    arena += PADDING[len(arena) & 3]")
    stack = "STACK()" if stacks else "0"
    life = f"{emitter.handles[0]}.life" if emitter.handles else "0"
    first = [*words[:4], "0", "0", "0", "0"][:4]
    columns = [value, life, path, stack, payload]
    start = "t0 - RECORDER.origin_ns"
    put(*write_record(
        start, "t1 - t0", columns, "META", first, payload=payload != "0", path=path != "0", constant=emitter.constant,
    ))  # fmt: skip


def _data_payload(emitter: Emitter, further: Sequence[str], data: str, size: str, snaplen: int) -> None:
    """Lines that write a payload of words and data: the first `snaplen` of the `size` bytes of `data`.

    Usually there are more bytes than are kept and the words are 0, and the payload's head is always the same.
    """
    put, pack = emitter.put, emitter.constant(_head_of(len(further)))
    put(*begin_payload())
    usual = snaplen < 1 << 20
    if usual:
        put(f"if {' or '.join([f'{size} < {snaplen}', *further])}:")
        emitter.depth += 1
    put(f"kept = {data}[:{snaplen}]", f"arena += {pack}({', '.join(['0', '0', 'len(kept)', *further])})")
    put("arena += kept", "if len(arena) & 3:", "    arena += PADDING[len(arena) & 3]")
    if usual:
        emitter.depth -= 1
        head = emitter.constant(_head_of(len(further))(0, 0, snaplen, *(0 for _ in further)))
        put("else:", f"    arena += {head}", f"    arena += {data}[:{snaplen}]")
        if snaplen & 3:
            put(f"    arena += {_PADDING[snaplen & 3]!r}")


@cache
def _head_of(words: int) -> Callable[..., bytes]:
    """pack(reason, bytes of aux, bytes of data, *the words after the fourth) of a payload."""
    return struct.Struct(f"{HEADER.format}{words}I").pack


def _in_word(size: int, length: int | None = None) -> str:
    """The expression of a result of `size` bytes in the first result word, as `length` bytes."""
    return f"(v[0] & {(1 << 8 * min(size, 4)) - 1}).to_bytes({length or size}, 'little')"


def _struct_payload(emitter: Emitter, size: int, base: str) -> str:
    """The expression of a payload that has only the result: `size` bytes at `base`, or a word if it is empty."""
    head, padding = HEADER.pack(0, size, 0), bytes(-size & 3)
    if not base:
        return f"{emitter.constant(head)} + {_in_word(size, size + len(padding))}"
    if size == 1:
        return f"{emitter.constant(_byte_payloads())}[M.view[{base}]]"
    if not size:
        return emitter.constant(head)
    text = "%b%b" + r"\0" * len(padding)
    return f'b"{text}" % ({emitter.constant(head)}, M.view[{base}:{base} + {size}])'


@cache
def _byte_payloads() -> tuple[bytes, ...]:
    """The payload of each result of one byte."""
    return tuple(pack_payload(bytes((byte,))) for byte in range(256))


def values_text(emitter: Emitter, type_: v.ValueType, value: str) -> str:
    """The expression of `pack_values([_plain(value)], snaplen)`; without calling it for a type of known text."""
    if not _is_formatted(type_):
        return f"VALUES({value})"
    text, parts = _text(emitter, type_, value)
    return f"({f'[{text}]'!r} % ({', '.join(parts)},)).encode()"


def _is_formatted(type_: v.ValueType) -> bool:
    """Whether `_text` can write values of the type."""
    if isinstance(type_, v.TupleType):
        return bool(type_.elements) and all(map(_is_formatted, type_.elements))
    return type_ in (v.BOOL, v.ListType(v.U8)) or (isinstance(type_, v.PrimitiveType) and type_.name in INTEGERS)


def _text(emitter: Emitter, type_: v.ValueType, value: str) -> tuple[str, list[str]]:
    """The format (for `%`) of a value in the text of `pack_values`, and the expressions that fill it."""
    if type_ == v.BOOL:
        return "%s", [f"('true' if {value} else 'false')"]
    if isinstance(type_, v.ListType):
        return '{"bytes":"%s","length":%d}', [f"{value}[:SNAPLEN].hex()", f"len({value})"]
    if isinstance(type_, v.TupleType):
        names = [emitter.fresh() for _ in type_.elements]
        emitter.put(f"{', '.join(names)}, = {value}")
        texts = [_text(emitter, part, name) for part, name in zip(type_.elements, names, strict=True)]
        return f"[{','.join(text for text, _ in texts)}]", [part for _, parts in texts for part in parts]
    return "%d", [value]


def _listed(emitter: Emitter, layout: RawLayout, words: Sequence[str]) -> None:
    param: RawParam = next(p for p in layout.params if p.given is RawArgument.LIST)
    pointer, count = words[param.word], words[param.word + 1]
    emitter.put(f"size = min({count} << 2, {_MAX_LIST})", f"aux = M.view[{pointer}:{pointer} + size].tobytes()")


def narrow_words(kinds: Sequence[str]) -> list[str]:
    """The expressions of the 32-bit words of core words `w0`, `w1`, ...: two for a 64-bit one."""
    found = []
    for slot, kind in enumerate(kinds):
        wide = kind in ("i64", "f64")
        found += [f"w{slot} & 0xffffffff", f"w{slot} >> 32"] if wide else [f"w{slot}"]
    return found


def layout_for(type_: v.ComponentFuncType) -> RawLayout | None:
    """The raw layout of a function; None if its calls are recorded as values."""
    return raw_layout(type_.params, type_.result)
