"""Profiles a guest: samples its stack a thousand times a second, for Firefox Profiler.

A thread bumps the engine's epoch every millisecond. Wasmtime then calls back at the guest's next loop or function,
where the stack is sampled (16 us). Time inside WASI calls is attributed to the next sample. The result is JSON in the
processed format of https://profiler.firefox.com, which opens it as a file. Wasmtime: `wasmtime/profiling.h`,
`wasmtime_store_epoch_deadline_callback` of `wasmtime/store.h`.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Sequence

import wasmtime

from ..threads import spawn
from ..values.wasmtime_objects import Pointer, RawWords

try:
    from wasmtime import _bindings

    _new = _bindings._wasmtime_guestprofiler_new
    _sample = _bindings._wasmtime_guestprofiler_sample
    _finish = _bindings._wasmtime_guestprofiler_finish
    _delete = _bindings._wasmtime_guestprofiler_delete
    _on_epoch = _bindings._wasmtime_store_epoch_deadline_callback
    _callback_type = _on_epoch.argtypes[1]
    AVAILABLE = True
except (ImportError, AttributeError):
    AVAILABLE = False
"""Whether this wasmtime-py has the needed functions."""

_NO_FINALIZER = ctypes.cast(0, ctypes.CFUNCTYPE(None, ctypes.c_void_p))
INTERVAL_NS = 1_000_000
"""Nanoseconds between samples."""
_CONTINUE = 0


class GuestProfile:
    """The profile of one run, from before its first call to `finish`. `stopping` is called at each sample; True ends
    the guest as an interrupt does.
    """

    def __init__(
        self, store: wasmtime.Store, engine: wasmtime.Engine, name: str,
        modules: Sequence[tuple[str, wasmtime.Module]], stopping: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._over = threading.Event()
        self._turn = threading.Lock()
        self._samples = 0
        entries = (_bindings.wasmtime_guestprofiler_modules * len(modules))()
        for entry, (label, compiled) in zip(entries, modules, strict=True):
            entry.name, entry.mod = ctypes.pointer(_name(label)), compiled.ptr()
        own = _name(name)
        profiler = _new(engine.ptr(), ctypes.byref(own), INTERVAL_NS, entries, len(modules))
        if not profiler:
            raise RuntimeError("Wasmtime made no profiler")
        self._profiler = profiler
        store_pointer, last = store.ptr(), time.perf_counter_ns()

        def on_epoch(context: object, data: object, delta: RawWords, kind: RawWords) -> int:
            nonlocal last
            try:
                if stopping():
                    return ctypes.cast(_interrupt(), ctypes.c_void_p).value or 0
                if not self._over.is_set():
                    now = time.perf_counter_ns()
                    _sample(profiler, store_pointer, now - last)
                    last = now
                    self._samples += 1
                delta[0], kind[0] = 1, _CONTINUE
            except BaseException:  # noqa: BLE001  nothing may leave a callback
                delta[0], kind[0] = 1, _CONTINUE
            return 0

        self._callback = _callback_type(on_epoch)
        _on_epoch(store_pointer, self._callback, None, _NO_FINALIZER)
        over, turn, interval = self._over, self._turn, INTERVAL_NS / 1e9

        def tick() -> None:
            while not over.wait(interval):
                with turn:
                    if not over.is_set():  # another run may have the engine by now
                        engine.increment_epoch()

        spawn(tick, "wasilab profiler")

    @property
    def samples(self) -> int:
        """Number of samples."""
        return self._samples

    def finish(self) -> bytes:
        """Stop sampling; returns the profile as JSON. Call it once, before the store is freed."""
        self._end()
        profiler, self._profiler = self._profiler, None
        out = _bindings.wasm_byte_vec_t()
        error = _finish(profiler, ctypes.byref(out))
        if error:
            raise wasmtime.WasmtimeError._from_ptr(error)
        try:
            return ctypes.string_at(out.data, out.size)
        finally:
            _bindings.wasm_byte_vec_delete(ctypes.byref(out))

    def close(self) -> None:
        """Free it without a result. Closing twice, or after `finish`, does nothing."""
        self._end()
        if self._profiler is not None:
            _delete(self._profiler)
            self._profiler = None


    def _end(self) -> None:
        with self._turn:
            self._over.set()


def _interrupt() -> Pointer:
    """An error that ends the guest; its text does not matter, since the requester of the end words the outcome."""
    return _bindings.wasmtime_error_new(ctypes.create_string_buffer(b"interrupted"))


def _name(text: str) -> ctypes.Structure:
    """A name that Wasmtime copies; Python owns its bytes."""
    data = text.encode("utf-8", "replace")
    return _bindings.wasm_byte_vec_t(len(data), (ctypes.c_ubyte * len(data)).from_buffer_copy(data))
