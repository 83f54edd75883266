"""The host's answers to a component's imports: WASI 0.2 and 0.3, linked by name and type.

A function that cannot wait becomes one generated function of the raw core words: lift the arguments, call the
semantics, write the result, record the call (`_Trampoline`). One that may wait is a `canon_functions.HostFunction`, as
in the specification. The types of an import are compared with WASI's declaration, so that a semantic function never
gets a value of another type.

Not here: what the functions do (`wasi/components/`).
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from functools import cache, partial

from ...trace.record.raw_values import RawArgument, RawLayout
from ...wasi.components import value_types as v
from ...wasi.components.catalogue import INTERFACES
from ...wasi.components.interfaces import Interface, ResultError, WasiFunction, parts
from ...wasi.components.waits import HostWait, Promise, Source, Value
from ...wasi.components.wit.wit_text import read_function, read_type
from ...wasi.errnos import WasiError
from ...wasi.fdtable import Descriptor
from ...wasi.host import Host
from ...wasi.types import Trap
from ..calls.raw import known_slots
from ..calls.raw import slots as new_slots
from ..stop import LinkError
from .abi.canon_context import CanonContext
from .abi.emitter import Emitter
from .canon_functions import HostFunction
from .concurrency.stream_ends import GuestStream, HostFuture, HostStream
from .recording import CallRecorder, layout_for, narrow_words, raw_lines, sent_lines
from .replayed.call_log import HostCalls

Waits = Callable[[HostWait, Callable[[], None]], Callable[[], None]]


class Declared:
    """An imported function, found in the catalogue and type-checked; `lower` makes a core function from it."""

    def __init__(self, function: WasiFunction, type_: v.ComponentFuncType) -> None:
        self.function = function
        self.type = type_

    @property
    def fallible(self) -> bool:
        """Whether its result can be an error."""
        return isinstance(self.type.result, v.ResultType)


class HostImports:
    """Answers the imports of the outermost component from the catalogue, for one run."""

    def __init__(
        self,
        host: Host,
        waits: Waits,
        failed: Callable[[BaseException], int],
        recorder: CallRecorder | None = None,
        calls: HostCalls | None = None,
    ) -> None:
        self.host = host
        self._calls = calls
        """Records the calls for a replay, or answers them in one; None: the host answers."""
        self._recorder = recorder
        self._waits = waits
        self._failed = failed
        self._resources: dict[tuple[str, str, str], v.ResourceType] = {}
        self._types: dict[tuple[str, str, str], v.ValueType | v.ResourceType] = {}

    def close(self) -> None:
        """The run is over: release all references to it."""
        for type_ in self._types.values():
            if isinstance(type_, v.ResourceType):
                type_.forget()

    # ---- what is asked for

    def resource(self, interface: str, name: str) -> v.ResourceType:
        """The resource type of that name; versions with the same semantics share it."""
        bare, version = parts(interface)
        found = self._named(bare, version, name)
        if not isinstance(found, v.ResourceType):
            raise LinkError(f"the component imports {name} of {interface} as a resource, which it is not there")
        return found

    def _interface(self, name: str, version: str) -> Interface:
        found = INTERFACES.get((name, version))
        if found is None:
            raise LinkError(unknown_interface(f"{name}@{version}" if version else name))
        return found

    def _named(self, bare: str, version: str, name: str) -> v.ValueType | v.ResourceType:
        """Resolve a name in an interface."""
        key = (bare, version, name)
        found = self._types.get(key)
        if found is None:
            interface = self._interface(bare, version)
            text = interface.types.get(name, "")
            if name in interface.resources:
                drop = partial(interface.resources[name], self.host)
                found = v.ResourceType(name, None, lambda rep, caller: drop(rep), is_host=True)
                if self._calls is not None:
                    found.destroy = self._calls.drop(name, drop)
            elif text.startswith("use "):
                where, _, there = text.removeprefix("use ").partition(" as ")
                found = self._named(where, version, there or name)
            elif text:
                found = read_type(text, partial(self._named, bare, version))
            else:
                raise LinkError(f"{bare}@{version} has no type {name}")
            self._types[key] = found
        return found

    def function(self, interface: str, name: str, type_: v.ComponentFuncType) -> Declared | HostFunction:
        """The function of that name, if its type matches. Raises `LinkError`."""
        if not interface:
            raise LinkError(f"the component imports the function {name}, which is in no interface of WASI")
        bare, version = parts(interface)
        function = self._interface(bare, version).functions.get(name)
        if function is None:
            raise LinkError(f"the component imports {interface}#{name}, and WASI {version} has no such function there")
        wanted = read_function(function.type, partial(self._named, bare, version), is_async=function.is_async)
        if wanted != type_:
            raise LinkError(f"the component imports {interface}#{name} as {type_}, and WASI has it as {wanted}")
        declared = Declared(function, type_)
        if function.is_async or v.contains_any(type_, (v.StreamType, v.FutureType)):
            if self._calls is not None:
                raise LinkError(f"{interface}#{name} may wait or has a stream, and its calls cannot be replayed")
            return HostFunction(
                function.name, type_, self._adapted(declared), self._explained(declared), self._waits,
                note=self._noting(declared),
            )  # fmt: skip
        return declared

    # ---- functions that may wait, or deal in streams

    def _explained(self, declared: Declared) -> Callable[[BaseException], Value]:
        return lambda error: self.explain(declared, error, None).value

    def _noting(self, declared: Declared) -> Callable[[int, list[Value], Value, BaseException | None], None] | None:
        """A function that records the calls of a function that may wait."""
        recorder = self._recorder
        if recorder is None:
            return None
        number = recorder.function(declared.function, declared.type, raw=False)
        has_result = declared.type.result is not None

        def note(start: int, arguments: list[Value], result: Value, error: BaseException | None) -> None:
            path = next((item for item in arguments if isinstance(item, str)), None)
            failure = None
            if error is not None:
                try:
                    failure = self.explain(declared, error, arguments[0] if arguments else None)
                except BaseException as ended:  # noqa: BLE001  the call itself raises it
                    recorder.ended(number, start, (), ended)
                    return
            recorder.values(
                number, start, arguments, result, has_result=has_result, error=failure,
                path=path if declared.function.family == "filesystem" else None,
                life=recorder.life_of(arguments[0]) if arguments else 0, type_=declared.type,
            )  # fmt: skip

        return note

    def _adapted(self, declared: Declared) -> Callable[..., Value]:
        """The semantic function, with streams and futures converted in arguments and result."""
        call, host = declared.function.call, self.host
        incoming = [_incoming(type_, self._waits) for _, type_ in declared.type.params]
        outgoing = _outgoing(declared.type.result, self._waits)
        if not any(incoming) and outgoing is None:
            return partial(call, host)

        def adapted(*arguments: Value) -> Value:
            found = call(
                host, *(wrap(given) if wrap else given for wrap, given in zip(incoming, arguments, strict=True))
            )
            return found if outgoing is None else outgoing(found)

        return adapted

    def explain(self, declared: Declared, error: BaseException, first: Value) -> ResultError:
        """Convert an exception to the function's failure. Raises the exception if it ends the guest."""
        if isinstance(error, ResultError):
            return error
        descriptor = first if isinstance(first, Descriptor) else getattr(first, "descriptor", None)
        cause = self.host.explain(error, descriptor if isinstance(descriptor, Descriptor) else None)
        if cause is None:
            raise error
        if declared.function.errors is None:
            raise CannotFail(declared.function, cause)
        return ResultError(declared.function.errors(cause), cause)

    # ---- functions that cannot wait

    def lower(
        self, function: object, context: CanonContext
    ) -> tuple[tuple[str, ...], tuple[str, ...], Callable[..., int]] | None:
        """(params, results, raw callback over the slots' address) of a function that cannot wait."""
        assert isinstance(function, Declared)
        signature = v.signature(function.type, lowered=True, is_async=False)
        recorder = self._recorder
        layout = layout_for(function.type) if recorder is not None and not signature.params_in_memory else None
        explain = partial(self.explain, function)
        call = function.function.call
        if self._calls is not None:
            call = self._calls.function(function.function, function.type, explain)
        names: dict[str, Value] = {
            "F": call,
            "HOST": self.host,
            "EXPLAIN": explain,
            "FAILED": self._failed,
            "I": context.instance,
            "now": time.perf_counter_ns,
            "Exception": Exception,
            "BaseException": BaseException,
            "min": min,
            "SLOTS": known_slots,
            "NEW_SLOTS": new_slots,
        }
        if recorder is not None:
            number = recorder.function(function.function, function.type, raw=layout is not None)
            names |= recorder.globals()
            names |= {
                "META": recorder.meta(number), "NUMBER": number, "NOT_DONE": recorder.failed,
                "ENDED": recorder.ended, "RECORD_VALUES": partial(recorder.values, type_=function.type),
            }  # fmt: skip
        emitter, header = _Trampoline(function, signature, context.encoding, recorder, layout).text()
        return signature.params, signature.results, context.function("call", emitter, header, names)


