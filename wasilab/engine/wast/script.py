"""One script (`.wast`), as wasm-tools' `json-from-wast` writes it, carried out command by command.

Source: the reference interpreter's README in WebAssembly/spec, "Scripts", and the threads proposal's for `thread` and
`wait`. A script is untrusted: `script_process.py` runs this in a process of its own.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

import wasmtime

from ...capabilities.waiting import Interrupted
from ...module.module import ModuleError
from ..compiling.engines import WasmtimeCompileError, sentence
from ..compiling.wasm_features import Features
from ..postmortem.trap_words import trap_code
from ..session import LimitReached
from ..stop import LinkError
from ..threads import TimeLimit, spawn
from .component_instance import COMPONENT_TRAPS, ScriptComponent, check_component
from .core_store import CoreStore, GuestThrew, ScriptModule, SharedInstance, new_engine
from .script_values import Item, NotSupported, items_text

ScriptInstance = ScriptModule | SharedInstance | ScriptComponent
REJECTIONS = (wasmtime.WasmtimeError, WasmtimeCompileError, LinkError, ModuleError)
"""What an invalid, malformed or unlinkable module raises; a `wasmtime.Trap` is not one of them."""
_COMPONENT = b"\1\0"
"""Bytes 6 and 7 of a component: its layer. Source: component-model, Binary.md."""
NOT_JUDGED: Mapping[str, str] = MappingProxyType({})
"""No component of a script was judged by another validator."""
_LAST_LINE = (1 << 32) - 1
_MOST_THREADS = 100
_PATIENCE = 1.0
"""Seconds to wait for a thread that was told to end."""


@dataclass(frozen=True, slots=True)
class ScriptVerdict:
    """How one command of a script went."""

    line: int
    command: str
    """Its name: "assert_return", "module", ..."""
    outcome: Literal["passed", "failed", "skipped"]
    """"skipped": it needs what Wasmtime's C API does not offer."""
    words: str = ""
    """Why it failed or was skipped; of one that passed, the error's text if the script expects another one."""


