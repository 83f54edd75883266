"""Answers the imports of one instance: trampolines for WASI, exports of preloaded modules, ENOSYS for the rest of WASI.

The functions are made from the module's own import types, so a module may import a name twice or with another
signature than the table's. A WASI name that the snapshots do not have, or one with another signature, becomes a
function that answers ENOSYS; it is recorded and listed in `Link.warnings`. An import from anywhere else that nothing
provides is a `LinkError`.

Two ways lead from the guest into Python, with the same behaviour: the C API's unchecked callback through ctypes
("raw", `wasmtime._bindings`, an order of magnitude quicker) and wasmtime-py's public `Func`. No exception leaves a
callback in either: an escaping one would corrupt the process. `FAIL` (`_Failures`) turns it into an errno, or keeps
it in `Stop` and ends the guest with a trap.

Not here: what a call does (`wasi/`), how a trampoline looks (`codegen.py`), running (`session.py`).
"""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any

import wasmtime

from ...capabilities.refusal import Need
from ...capabilities.waiting import Interrupted
from ...module.binary import FuncType
from ...module.module import Module
from ...trace.record.layout import PATH_COST
from ...trace.record.recorder import DID_NOT_RETURN, Flag, Recorder, pack_payload
from ...wasi import types as t
from ...wasi.host import Host
from ...wasi.preview1.signature import Call
from ...wasi.preview1.spec import MODULES
from ..preloads import Origins
from ..stop import HostBug, HostStop, LinkError, Stop
from . import raw as _raw
from .absent import absent_function
from .attempted import attempted
from .codegen import code
from .memory import GuestMemory
from .overrides import Override
from .record_lines import Variant
from .stacks import StackTaker

_EVERYTHING = 1 << 62
_VALTYPES = {
    "i32": wasmtime.ValType.i32, "i64": wasmtime.ValType.i64, "f32": wasmtime.ValType.f32,
    "f64": wasmtime.ValType.f64,
}  # fmt: skip
PASSED = frozenset({*_VALTYPES, "externref", "funcref"})
"""The types of functions that wasmtime-py can make; the C API makes them all."""
_PAD = (b"", b"\0\0\0", b"\0\0", b"\0")
_HEADER = struct.Struct("<HHI").pack
_HEADS = {f"HEAD{n}": struct.Struct(f"<HHI{n}I").pack for n in range(1, 10)}
_PACK = struct.Struct("<QQQIIIIQIIII").pack_into
"""The layout `RECORD`, with its seven columns from `call` to `tid` as one number (`_meta`)."""
_WORDS = {f"WORDS{n}": struct.Struct(f"<{n}I").pack for n in range(1, 9)}


def _bad_descriptor(number: int) -> t.WasiError:
    return t.WasiError(t.Errno.BADF, f"descriptor {number} is not open")


def _gather(buffers: Sequence[memoryview], size: int) -> bytes:
    """The first `size` bytes of several buffers."""
    parts = []
    for buffer in buffers:
        if size <= 0:
            break
        parts.append(buffer[:size].tobytes())
        size -= len(parts[-1])
    return b"".join(parts)


