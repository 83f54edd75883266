"""The guest's call stack: at a trap, and at every call of a run that records stacks.

Wasmtime gives a stack only with a trap. So a host call invokes a tiny function that executes `unreachable`; its trap
carries all guest frames below. Measured on two busy cores, through the C API: 20 us per call with three frames, 30 us
with seventeen. Wasmtime takes 13 to 18 us of that to make the trap; reading each frame's offset takes 0.5 us. The
public API takes about twice as long. A stack that was seen before costs nothing more. Wasmtime keeps about the
innermost 20 frames.

Frames are (function name, offset in the module); source lines are looked up on demand (`trace/source.py`).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence

import wasmtime

from ... import module as module_room
from ...module.module import Module
from ...trace.record.recorder import Recorder
from ..outcome import Frame
from ..values.wasmtime_objects import CallbackCaller

_TRAPPER = b"\0asm\1\0\0\0\1\4\1\x60\0\0\3\2\1\0\7\5\1\1t\0\0\x0a\5\1\3\0\0\x0b"
"""(module (func (export "t") unreachable))"""
MAX_FRAMES = 128
_NO_OFFSET = 1 << 32

try:
    from wasmtime import _bindings, _ffi

    _call = _bindings._wasmtime_func_call_unchecked
    _trace = _bindings._wasm_trap_trace
    _offset = _ffi.dll.wasm_frame_module_offset
    _delete_trap = _bindings._wasm_trap_delete
    _delete_frames = _bindings._wasm_frame_vec_delete
    _trap_pointer = ctypes.POINTER(_bindings.wasm_trap_t)
    _Frames = _bindings.wasm_frame_vec_t
    _RAW = True
except (ImportError, AttributeError):
    _RAW = False


class CallStacks:
    """Records the stacks of one instance's calls, within the recorder's budget.

    `on_spent` is called once, when the budget for ordinary calls is used up.
    """

    def __init__(
        self, store: wasmtime.Store, module: Module, recorder: Recorder | None, on_spent: Callable[[], object],
        *, raw: bool = True,
    ) -> None:  # fmt: skip
        self._recorder = recorder if recorder is not None and recorder.stacks else None
        self._on_spent = on_spent
        self._make: Callable[[], StackTaker] | None = lambda: StackTaker(store, module, self._recorder, raw=raw)
        self._taker: StackTaker | None = self._make() if self.wanted else None

    @property
    def wanted(self) -> bool:
        """Whether stacks are recorded."""
        return self._recorder is not None

    def number(self, caller: CallbackCaller) -> int:
        """The number of the guest's current stack; 0 if stacks are off or the budget is used up."""
        recorder = self._recorder
        if self._taker is None or recorder is None:
            return 0
        if recorder.stacks_left <= 0:
            self._on_spent()
            return 0
        recorder.stacks_left -= 1
        return self._taker.take()

    def refused(self, caller: CallbackCaller) -> int:
        """The stack of a refused call. These are few and users want their source lines, so they have their own
        budget."""
        recorder = self._recorder
        if self._taker is None or recorder is None or recorder.stacks_left > 0 or recorder.refused_stacks_left <= 0:
            return self.number(caller)
        recorder.refused_stacks_left -= 1
        return self._taker.take()

    def frames(self) -> list[wasmtime.Frame]:
        """The guest's current frames, innermost first; a trap made by the host has none. Raises nothing."""
        try:
            taker = self._taker or (self._make() if self._make is not None else None)
            return taker.frames() if taker is not None else []
        except Exception:  # noqa: BLE001  a missing stack must not fail the call
            return []

    def close(self) -> None:
        """Release the store; no stack is taken from now on."""
        self._make = self._taker = None