class CannotFail(Trap):
    """A call failed and its type has no error case: the guest ends, with the reason."""

    def __init__(self, function: WasiFunction, cause: WasiError) -> None:
        super().__init__(f"{function.full_name} cannot say that it failed, so the program ends: {cause}")
        self.cause = cause


def unknown_interface(name: str) -> str:
    """The message for an import that nothing provides."""
    bare, version = parts(name)
    versions = sorted(served for known, served in INTERFACES if known == bare)
    if versions and version:
        return (
            f"the component imports {name}, and of {bare} only {' and '.join(versions)} are provided: build it against "
            "WASI 0.2 or 0.3"
        )
    return f"the component imports {name}, which wasilab does not provide"


def _incoming(type_: v.ValueType, waits: Waits) -> Callable[[Value], Value] | None:
    """How to convert an argument that is a stream or future end to `waits.Incoming`."""
    if isinstance(type_, v.StreamType):
        return lambda shared: GuestStream(shared, waits)
    if isinstance(type_, v.FutureType):
        return lambda shared: GuestStream(shared, waits, future=True)
    if isinstance(type_, v.OptionType):
        inner = _incoming(type_.some, waits)
        return None if inner is None else lambda value: None if value is None else inner(value)
    return None


def _outgoing(type_: v.ValueType | None, waits: Waits) -> Callable[[Value], Value] | None:
    """How to convert `Source` and `Promise` in a result to the shared state of streams and futures."""
    if isinstance(type_, v.StreamType):
        element = type_.element
        return lambda source: HostStream(element, source, waits) if isinstance(source, Source) else source
    if isinstance(type_, v.FutureType):
        element = type_.element
        return lambda promise: HostFuture(element, promise) if isinstance(promise, Promise) else promise
    if isinstance(type_, v.TupleType):
        inner = [_outgoing(part, waits) for part in type_.elements]
        if any(inner):
            return lambda values: tuple(
                wrap(value) if wrap else value for wrap, value in zip(inner, values, strict=True)
            )
    if isinstance(type_, v.ResultType) and type_.ok is not None:
        return _outgoing(type_.ok, waits)
    return None


