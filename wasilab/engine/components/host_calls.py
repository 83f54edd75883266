"""The imports of a component answered by the host: WASI 0.2 and 0.3, linked by name and type.

A function that cannot wait becomes one generated function of the raw core words: lift the arguments, call the
semantics, write the result, record the call (`_Trampoline`). One that may wait is called in the form of the
specification (`canon_functions.HostFunction`). A component must mean by a function what WASI means by it: its types
are compared with those of the declaration, so that no semantic function ever gets a value of another type.

Not here: what the functions do (`wasi/components/`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from ...wasi.components.catalogue import INTERFACES
from ...wasi.components.interfaces import Interface, ResultError, WasiFunction, parts
from ...wasi.components.waits import HostWait, Promise, Source, Value
from ...wasi.errnos import WasiError
from ...wasi.fdtable import Descriptor
from ...wasi.host import Host
from ...wasi.types import Trap
from ..stop import LinkError
from .abi import value_types as v
from .abi.canon_context import CanonContext
from .abi.emitter import Emitter
from .canon_functions import HostFunction
from .concurrency.stream_ends import GuestStream, HostFuture, HostStream
from .wit_text import read_function, read_type

Waits = Callable[[HostWait, Callable[[], None]], Callable[[], None]]


class Notes(Protocol):
    """Where calls are recorded; None where the run is not traced."""

    def number(self, function: WasiFunction, type_: v.ComponentFuncType) -> int:
        """The number of a function in the trace."""


class Declared:
    """An imported function, found in the catalogue and compared: what `lower` makes a core function of."""

    def __init__(self, function: WasiFunction, type_: v.ComponentFuncType) -> None:
        self.function = function
        self.type = type_

    @property
    def fallible(self) -> bool:
        """Whether its result can be an error."""
        return isinstance(self.type.result, v.ResultType)


class HostImports:
    """Answers the imports of the outermost component by the catalogue, for one run."""

    def __init__(self, host: Host, waits: Waits, failed: Callable[[BaseException], int]) -> None:
        self.host = host
        self._waits = waits
        self._failed = failed
        self._resources: dict[tuple[str, str, str], v.ResourceType] = {}
        self._types: dict[tuple[str, str, str], v.ValueType | v.ResourceType] = {}

    # ---- what is asked for

    def resource(self, interface: str, name: str) -> v.ResourceType:
        """The resource type of that name; the same one for every version that is served alike."""
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
        """What a name means in an interface."""
        key = (bare, version, name)
        found = self._types.get(key)
        if found is None:
            interface = self._interface(bare, version)
            text = interface.types.get(name, "")
            if name in interface.resources:
                drop = partial(interface.resources[name], self.host)
                found = v.ResourceType(name, None, lambda rep, caller: drop(rep), is_host=True)
            elif text.startswith("use "):
                found = self._named(text.removeprefix("use "), version, name)
            elif text:
                found = read_type(text, partial(self._named, bare, version))
            else:
                raise LinkError(f"{bare}@{version} has no type {name}")
            self._types[key] = found
        return found

    def function(self, interface: str, name: str, type_: v.ComponentFuncType) -> Declared | HostFunction:
        """The function of that name, if the component means the same by it. Raises `LinkError`."""
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
            return HostFunction(function.name, type_, self._adapted(declared), self._explained(declared), self._waits)
        return declared

    # ---- functions that may wait, or deal in streams

    def _explained(self, declared: Declared) -> Callable[[BaseException], Value]:
        return lambda error: self.explain(declared, error, None).value

    def _adapted(self, declared: Declared) -> Callable[..., Value]:
        """The semantics with streams and futures put into the engine's form, coming and going."""
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
        """The failure that an exception is, worded for the function. Raises what ends the guest."""
        if isinstance(error, ResultError):
            return error
        descriptor = first if isinstance(first, Descriptor) else getattr(first, "descriptor", None)
        cause = self.host.explain(error, descriptor if isinstance(descriptor, Descriptor) else None)
        if cause is None:
            raise error
        if declared.function.errors is None:
            raise Refusal(declared.function, cause)
        return ResultError(declared.function.errors(cause), cause)

    # ---- functions that cannot wait

    def lower(
        self, function: Declared, context: CanonContext
    ) -> tuple[tuple[str, ...], tuple[str, ...], Callable[..., int]] | None:
        """(params, results, raw callback) of a function that cannot wait."""
        signature = v.signature(function.type, lowered=True, is_async=False)
        emitter, header = _trampoline(function, signature, context.encoding)
        names = {
            "F": function.function.call,
            "HOST": self.host,
            "EXPLAIN": partial(self.explain, function),
            "FAILED": self._failed,
            "I": context.instance,
            "now": time.perf_counter_ns,
        }
        context.globals.update({name: value for name, value in names.items() if name in ("I", "now", "FAILED", "HOST")})
        callback = context.function(
            "call", emitter, header, {"F": names["F"], "EXPLAIN": names["EXPLAIN"], "Exception": Exception}
        )
        return signature.params, signature.results, callback


