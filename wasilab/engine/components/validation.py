"""Validation of a component by Wasmtime, without compiling its code twice.

Wasmtime validates a component only as part of compiling it, and the core modules in it are compiled once more for the
run: ten seconds of Cranelift for an interpreter. So what Wasmtime is given here is the component with the body of every
core function replaced by `unreachable`, and without data, element and custom sections. Nothing that the component says
of its modules depends on those: their imports and exports, which are all that a component sees, are the same. The real
modules are validated when they are compiled for the run.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

import wasmtime
from wasmtime import component as wasmtime_component

from ...module.binary import Reader, WasmFormatError
from ..compiling.engines import WasmtimeCompileError, sentence
from .concurrency.fibers import EngineObject

_BODY = b"\x03\x00\x00\x0b"
"""A function body of three bytes: no locals, unreachable, end."""
_DROPPED = frozenset({0, 9, 11, 12})
"""Core sections without which a module has the same type: custom, element, data, data count."""
_FEATURES = ("async", "async_stackful", "more_async_builtins", "map", "implements")
_KEPT = 64
_lock = threading.Lock()
_engine: EngineObject = None
_valid: OrderedDict[str, None] = OrderedDict()
"""Hashes of components found valid, the newest last."""


def validate(name: str, data: bytes, sha256: str) -> None:
    """Raise `WasmtimeCompileError` unless Wasmtime takes `data` for a valid component."""
    global _engine
    with _lock:
        if sha256 in _valid:
            _valid.move_to_end(sha256)
            return
        if _engine is None:
            _engine = _new_engine()
    try:
        bare = skeleton(data)
    except WasmFormatError:
        bare = data  # Wasmtime says better what is wrong with it
    try:
        wasmtime_component.Component(_engine, bare)
    except wasmtime.WasmtimeError as error:
        raise WasmtimeCompileError(f"{name} is not a valid component: {sentence(error)}") from None
    with _lock:
        _valid[sha256] = None
        while len(_valid) > _KEPT:
            _valid.popitem(last=False)


def _new_engine() -> EngineObject:
    config = wasmtime.Config()
    config.wasm_component_model = True
    config.cranelift_opt_level = "none"
    for feature in ("wasm_exceptions", "wasm_gc", "wasm_function_references", "wasm_multi_memory", "wasm_tail_call"):
        if hasattr(wasmtime.Config, feature):
            setattr(config, feature, True)
    try:
        from wasmtime import _bindings

        for feature in _FEATURES:
            getattr(_bindings, f"wasmtime_config_wasm_component_model_{feature}_set")(config.ptr(), True)
    except (ImportError, AttributeError):
        pass  # an older wasmtime-py: components of 0.2 need none of them
    return wasmtime.Engine(config)


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