@cache
def _unpacker(kinds: tuple[str, ...]) -> Callable[[memoryview], tuple[int, ...]]:
    """f(slots) -> the core words of these types. A slot has 16 bytes."""
    return struct.Struct("<" + "".join("Q8x" if kind in ("i64", "f64") else "I12x" for kind in kinds)).unpack_from


class _Trampoline:
    """Generates the raw callback of one function."""

    def __init__(
        self,
        function: Declared,
        signature: v.Signature,
        encoding: str,
        recorder: CallRecorder | None,
        layout: RawLayout | None,
    ) -> None:
        self.function = function
        self.signature = signature
        self.recorder = recorder
        self.layout = layout
        self.emitter = Emitter(encoding)
        self.words: list[str] = []
        self.arguments: list[str] = []
        self.pointer = ""

    def text(self) -> tuple[Emitter, str]:
        """The source of the callback."""
        emitter, type_ = self.emitter, self.function.type
        put = emitter.put
        traced = self.recorder is not None
        if traced:
            put("t0 = now()")
        slots = [(f"w{slot}", kind) for slot, kind in enumerate(self.signature.params)]
        if slots or self.signature.results:
            put("v = SLOTS(v) or NEW_SLOTS(v)")
        if len(slots) == 1 and slots[0][1] in ("i32", "f32"):
            put("w0 = v[0]")
        elif slots:
            words = emitter.constant(_unpacker(self.signature.params))
            put(f"{', '.join(word for word, _ in slots)}, = {words}(v)")
        put("try:")
        emitter.depth += 1
        put("if not I.may_leave:", "    I.check_leave()")
        if self.signature.result_in_memory:
            self.pointer = slots.pop()[0]
            size, alignment = v.layout(type_.result)
            misaligned = f"{self.pointer} & {alignment - 1} or " if alignment > 1 else ""
            put(
                f"if {misaligned}{self.pointer} + {size} > M.size:",
                f"    M.check({self.pointer}, {size}, {alignment})",
            )
        self.words = narrow_words([kind for _, kind in slots])
        self.arguments = emitter.parameters(type_, slots, in_memory=self.signature.params_in_memory)
        if self.function.fallible:
            self._fallible()
        else:
            self._plain()
        put("return 0")
        emitter.depth -= 1
        put("except BaseException as error:")
        if traced:
            put(f"    ENDED(NUMBER, t0, ({self._tuple(self.words)}), error)")
        put("    return FAILED(error)")
        return emitter, "def call(env, c, v, n):"

    @staticmethod
    def _tuple(parts: list[str]) -> str:
        return ", ".join(parts) + ("," if parts else "")

    @property
    def _call(self) -> str:
        return f"F({', '.join(['HOST', *self.arguments])})"

    @property
    def _first(self) -> str:
        return self.arguments[0] if self.arguments else "None"

    def _fallible(self) -> None:
        emitter, result = self.emitter, self.function.type.result
        assert isinstance(result, v.ResultType)
        put = emitter.put
        put("try:", f"    r = {self._call}", "except Exception as error:", f"    e = EXPLAIN(error, {self._first})")
        emitter.depth += 1
        self._put_case(1, result.error, "e.value")
        self._record_failure()
        emitter.depth -= 1
        put("else:")
        emitter.depth += 1
        self._note_end()
        handle = self._put_case(0, result.ok, "r")
        self._record(handle or "r", v.payload_offset(result))
        emitter.depth -= 1

    def _plain(self) -> None:
        emitter, result = self.emitter, self.function.type.result
        put = emitter.put
        put(
            "try:", f"    r = {self._call}", "except Exception as error:", f"    EXPLAIN(error, {self._first})",
            "    raise",
        )  # fmt: skip
        self._note_end()
        shown = "r"
        if result is None:
            pass
        elif self.pointer:
            emitter.store(result, "r", self.pointer, 0)
        else:
            words = emitter.lower(result, "r")
            (kind,) = v.flat(result)
            value = emitter.named(words[0])
            wide = kind in ("i64", "f64")
            put(f"v[0] = {value} & 0xffffffff" + (f"; v[1] = {value} >> 32 & 0xffffffff" if wide else ""))
            shown = value if isinstance(result, v.OwnType) else "r"
        self._record(shown, 0)

    def _put_case(self, index: int, part: v.ValueType | None, value: str) -> str:
        """Emit lines that write one case of a result directly, without building a tuple. Returns the name of the handle
        number if the case is an owned handle."""
        emitter, pointer, result = self.emitter, self.pointer, self.function.type.result
        assert result is not None
        if not pointer:
            emitter.put(f"v[0] = {index}")
            return ""
        emitter.put(f"M.view[{pointer}] = {index}")
        if part is None:
            return ""
        behind = v.payload_offset(result)
        if isinstance(part, v.OwnType):
            (handle,) = emitter.lower(part, value)
            emitter.put(f"M.u32[({pointer} + {behind}) >> 2] = {handle}")
            return handle
        emitter.store(part, value, pointer, behind)
        return ""

    def _note_end(self) -> None:
        """Note when the call ended, and what it was given."""
        if self.recorder is None:
            return
        self.emitter.put("t1 = now()")
        if self.layout is not None:
            sent_lines(self.emitter, self.layout, self.arguments, self.words, self.recorder.snaplen)

    def _record(self, result: str, offset: int) -> None:
        if self.recorder is None:
            return
        stacks = self.recorder.take_stack is not None
        if self.layout is None:
            has = self.function.type.result is not None
            life = f"{self.emitter.handles[0]}.life" if self.emitter.handles else "0"
            self.emitter.put(
                f"RECORD_VALUES(NUMBER, t0, ({self._tuple(self.arguments)}), {result}, has_result={has}, life={life})"
            )
            return
        raw_lines(
            self.emitter, self.layout, self.arguments, self.words, result, self.pointer, offset, stacks,
            self.recorder.snaplen,
        )  # fmt: skip

    def _record_failure(self) -> None:
        if self.recorder is None:
            return
        life = f"{self.emitter.handles[0]}.life" if self.emitter.handles else "0"
        if self.layout is None:
            self.emitter.put(
                f"RECORD_VALUES(NUMBER, t0, ({self._tuple(self.arguments)}), None, has_result=False, error=e, "
                f"life={life})"
            )
            return
        strings = [a for a, p in zip(self.arguments, self.layout.params, strict=True) if p.given is RawArgument.STRING]
        path, second = (*strings, "None", "None")[:2]
        self.emitter.put(f"NOT_DONE(NUMBER, t0, ({self._tuple(self.words)}), e, {life}, {path}, {second})")