class Refusal(Trap):
    """A call that failed where its type has no place for an error: the guest ends, with the reason."""

    def __init__(self, function: WasiFunction, cause: WasiError) -> None:
        super().__init__(f"{function.full_name} cannot say that it failed, so the program ends: {cause}")
        self.cause = cause


def unknown_interface(name: str) -> str:
    """The sentence about an import that nothing provides."""
    bare, version = parts(name)
    versions = sorted(served for known, served in INTERFACES if known == bare)
    if versions and version:
        return (
            f"the component imports {name}, and of {bare} only {' and '.join(versions)} are provided: build it against "
            "WASI 0.2 or 0.3"
        )
    return f"the component imports {name}, which wasilab does not provide"


def _incoming(type_: v.ValueType, waits: Waits) -> Callable[[Value], Value] | None:
    """How an argument that is the end of a stream or future gets the form of `waits.Incoming`."""
    if isinstance(type_, v.StreamType):
        return lambda shared: GuestStream(shared, waits)
    if isinstance(type_, v.FutureType):
        return lambda shared: GuestStream(shared, waits, future=True)
    if isinstance(type_, v.OptionType):
        inner = _incoming(type_.some, waits)
        return None if inner is None else lambda value: None if value is None else inner(value)
    return None


def _outgoing(type_: v.ValueType | None, waits: Waits) -> Callable[[Value], Value] | None:
    """How `Source` and `Promise` in a result become what the ends of streams and futures refer to."""
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


def _trampoline(function: Declared, signature: v.Signature, encoding: str) -> tuple[Emitter, str]:
    """The text of the raw callback."""
    type_ = function.type
    emitter = Emitter(encoding)
    put = emitter.put
    words: list[tuple[str, str]] = []
    for slot, kind in enumerate(signature.params):
        if kind in ("i64", "f64"):
            put(f"w{slot} = v[{4 * slot}] | v[{4 * slot + 1}] << 32")
        else:
            put(f"w{slot} = v[{4 * slot}]")
        words.append((f"w{slot}", kind))
    put("try:")
    emitter.depth += 1
    put("if not I.may_leave:", "    I.check_leave()")
    pointer = ""
    if signature.result_in_memory:
        pointer = words.pop()[0]
        size, alignment = v.layout(type_.result)
        misaligned = f"{pointer} & {alignment - 1} or " if alignment > 1 else ""
        put(f"if {misaligned}{pointer} + {size} > M.size:", f"    M.check({pointer}, {size}, {alignment})")
    arguments = emitter.parameters(type_, words, in_memory=signature.params_in_memory)
    first = arguments[0] if arguments else "None"
    call = f"F({', '.join(['HOST', *arguments])})"
    if function.fallible:
        put("try:", f"    r = {call}", "except Exception as error:", f"    e = EXPLAIN(error, {first})")
        emitter.depth += 1
        _put_result(emitter, type_.result, "error", "e.value", pointer)
        emitter.depth -= 1
        put("else:")
        emitter.depth += 1
        _put_result(emitter, type_.result, "ok", "r", pointer)
        emitter.depth -= 1
    elif type_.result is None:
        _plain_call(emitter, call, first)
    else:
        _plain_call(emitter, f"r = {call}", first)
        if pointer:
            emitter.store(type_.result, "r", pointer, 0)
        else:
            _put_words(emitter, type_.result, emitter.lower(type_.result, "r"))
    put("return 0")
    emitter.depth -= 1
    put("except BaseException as error:", "    return FAILED(error)")
    return emitter, "def call(env, c, v, n):"


def _plain_call(emitter: Emitter, call: str, first: str) -> None:
    emitter.put("try:", f"    {call}", "except Exception as error:", f"    EXPLAIN(error, {first})", "    raise")


def _put_result(emitter: Emitter, type_: v.ValueType | None, case: str, value: str, pointer: str) -> None:
    """Lines that write one case of a result: straight, without making a tuple of it first."""
    assert isinstance(type_, v.ResultType)
    index, part = (0, type_.ok) if case == "ok" else (1, type_.error)
    if not pointer:
        emitter.put(f"v[0] = {index}")
        return
    emitter.put(f"M.view[{pointer}] = {index}")
    if part is not None:
        emitter.store(part, value, pointer, v.payload_offset(type_))


def _put_words(emitter: Emitter, type_: v.ValueType, words: list[str]) -> None:
    (kind,) = v.flat(type_)
    if kind in ("i64", "f64"):
        value = emitter.named(words[0])
        emitter.put(f"v[0] = {value} & 0xffffffff; v[1] = {value} >> 32 & 0xffffffff")
    else:
        emitter.put(f"v[0] = {words[0]}")