class Script:
    """A script being run. `report` gets a verdict for each command, `begin` the line of each before it is carried out;
    both may be called from threads of the script.

    A command that takes longer than `seconds` is ended and fails, unless it waits where nothing can end it. `judged`:
    what another validator says is wrong with a component, "" for nothing, by the SHA-256 of its bytes; Wasmtime judges
    the others.
    """

    def __init__(
        self,
        folder: Path,
        features: Features,
        seconds: float,
        report: Callable[[ScriptVerdict], None],
        begin: Callable[[int], None] = lambda line: None,
        engine: wasmtime.Engine | None = None,
        judged: Mapping[str, str] = NOT_JUDGED,
    ) -> None:
        self.folder = folder
        self.features = features
        self.seconds = seconds
        self.engine = new_engine(features) if engine is None else engine
        self.judged = judged
        self._report = report
        self._begin = begin
        self._core: CoreStore | None = None
        self._definitions: dict[str | None, bytes] = {}
        self._instances: dict[str | None, ScriptInstance] = {}
        self.stuck = False
        """Whether a thread of the script continues after it."""
        self._abandoned = False
        self._threads: dict[str, _Thread] = {}
        self._component: ScriptComponent | None = None
        self._limit = TimeLimit(seconds)
        self._expired = False

    def run(self, commands: Sequence[Item]) -> None:
        """Carry out the commands, and end the threads that were not waited for."""
        try:
            for command in commands:
                if self._abandoned:
                    return
                self._carry_out(command)
        finally:
            self._limit.close()
            self._end_threads()

    def _end_threads(self) -> None:
        for thread in self._threads.values():
            thread.script._abandoned = True
        for thread in self._threads.values():
            if not thread.over.is_set():
                self.engine.increment_epoch()
            self.stuck = not thread.over.wait(_PATIENCE) or thread.script.stuck or self.stuck

    def _carry_out(self, command: Item) -> None:
        try:
            line, name, text = int(command["line"]), str(command["type"]), str(command.get("text", ""))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self._report(ScriptVerdict(0, "script", "failed", _not_understood(error)))
            return
        self._begin(max(0, min(line, _LAST_LINE)))
        self._expired = False
        self._limit.arm(self._expire)
        outcome: Literal["passed", "failed", "skipped"] = "failed"
        try:
            if self._core is not None:
                self._core.arm()
            words = self._perform(command)
            outcome = "failed" if words else "passed"
        except NotSupported as error:
            outcome, words = "skipped", str(error)
        except _Rejected as error:
            outcome = "passed"
            words = "" if text.lower() in str(error).lower() else f"expected {text!r}, got {one_line(error)!r}"
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            words = _not_understood(error)
        except RecursionError:
            words = "it is nested too deeply"
        except MemoryError:
            words = "it takes more memory than a script may have"
        except Interrupted:
            words = self._too_long()
        except Exception as error:  # noqa: BLE001  any failure of a command is one line of the report
            words = self._too_long() if trap_code(error) == "INTERRUPT" else one_line(error)
        self._limit.disarm()
        self._report(ScriptVerdict(line, name, outcome, words))

    def _expire(self) -> None:
        self._expired = True
        self.engine.increment_epoch()
        component = self._component
        if component is not None:
            component.interrupt()

    def _too_long(self) -> str:
        return f"it did not end within {self.seconds:g} s" if self._expired else "another thread's time was over"

    # ---- the commands

    def _perform(self, command: Item) -> str:
        """Carry out a command; returns why it fails, "" if it does not. Raises `_Rejected` for an expected error."""
        perform = _COMMANDS.get(str(command["type"]))
        if command["type"] in ("assert_invalid_custom", "assert_malformed_custom"):
            raise NotSupported("Wasmtime does not read custom sections")
        if perform is None:
            raise NotSupported(f"the command {command['type']} is not known here")
        return perform(self, command)

    def _module(self, command: Item) -> str:
        data = self._bytes(command)
        self._instances.pop(None, None)
        instance = self._instantiate(data)
        self._instances[None] = instance
        if command.get("name") is not None:
            self._instances[command["name"]] = instance
        return ""

    def _module_definition(self, command: Item) -> str:
        data = self._bytes(command)
        self._check(data)
        self._definitions[command.get("name")] = self._definitions[None] = data
        return ""

    def _module_instance(self, command: Item) -> str:
        name = command.get("module")
        if name not in self._definitions:
            return "there is no module to instantiate" if name is None else f"there is no module {name!r}"
        instance = self._instantiate(self._definitions[name])
        self._instances[None] = instance
        if command.get("instance") is not None:
            self._instances[command["instance"]] = instance
        return ""

    def _register(self, command: Item) -> str:
        instance = self._instance(command.get("name"))
        if isinstance(instance, ScriptComponent):
            raise NotSupported("a component cannot be registered")
        instance.define_in(self._store(), command["as"])
        return ""

    def _action(self, command: Item) -> str:
        return self._act(command["action"], None)

    def _assert_return(self, command: Item) -> str:
        return self._act(command["action"], command["expected"])

    def _assert_trap(self, command: Item) -> str:
        if "action" not in command:
            return self._assert_uninstantiable(command)
        try:
            problem = self._act(command["action"], None)
        except COMPONENT_TRAPS as error:
            if trap_code(error) == "INTERRUPT":
                raise
            raise _Rejected(error) from None
        return problem or "expected a trap, and it returned"

    def _assert_exhaustion(self, command: Item) -> str:
        try:
            problem = self._act(command["action"], None)
        except wasmtime.Trap as error:
            if trap_code(error) != "STACK_OVERFLOW":
                raise
            raise _Rejected(error) from None
        return problem or "expected an exhausted stack, and it returned"

    def _assert_exception(self, command: Item) -> str:
        try:
            problem = self._act(command["action"], None)
        except GuestThrew:
            return ""
        return problem or "expected an exception, and it returned"

    def _assert_invalid(self, command: Item) -> str:
        try:
            self._check(self._bytes(command))
        except REJECTIONS as error:
            raise _Rejected(error) from None
        return f"expected an error ({command['text']}), and it is taken for valid"

    def _assert_unlinkable(self, command: Item) -> str:
        data = self._bytes(command)
        self._check(data)
        try:
            self._instantiate(data)
        except wasmtime.Trap:
            raise
        except (*REJECTIONS, LimitReached) as error:
            raise _Rejected(error) from None
        return f"expected an error ({command['text']}), and it was linked"

    def _assert_uninstantiable(self, command: Item) -> str:
        data = self._bytes(command)
        try:
            self._instantiate(data)
        except COMPONENT_TRAPS as error:
            if trap_code(error) == "INTERRUPT":
                raise
            raise _Rejected(error) from None
        return f"expected a trap ({command['text']}), and it was instantiated"

    def _thread(self, command: Item) -> str:
        if len(self._threads) >= _MOST_THREADS:
            return f"a script has at most {_MOST_THREADS} threads"
        inner = Script(self.folder, self.features, self.seconds, self._report, self._begin, self.engine, self.judged)
        shared = command.get("shared_module")
        if shared is not None:
            instance = self._instance(shared)
            if isinstance(instance, ScriptComponent):
                raise NotSupported("threads cannot share a component")
            inner._instances[shared] = SharedInstance(instance.shared_memories())
        over = threading.Event()
        self._threads[command["name"]] = _Thread(inner, over)

        def work() -> None:
            try:
                inner.run(command["commands"])
            except Exception as error:  # noqa: BLE001  a failure is one line of the report
                self._report(ScriptVerdict(command["line"], "thread", "failed", one_line(error)))
            finally:
                over.set()

        spawn(work, "wasilab script thread")
        return ""

    def _wait(self, command: Item) -> str:
        name = command["thread"]
        if name not in self._threads:
            return f"there is no thread {name!r}"
        over = self._threads[name].over
        return "" if over.wait(self.seconds) else f"the thread did not end within {self.seconds:g} s"

    # ---- what they share

    def _store(self) -> CoreStore:
        if self._core is None:
            self._core = CoreStore(self.engine, self.features)
        return self._core

    def _bytes(self, command: Item) -> bytes:
        """A module of the script in binary. Raises `wasmtime.WasmtimeError` for text that is none."""
        data = self.folder.joinpath(Path(command["filename"]).name).read_bytes()
        return bytes(wasmtime.wat2wasm(data)) if command.get("module_type") == "text" else data

    def _check(self, data: bytes) -> None:
        if data[6:8] == _COMPONENT:
            check_component(data, self.features, self._judgement(data))
        else:
            self._store().compiled(data)

    def _instantiate(self, data: bytes) -> ScriptInstance:
        if data[6:8] != _COMPONENT:
            store = self._store()
            return store.instantiate(store.compiled(data))
        self._component = None
        self._component = ScriptComponent(data, self.features, self._judgement(data))
        return self._component

    def _judgement(self, data: bytes) -> str | None:
        return self.judged.get(hashlib.sha256(data).hexdigest()) if self.judged else None

    def _instance(self, name: str | None) -> ScriptInstance:
        if name not in self._instances:
            raise _NoInstance("there is no instance" if name is None else f"there is no instance {name!r}")
        return self._instances[name]

    def _act(self, action: Item, expected: Sequence[Item] | None) -> str:
        instance = self._instance(action.get("module"))
        self._component = instance if isinstance(instance, ScriptComponent) else None
        problem = instance.act(action, expected)
        if not problem or expected is None:
            return problem
        words = items_text(action["args"]) if action.get("args") else ""
        return f"{action['field']}({words}): {problem}"


