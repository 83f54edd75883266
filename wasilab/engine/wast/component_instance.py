"""A component of a script, run by our own engine for components."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

import wasmtime

from ...capabilities.clocks import Clocks
from ...capabilities.random import Random
from ...capabilities.streams import BytesInput, Discard
from ...module.module import Module
from ...text.escape import shorten, visible
from ...wasi.components.waits import Value
from ...wasi.host import Host
from ...wasi.types import Trap
from ..compiling import engines
from ..compiling.engine_options import EngineOptions
from ..compiling.wasm_features import Features
from ..components.component_binary import parse
from ..components.component_session import ComponentSession
from ..components.instantiate import core_modules
from ..components.validation import validate
from ..limits import Limits
from .script_values import Item, NotSupported

COMPONENT_TRAPS = (Trap, wasmtime.Trap)
"""What ends the call of a component: a trap of the canonical ABI, or of its WebAssembly."""
VALUE_SHOWN = 200
_NAME = "the component"


def check_component(data: bytes, features: Features, judged: str | None) -> None:
    """Validate a component and compile what is in it. Raises what is wrong with it.

    `judged`: what another validator says is wrong with it, "" for nothing; None: Wasmtime is to say it.
    """
    request = engines.CompileRequest(features)
    _validate(data, request, judged)
    modules = [Module(core, "core") for core in dict.fromkeys(core_modules(parse(data)))]
    engines.release(engines.acquire(modules, request))


def _validate(data: bytes, request: engines.CompileRequest, judged: str | None) -> None:
    if judged is None:
        validate(_NAME, data, hashlib.sha256(data).hexdigest(), request)
    elif judged:
        raise engines.rejected(_NAME, judged, request.features, "a valid component")


class _ScriptSession(ComponentSession):
    """The session of a component that another validator may have judged."""

    judged: str | None = None

    def validate(self, request: engines.CompileRequest) -> None:
        _validate(self.module.bytes, request, self.judged)


class ScriptComponent:
    """A component, compiled and then instantiated: no input, clocks and random numbers, its output is dropped.

    `judged` as in `check_component`.
    """

    def __init__(self, data: bytes, features: Features, judged: str | None) -> None:
        self.host = Host(
            stdin=BytesInput(b""), stdout=Discard(), stderr=Discard(), clocks=Clocks.real(), random=Random.real()
        )
        switches = tuple(f"{name}={'on' if on else 'off'}" for name, on in features)
        limits = Limits(compile_seconds=None, compile_memory=None)  # those of the process
        self.session = _ScriptSession(
            Module(data, _NAME), self.host, None, limits, engine=EngineOptions(features=switches)
        )
        self.session.judged = judged
        self.session.compile()
        self.session.open()

    def interrupt(self) -> None:
        """End what it does, from any thread."""
        self.session.stop_reason = "seconds"
        self.host.interrupt.set()
        self.session.engine.increment_epoch()

    def act(self, action: Item, expected: Sequence[Item] | None) -> str:
        """Call an export; returns how its result differs from the expected one, "" if it does not.

        Raises one of `COMPONENT_TRAPS`, and `NotSupported`.
        """
        if action["type"] != "invoke":
            raise NotSupported(f"a component has nothing to {action['type']}")
        name = action["field"]
        if name not in self.session.functions():
            return f"the component has no function {name!r}"
        found = self.session.call_typed(name, [python_value(one) for one in action["args"]])
        if expected is None:
            return ""
        wanted = [python_value(one) for one in expected]
        if same(wanted[0] if wanted else None, found):
            return ""
        return f"expected {_shown(wanted[0] if wanted else None)}, got {_shown(found)}"


def _shown(value: Value) -> str:
    return shorten(visible(repr(value)), VALUE_SHOWN)


def python_value(item: Item) -> Value:
    """A value of a script as Python passes it to a component."""
    kind = item["type"]
    given: Value = item.get("value")
    if kind in ("f32", "f64"):
        return _number(kind, str(given))
    if kind[0] in "us" and kind[1:].isdigit():
        return int(given)
    if kind == "bool":
        return given in (True, "true")
    if kind in ("list", "tuple"):
        found = [python_value(one) for one in given]
        return found if kind == "list" else tuple(found)
    if kind == "record":
        return tuple(python_value(one[1]) for one in given)
    if kind == "variant":
        return given["case"], python_value(given["payload"]) if given.get("payload") else None
    if kind == "option":
        return None if given is None else python_value(given)
    if kind == "result":
        (case,) = given
        return ("ok" if case.lower() == "ok" else "error"), python_value(given[case]) if given[case] else None
    return given


def _number(kind: str, text: str) -> float:
    """A float, of which a script has the bits."""
    if text.startswith("nan"):
        return float("nan")
    if kind == "f32":
        return float(struct.unpack("<f", struct.pack("<I", int(text)))[0])
    return float(struct.unpack("<d", struct.pack("<Q", int(text)))[0])


def same(expected: Value, found: Value) -> bool:
    """Whether a result is the expected one; a NaN equals any NaN."""
    if isinstance(expected, float):
        return bool(expected == found or (expected != expected and found != found))
    if isinstance(found, bytes):
        found = list(found)
    if hasattr(found, "__dataclass_fields__"):
        found = tuple(getattr(found, name) for name in found.__dataclass_fields__)
    if isinstance(found, frozenset):
        return found == frozenset(expected)
    if isinstance(expected, (list, tuple)):
        return len(expected) == len(found) and all(map(same, expected, found))
    return bool(expected == found)
