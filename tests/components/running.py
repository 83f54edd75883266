"""Run a component in a test: text or bytes, its exports called with Python values, its imports answered by WASI."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import Any

import wasmtime

from wasilab.capabilities.clocks import Clocks
from wasilab.capabilities.protocols import BaseFile, Buffers, FileType
from wasilab.capabilities.random import Random
from wasilab.capabilities.streams import BytesInput
from wasilab.engine.compiling import engines
from wasilab.engine.compiling.engine_options import EngineOptions
from wasilab.engine.compiling.wasm_features import features
from wasilab.engine.components.component_binary import parse
from wasilab.engine.components.component_session import ComponentSession
from wasilab.engine.components.instantiate import core_modules
from wasilab.engine.components.validation import validate
from wasilab.engine.limits import Limits
from wasilab.module.module import Module
from wasilab.trace.record.recorder import Recorder
from wasilab.wasi.host import Host


class Collected(BaseFile):
    """An output that a test looks at."""

    filetype = FileType.CHARACTER_DEVICE

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, buffers: Buffers) -> int:
        for buffer in buffers:
            self.data += buffer
        return sum(map(len, buffers))


class Running:
    """An instantiated component. `call(name, *values)` raises what ends the guest."""

    def __init__(self, source: str | bytes, *, recorder: Recorder | None = None, limits: Limits | None = None,
                 **host: Any) -> None:  # fmt: skip
        data = bytes(wasmtime.wat2wasm(source)) if isinstance(source, str) else source
        self.stdout, self.stderr = Collected(), Collected()
        own = {"stdout": self.stdout, "stderr": self.stderr, "stdin": BytesInput(b"")}
        self.host = Host(**{**own, "clocks": Clocks.real(), "random": Random.real(), **host})
        everything = EngineOptions(features=("gc", "exceptions"))
        self.session = ComponentSession(
            Module(data, "test"), self.host, recorder, limits or Limits(), engine=everything
        )
        self.session.compile()
        self.session.open()

    def call(self, name: str, *arguments: Any) -> Any:
        """Call an export with Python values."""
        return self.session.call(self.session.find(name), arguments)

    def raw(self, name: str, arguments: Sequence[Any]) -> Any:
        """Call an export with arguments for its types, and give the result by its type."""
        full = self.session.find(name)
        return self.session.functions()[full].type.result, self.session.call_typed(full, arguments)

    def close(self) -> None:
        """Let go of it."""
        self.session.release()
        self.host.close()


def compiled(data: bytes) -> None:
    """Validate a component and compile what is in it. Raises what is wrong with it."""
    request = engines.CompileRequest(features((), foreign=False))
    validate("test", data, hashlib.sha256(data).hexdigest(), request)
    modules = [Module(core, "core") for core in dict.fromkeys(core_modules(parse(data)))]
    engines.release(engines.acquire(modules, request))


def number(kind: str, text: str) -> float:
    """A float of a .wast file, which gives its bits."""
    if text.startswith("nan"):
        return float("nan")
    if kind == "f32":
        return float(struct.unpack("<f", struct.pack("<I", int(text)))[0])
    return float(struct.unpack("<d", struct.pack("<Q", int(text)))[0])
