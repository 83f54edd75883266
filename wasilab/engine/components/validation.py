"""Validates a component with Wasmtime, without compiling its code twice.

Wasmtime validates a component only as part of compiling it, and its core modules are compiled again for the run: ten
seconds of Cranelift for an interpreter. So Wasmtime gets a skeleton: every core function body is replaced by
`unreachable`, and data, element and custom sections are removed. The component's validity does not depend on these: it
sees only its modules' imports and exports, which are unchanged. The real modules are validated when they are compiled
for the run.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

import wasmtime
from wasmtime import component as wasmtime_component

from ...module.binary import Reader, WasmFormatError
from .. import compiling
from ..compiling import costs
from ..compiling.engines import CompileRequest, Settings, configure, rejected, settings
from .component_binary import Builtin, ComponentBody, Definition, TypeDefinition

_BODY = b"\x03\x00\x00\x0b"
"""A function body of three bytes: no locals, unreachable, end."""
_DROPPED = frozenset({0, 9, 11, 12})
"""Core sections that do not affect a module's type: custom, element, data, data count."""
_FEATURES = ("async", "async_stackful", "more_async_builtins", "map", "implements")
VALIDATOR_FEATURES = tuple(f"cm-{name.replace('_', '-')}" for name in _FEATURES)
"""The same, as wasm-tools names them."""
MISSING_FEATURES = ("cm-threading", "cm-fixed-length-lists")
"""Features of components that the engine has and Wasmtime's C API cannot switch on, so that Wasmtime refuses them."""
_KEPT = 64
_SMALL = 1 << 14
"""Largest component skeleton, in bytes, that is validated in this process: its cost is bounded by its size."""
_lock = threading.Lock()
_engine: tuple[Settings, wasmtime.Engine] | None = None
"""The validating engine, and its settings."""
_valid: OrderedDict[str, None] = OrderedDict()
"""Hashes of valid components, newest last."""


def validate(name: str, data: bytes, sha256: str, request: CompileRequest) -> None:
    """Raise `WasmtimeCompileError` unless Wasmtime accepts `data` as a valid component.

    Also raises `CompileLimitReached` and `Interrupted`, as compiling does.
    """
    key = f"{sha256} {request.features}"
    with _lock:
        if key in _valid:
            _valid.move_to_end(key)
            return
    try:
        bare = skeleton(data)
    except WasmFormatError:
        bare = data  # Wasmtime's error is better
    chosen = _settings(request)
    unbounded = request.seconds is None and request.memory is None
    try:
        if unbounded or len(bare) <= _SMALL or not compiling.bounded.available():
            _validated_here(bare, chosen)
        elif costs.known_cost(identity := costs.identity(sha256, chosen)) is None:
            bounds = compiling.bounded.CompileBounds(request.seconds, request.memory)
            _, cost = compiling.bounded.compiled(name, bare, chosen, bounds, request.cancelled, "component")
            costs.remember(identity, cost)
    except (wasmtime.WasmtimeError, compiling.bounded.InvalidModule) as error:
        raise rejected(name, str(error), request.features, "a valid component") from None
    with _lock:
        _valid[key] = None
        while len(_valid) > _KEPT:
            _valid.popitem(last=False)


def _settings(request: CompileRequest) -> Settings:
    names = [f"component_model_{feature}" for feature in _FEATURES]
    found = [("wasm_component_model", 1), ("cranelift_opt_level", 0), *((f"wasm_{name}", 1) for name in names)]
    return (*found, *settings(request.features, fuel=False))


def _validated_here(bare: bytes, chosen: Settings) -> None:
    global _engine
    with _lock:
        if _engine is None or _engine[0] != chosen:
            _engine = chosen, _new_engine(chosen)
        engine = _engine[1]
    wasmtime_component.Component(engine, bare)


def _new_engine(chosen: Settings) -> wasmtime.Engine:
    config = wasmtime.Config()
    configure(config, chosen)
    return wasmtime.Engine(config)


def uses_missing_features(component: ComponentBody) -> bool:
    """Whether a component uses one of `MISSING_FEATURES`."""
    waiting: list[Definition] = [component]
    while waiting:
        definition = waiting.pop()
        if isinstance(definition, ComponentBody):
            waiting += definition.definitions
        elif isinstance(definition, Builtin):
            if definition.name.startswith("thread.") and definition.name != "thread.yield":
                return True
        elif isinstance(definition, TypeDefinition):
            if definition.kind in ("component", "instance"):
                waiting += definition.body
            elif definition.kind == "list" and definition.body[1] is not None:
                return True
    return False


def skeleton(data: bytes) -> bytes:
    """A component with the same types and empty functions. Raises `WasmFormatError`."""
    reader = Reader(data)
    head = data[:8]
    reader.position = 8
    return head + b"".join(_component_sections(reader, 0))


def _component_sections(reader: Reader, depth: int) -> list[bytes]:
    if depth > 100:
        raise WasmFormatError("components are nested more than 100 deep")
    found = []
    while not reader.at_end:
        number = reader.byte()
        body = reader.sub(reader.u32())
        content = body.data[body.position : body.end]
        if number == 1 and content[:8] == b"\0asm\1\0\0\0":
            body.position += 8
            content = content[:8] + b"".join(_module_sections(body))
        elif number == 4:
            body.position += 8
            content = content[:8] + b"".join(_component_sections(body, depth + 1))
        found.append(bytes([number]) + _leb(len(content)) + content)
    return found


def _module_sections(reader: Reader) -> list[bytes]:
    found = []
    functions = 0
    while not reader.at_end:
        number = reader.byte()
        body = reader.sub(reader.u32())
        if number in _DROPPED:
            continue
        content = body.data[body.position : body.end]
        if number == 3:
            functions = body.u32()
        elif number == 10:
            content = _leb(functions) + _BODY * functions
        found.append(bytes([number]) + _leb(len(content)) + content)
    return found


def _leb(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