class StackTaker:
    """Takes the stack of a guest that is inside a host call, as a stack number of the recorder."""

    def __init__(self, store: wasmtime.Store, module: Module, recorder: Recorder | None, *, raw: bool = True) -> None:
        self._store = store
        self._module = module
        self._recorder = recorder
        compiled = wasmtime.Module(store.engine, _TRAPPER)
        function = wasmtime.Instance(store, compiled, []).exports(store)["t"]
        assert isinstance(function, wasmtime.Func)
        self._function = function
        self._known: dict[tuple[int, ...], int] = {}
        self._raw = raw and _RAW
        if self._raw:
            self._slot = (_bindings.wasmtime_val_raw_t * 1)()

    def take(self) -> int:
        """The number of the guest's current stack; 0 if there is none."""
        return self._take_raw() if self._raw else self._intern(self.frames())

    def _take_raw(self) -> int:
        trap = _trap_pointer()
        error = _call(
            self._store._context(), ctypes.byref(self._function._func), self._slot, 0, ctypes.byref(trap)
        )
        if error or not trap:
            return 0
        frames = _Frames(0, None)
        _trace(trap, ctypes.byref(frames))
        try:
            data = frames.data
            offsets = tuple([_offset(data[i]) for i in range(1, min(frames.size, MAX_FRAMES))])
        finally:
            _delete_frames(ctypes.byref(frames))
            _delete_trap(trap)
        known = self._known.get(offsets)
        if known is None:
            known = self._known[offsets] = self._intern(self.frames())
        return known

    def frames(self) -> list[wasmtime.Frame]:
        """Wasmtime's current frames of the guest, innermost first."""
        try:
            self._function(self._store)
        except wasmtime.Trap as trap:
            trap.__traceback__ = None  # wasmtime-py's frames refer to the trap: a cycle that would hold the store
            return trap.frames[1:MAX_FRAMES]
        return []

    def _intern(self, frames: Sequence[wasmtime.Frame]) -> int:
        if not frames or self._recorder is None:
            return 0
        named = [(function_name(f, self._module), original_offset(f, self._module)) for f in frames]
        return self._recorder.intern_stack(named)


def offset_of(frame: wasmtime.Frame) -> int:
    """The byte offset in the module of a Wasmtime frame's instruction; 0 if Wasmtime has none (it reports 2**64-1 for a
    function that ran out of stack on entry).
    """
    offset = int(frame.module_offset)
    return offset if offset < _NO_OFFSET else 0


def original_offset(frame: wasmtime.Frame, module: Module) -> int:
    """The same in the module as it was before its instructions were replaced."""
    offset = offset_of(frame)
    return offset if module.changed is None else module.changed.original_offset(offset)


def function_name(frame: wasmtime.Frame, module: Module) -> str:
    """The demangled name of a Wasmtime frame's function; "function N" when nothing names it."""
    name = frame.func_name or module.function_name(frame.func_index)
    return module_room.symbols.demangle(name) if name else f"function {frame.func_index}"


def located(raw_frames: Sequence[wasmtime.Frame], modules: Sequence[Module]) -> tuple[Frame, ...]:
    """Wasmtime's frames, innermost first, with source lines where the module has DWARF for them.

    Wasmtime tells a frame's module only by the name in its name section. With several modules, a frame is looked up in
    the first module that has a function of that index and name.
    """
    frames = []
    for frame in raw_frames[:MAX_FRAMES]:
        index, name = frame.func_index, frame.func_name
        module = next((m for m in modules if name and m.function_names.get(index) == name), modules[0])
        if module.changed is not None and index >= module.changed.added:
            continue  # a function of ours: its caller is the program's
        offset = original_offset(frame, module)
        source = module if module.changed is None else module.changed.original
        found = _location(module_room.dwarf.source_map(source), offset)
        frames.append(Frame(function_name(frame, module), found[0], found[1], offset, module.name))
    return tuple(frames)


def _location(sources: module_room.dwarf.SourceMap | None, offset: int) -> tuple[str | None, int | None]:
    location = sources.locate(offset) if sources is not None and offset else None
    return (location.file, location.line) if location is not None else (None, None)
