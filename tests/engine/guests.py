"""What the engine's tests share: short WAT guests, and one way to run them under a host."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wasilab.capabilities.clocks import Clocks
from wasilab.capabilities.random import Random
from wasilab.capabilities.streams import CallbackOutput
from wasilab.engine.compiling.engine_options import EngineOptions
from wasilab.engine.limits import Limits
from wasilab.engine.outcome import Outcome
from wasilab.engine.worker import Pump, execute
from wasilab.module.module import Module, load
from wasilab.trace.record.recorder import Recorder
from wasilab.trace.trace import Trace
from wasilab.wasi.host import Host
from wasilab.wasi.preview1.spec import MODULES


def imports(*names: str, module: str = "wasi_snapshot_preview1") -> str:
    """The import lines of WASI calls, each as $name with the table's signature."""
    lines = []
    for name in names:
        call = MODULES[module][name]
        result = "(result i32)" if call.returns else ""
        lines.append(f'(import "{module}" "{name}" (func ${name} (param {" ".join(call.signature)}) {result}))')
    return "\n".join(lines)


def wat(names: str, body: str, *, extra: str = "", memory: str = "1", module: str = "wasi_snapshot_preview1") -> Module:
    """A command whose `_start` is `body`; `names` are the WASI calls it imports, `extra` further fields."""
    text = f"""(module {imports(*names.split(), module=module)}
      (memory (export "memory") {memory}) {extra}
      (func $start (export "_start") (local $i i32) (local $j i64) {body}))"""
    return load(text.encode())


@dataclass
class Ran:
    """A finished run."""

    outcome: Outcome
    stdout: bytes
    stderr: bytes
    trace: Trace
    recorder: Recorder
    host: Host
    calls: list[Any] = field(default_factory=list)


def run(
    module: Module,
    *,
    limits: Limits | None = None,
    raw: bool = True,
    stacks: bool = False,
    preload: Mapping[str, Module] | None = None,
    overrides: Mapping[str, Callable[..., Any]] | None = None,
    invoke: str | None = None,
    invoke_args: tuple[Any, ...] = (),
    snaplen: int | None = 64,
    pump: Pump | None = None,
    switches: Sequence[str] = (),
    **host: Any,
) -> Ran:
    """Run a module with stdout, stderr, real clocks and randomness, and whatever else the host is given."""
    out, err = bytearray(), bytearray()
    given: dict[str, Any] = {
        "args": [b"prog"],
        "stdout": CallbackOutput(out.extend),
        "stderr": CallbackOutput(err.extend),
        "clocks": Clocks.real(),
        "random": Random.real(),
    }
    made = Host(**{**given, **host})
    recorder = Recorder(stacks=stacks, snaplen=snaplen)
    outcome = execute(
        module, made, recorder, limits, raw=raw, preload=preload, overrides=overrides, invoke=invoke,
        invoke_args=invoke_args, pump=pump, engine=EngineOptions(features=tuple(switches)),
    )  # fmt: skip
    trace = Trace.from_recorder(recorder)
    made.close()
    return Ran(outcome, bytes(out), bytes(err), trace, recorder, made, list(trace))