class _Thread(NamedTuple):
    """A thread of a script."""

    script: Script
    over: threading.Event


class _Rejected(Exception):
    """The error or trap that an assertion expects."""


class _NoInstance(Exception):
    """A command names an instance that does not exist: its module failed."""


def _not_understood(error: Exception) -> str:
    return f"what the parser wrote of this command is not understood: {type(error).__name__}: {error}"


def one_line(error: BaseException) -> str:
    """An error in one line."""
    if isinstance(error, GuestThrew):
        return "it threw an exception that nothing caught"
    text = str(error)
    if text.startswith("error while executing"):
        text = text.rsplit("Caused by:", 1)[-1]
    words = sentence(text).removeprefix("wasm trap: ") or type(error).__name__
    return f"it trapped: {words}" if isinstance(error, COMPONENT_TRAPS) else words


_COMMANDS: dict[str, Callable[[Script, Item], str]] = {
    "module": Script._module,
    "module_definition": Script._module_definition,
    "module_instance": Script._module_instance,
    "register": Script._register,
    "action": Script._action,
    "assert_return": Script._assert_return,
    "assert_trap": Script._assert_trap,
    "assert_exhaustion": Script._assert_exhaustion,
    "assert_exception": Script._assert_exception,
    "assert_invalid": Script._assert_invalid,
    "assert_malformed": Script._assert_invalid,
    "assert_unlinkable": Script._assert_unlinkable,
    "assert_uninstantiable": Script._assert_uninstantiable,
    "thread": Script._thread,
    "wait": Script._wait,
}