class Link:
    """The imports of one instance, answered.

    `instance` numbers it in the trace (0 is the program). `overrides` maps names of calls to Python functions
    `f(original, *decoded)`. `detached` flags the calls as made outside a program's run. `foreign` says that another
    instance may call the functions, in whose memory they then work. Keep the `Link` as long as the store: the callbacks
    live in it.
    """

    def __init__(
        self,
        module: Module,
        store: Any,
        host: Host,
        recorder: Recorder | None,
        stop: Stop,
        *,
        instance: int = 0,
        raw: bool = True,
        overrides: Mapping[str, Callable[..., Any]] | None = None,
        stacks: StackTaker | None = None,
        detached: bool = False,
        foreign: bool = False,
    ) -> None:
        self.module = module
        self.store = store
        self.host = host
        self.stop = stop
        self.memory = GuestMemory(store)
        self.warnings: list[str] = []
        self.overrides: dict[str, Override] = {
            name: Override(name, function, host) for name, function in (overrides or {}).items()
        }
        self._instance = instance
        self._flags = int(Flag.DETACHED) if detached else 0
        self._raw = raw and _raw.AVAILABLE
        self._foreign = foreign
        self._recorder = recorder
        self._record = recorder.make_writer(instance=instance) if recorder is not None else None
        self._stacks = stacks if recorder is not None and recorder.stacks else None
        self._callbacks: list[Any] = []
        self._functions: dict[tuple[str, str], FunctionType] = {}
        self._types: dict[FuncType, Any] = {}
        self._compiled_imports: Sequence[Any] | None = None
        self._namespace = self._make_namespace()

    # ---- imports

    def imports(
        self, compiled: Any, provided: Mapping[str, Mapping[str, Any]], origins: Origins | None = None
    ) -> list[Any]:
        """A value for each import of the module, in order. `provided`: module name -> exports of a preloaded module;
        `origins`: those of them that are WASI functions, of which this instance gets its own.

        Raises `LinkError` naming every import that nothing provides.
        """
        answers: list[Any] = []
        missing: list[str] = []
        for position, item in enumerate(self.module.imports):
            given = provided.get(item.module, {}).get(item.name)
            origin = (origins or {}).get((item.module, item.name))
            if origin is not None and origin[2] == item.type:
                answers.append(self._wasi(*origin, compiled, position))
            elif given is not None:
                answers.append(given)
            elif item.module in MODULES and isinstance(item.type, FuncType):
                answers.append(self._wasi(item.module, item.name, item.type, compiled, position))
            else:
                kind = "function" if isinstance(item.type, FuncType) else str(item.type).split(" ")[0]
                missing.append(f"{kind} {item.module}.{item.name}")
        if missing:
            raise LinkError(self._missing(missing))
        return answers

    def _missing(self, missing: list[str]) -> str:
        shown = ", ".join(missing[:8]) + (f" and {len(missing) - 8:,} more" if len(missing) > 8 else "")
        first = next(item.module for item in self.module.imports if f"{item.module}.{item.name}" in missing[0])
        hint = f"give a module that exports it with --preload {first}=FILE (preload={{{first!r}: module}})"
        if first.startswith("wasi:"):
            hint = "it is built for WASI 0.2; compile for wasm32-wasip1 instead"
        elif first in ("wasi", "wasi_nn", "wasi_ephemeral_nn") or first.startswith("wasi_"):
            hint = "only wasi_snapshot_preview1 and wasi_unstable are provided"
        elif first == "env" and all(name.startswith("function emscripten") for name in missing[:1]):
            hint = "it is built for JavaScript by Emscripten; compile for wasm32-wasi instead"
        return f"{self.module.name} imports what nothing here provides: {shown}; {hint}"

    def _wasi(self, module: str, name: str, wanted: FuncType, compiled: Any, position: int) -> Any:
        call = MODULES[module].get(name)
        strange = [kind for kind in (*wanted.params, *wanted.results) if kind not in PASSED]
        raw = self._raw or bool(strange and _raw.AVAILABLE)
        if strange and not raw:
            raise LinkError(
                f"{self.module.name} imports {module}.{name} as {wanted}, and this wasmtime-py cannot pass "
                f"{strange[0]}: no call of WASI has it, so take the import out, or install the wasmtime that wasilab "
                "is tested with"
            )
        function: Any
        if call is not None and wanted == FuncType(call.signature, ("i32",) if call.returns else ()):
            key = (module, name)
            function = self._functions.get(key)
            if function is None:
                function = self._functions[key] = self._trampoline(call)
        else:
            function = absent_function(self, module, name, call, wanted, raw=raw)
        type_ = self._types.get(wanted)
        if type_ is None:
            if self._compiled_imports is None and not _VALTYPES.keys() >= {*wanted.params, *wanted.results}:
                self._compiled_imports = compiled.imports  # made anew at each look: once is enough
            type_ = self._types[wanted] = _function_type(wanted, self._compiled_imports or (), position)
        if raw:
            function_, callback = _raw.function(self.store, type_, function)
            self._callbacks.append(callback)
            return function_
        return wasmtime.Func(self.store, type_, function, access_caller=True)

    # ---- functions

    def _trampoline(self, call: Call) -> FunctionType:
        override = self.overrides.get(call.name)
        variant = Variant(
            raw=self._raw,
            traced=self._record is not None,
            stacks=self._stacks is not None,
            overridden=override is not None and self._record is not None,
            foreign=self._foreign,
        )
        suffix = "_0" if call.module == "wasi_unstable" else ""
        semantic = call.function
        if override is not None:
            semantic = override.prepare(call, semantic)
        self._namespace[f"S_{call.name}{suffix}"] = semantic
        self._namespace[f"CALL_{call.name}{suffix}"] = call
        flags = self._flags | (int(Flag.UNSTABLE) if suffix else 0)
        self._namespace[f"META_{call.name}{suffix}"] = call.number | self._instance << 24 | flags << 32 | 1 << 48
        for result in call.results:
            if result.type.record and result.type.struct is not None:
                self._namespace[f"PACK_{result.type.name}{suffix}"] = result.type.struct.pack_into
        return FunctionType(code(call, variant), self._namespace, call.name)

    def count_from(self, origin_ns: int) -> None:
        """Let the trampolines count time from `origin_ns` (perf_counter_ns)."""
        self._namespace["ORIGIN"] = origin_ns

    def _make_namespace(self) -> dict[str, Any]:
        snaplen = _EVERYTHING
        if self._recorder is not None and self._recorder.snaplen is not None:
            snaplen = self._recorder.snaplen
        return {
            "M": self.memory,
            "H": self.host,
            "FD": self.host.fds.entries.get,
            "CHECK": self.host.check,
            "BADF": _bad_descriptor,
            "CALLER": _raw.caller if self._raw else _same,
            "FAIL": self._failed,
            "TRAP": _raw.trap,
            "STOP": HostStop,
            "NORETURN": t.Trap("proc_exit returned"),
            "TOOMANY": ValueError("poll_oneoff: more events than subscriptions"),
            "REC": self._recorder,
            "ROOM": self._recorder._make_room if self._recorder is not None else None,
            "PATH": self._intern_path,
            "ORIGIN": self._recorder.origin_ns if self._recorder is not None else 0,
            "PACK": _PACK,
            "STACK": self._stack,
            "SNAP": snaplen,
            "IO": self.host.max_io,
            "now": time.perf_counter_ns,
            "HEADER": _HEADER,
            "PAD": _PAD,
            "GATHER": _gather,
            "SUBS": t.decode_subscriptions,
            "EVENTS": t.encode_events,
            "PACK_U16": t.U16.pack_into,
            "U32": t.U32.pack,
            **_WORDS,
            **_HEADS,
        }

    def _intern_path(self, path: bytes) -> int:
        """The number of a path that the current chunk has not seen; paths are at most 4096 bytes here."""
        assert self._recorder is not None
        chunk = self._recorder.chunk
        chunk.paths.append(path)
        chunk.side += len(path) + PATH_COST
        index = chunk.path_ids[path] = len(chunk.paths)
        return index

    def limit_io(self, count: int) -> None:
        """Let one call move at most so many bytes, from the next call on."""
        if "IO" in self._namespace:
            self._namespace["IO"] = count

    def close(self) -> None:
        """Let go of everything that holds the store, once no guest code will run in it any more.

        wasmtime-py keeps the functions of the public way in a global table until the store is gone: while they
        hold the store in turn, neither ever goes, nor what the guest was granted.
        """
        self._namespace.clear()
        self._functions.clear()
        self._callbacks.clear()
        self._compiled_imports = self._stacks = None
        self.memory = GuestMemory(None)
        self.store = None

    # ---- what goes wrong

    def _stack(self, caller: Any) -> int:
        """The number of the guest's stack while the recorder's budget for stacks lasts; 0 after it, at no cost."""
        recorder = self._recorder
        if self._stacks is None or recorder is None:
            return 0
        if recorder.stacks_left <= 0:
            self._namespace["STACK"] = _no_stack
            return 0
        recorder.stacks_left -= 1
        return self._stacks.take()

    def _refused_stack(self, caller: Any) -> int:
        """The stack of a refused call: those are few and a person asks for their lines, so they have a budget too."""
        recorder = self._recorder
        if self._stacks is None or recorder is None or recorder.stacks_left > 0 or recorder.refused_stacks_left <= 0:
            return self._stack(caller)
        recorder.refused_stacks_left -= 1
        return self._stacks.take()

    def where(self) -> list[Any]:
        """The guest's frames now: a trap made by the host does not carry them."""
        try:
            taker = self._stacks or StackTaker(self.store, self.module, None)
            return taker.frames()
        except Exception:  # noqa: BLE001  a stack is a help, never a reason to fail
            return []

    def _failed(
        self, error: BaseException, call: Call, caller: Any, start: int, descriptor: Any, path: bytes | None,
        words: tuple[int, ...],
    ) -> int:  # fmt: skip
        """The errno of a call that raised, recorded; -1 when the guest is to end, with the cause in `Stop`."""
        try:
            known = self.host.explain(error, descriptor)
            if known is not None and call.returns:
                errno, denied, reason, need = int(known.errno), int(known.denied_by), known.reason, known.need
            else:
                errno, denied, reason, need = DID_NOT_RETURN, 0, "", None
                if isinstance(error, (t.ProcExit, Interrupted)):
                    self.stop.error = error
                elif isinstance(error, t.Trap):
                    self.stop.error, reason = error, str(error)
                elif isinstance(error, KeyboardInterrupt):
                    self.stop.error = Interrupted()
                else:
                    self.stop.error = HostBug(call.name, error)
                    reason = str(self.stop.error)
                if not isinstance(error, t.ProcExit):
                    self.stop.frames = self.where()
            if self._record is not None:
                flags = 8 if call.module == "wasi_unstable" else 0
                override = self.overrides.get(call.name)
                if override is not None:
                    flags |= override.flags
                life = 0 if descriptor is None else descriptor.life
                aux = attempted(call, words, self.memory)
                if path is None:
                    path = self._asked_path(call, caller, words)
                self.note(start, caller, call.number, life, path, errno, denied, flags, reason, aux, words, need)
            return errno if errno != DID_NOT_RETURN else -1
        except BaseException as worse:  # noqa: BLE001  nothing may leave a callback: the process would not survive it
            self.stop.error = HostBug(call.name, worse)
            return -1

    def note(
        self, start: int, caller: Any, number: int, life: int, path: bytes | None, errno: int, denied: int, flags: int,
        reason: str, aux: bytes, words: Sequence[int], need: Need | None = None,
    ) -> None:  # fmt: skip
        """Record a call that failed or did not return."""
        if self._record is None or self._recorder is None:
            return
        took = time.perf_counter_ns() - start
        flags |= self._flags
        payload = None
        if reason or aux or len(words) > 4:
            index = self._recorder.intern_reason(reason, need) if reason else 0
            payload = pack_payload(aux, b"", words[4:], index)
        w0, w1, w2, w3 = (*words[:4], 0, 0, 0, 0)[:4]
        stack = self._refused_stack(caller) if denied else self._stack(caller)
        self._record(start, took, 0, life, path, payload, number, errno, denied, flags, w0, w1, w2, w3, stack)

    def _asked_path(self, call: Call, caller: Any, words: tuple[int, ...]) -> bytes | None:
        """The path of a call that failed before it was read (its descriptor is none), where it can be read."""
        word = 0
        for param in call.params:
            if param.type.kind == "string":
                inside = self._namespace["CALLER"](caller)
                with contextlib.suppress(t.WasiError, t.Trap):
                    return self.memory.string(inside, words[word], words[word + 1], call.name, param.name)
                return None
            word += sum(2 if w == "i64" else 1 for w in param.type.words)
        return None


def _no_stack(caller: Any) -> int:
    return 0


def _same(caller: Any) -> Any:
    return caller


def _function_type(wanted: FuncType, imports: Sequence[Any], position: int) -> Any:
    """The `wasmtime.FuncType`; for types beyond numbers, the one that the compiled module holds."""
    if imports and not _VALTYPES.keys() >= {*wanted.params, *wanted.results}:
        return imports[position].type
    return wasmtime.FuncType(
        [_VALTYPES[name]() for name in wanted.params], [_VALTYPES[name]() for name in wanted.results]
    )
