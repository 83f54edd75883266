"""The process that compiles a module: `python -I -S compile_child.py LIBRARY SECONDS BYTES KIND NAME=VALUE...`.

It reads WebAssembly from stdin and writes a reply to stdout: a line "ok", "invalid" or "memory", with the seconds of
processor time and the bytes of memory that it used, then the machine code or Wasmtime's message. No reply means that it
was killed. Before it reads, it sets its own limits: SECONDS of processor time of all its threads and BYTES of data (0:
no limit). KIND is "module", or "component", which is only validated.

It is a script, not a module of the package, and imports as little as possible: it starts for every module that is
compiled for the first time.
"""

import ctypes
import os
import sys


class _Bytes(ctypes.Structure):
    """`wasm_byte_vec_t`."""

    _fields_ = [("size", ctypes.c_size_t), ("data", ctypes.POINTER(ctypes.c_char))]


def limit(seconds: float, memory: int) -> None:
    """Set the limits of this process, and make it end with its parent where the system supports that."""
    try:
        import resource
        import signal
    except ImportError:  # Windows: the parent ends it when it takes too long
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory:
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    if seconds:
        whole = int(seconds) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (whole, whole + 1))
        signal.setitimer(signal.ITIMER_PROF, seconds)  # finer than whole seconds; its signal ends the process
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
        if os.getppid() != parent:
            sys.exit(1)


def taken() -> "tuple[float, int]":
    """The processor time of this process in seconds, and its peak memory in bytes."""
    times = os.times()
    seconds = times.user + times.system
    try:
        import resource
    except ImportError:
        return seconds, 0
    try:  # on Linux ru_maxrss starts with the memory of the parent, which may be a large notebook
        with open("/proc/self/status", encoding="ascii") as status:
            return seconds, next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    except (OSError, ValueError, StopIteration):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return seconds, most if sys.platform == "darwin" else most * 1024


def engine(library: ctypes.CDLL, settings: "list[str]") -> ctypes.c_void_p:
    """An engine with the parent's settings and Wasmtime's cache, where the parent will find the module next time."""
    library.wasm_config_new.restype = ctypes.c_void_p
    config = ctypes.c_void_p(library.wasm_config_new())
    for setting in settings:
        name, _, value = setting.partition("=")
        if name == "cache":
            load = library.wasmtime_config_cache_config_load
            load.restype = ctypes.c_void_p
            load(config, None)  # it compiles without a cache too
        elif name != "profiler" and hasattr(library, f"wasmtime_config_{name}_set"):
            setter = getattr(library, f"wasmtime_config_{name}_set")
            setter.restype = None
            setter(config, ctypes.c_size_t(int(value)))
    library.wasm_engine_new_with_config.restype = ctypes.c_void_p
    return ctypes.c_void_p(library.wasm_engine_new_with_config(config))


def compiled(library: ctypes.CDLL, kind: str, settings: "list[str]", wasm: bytes) -> "tuple[str, bytes]":
    """The status and the body of the reply."""
    made, code = ctypes.c_void_p(), _Bytes()
    new = getattr(library, f"wasmtime_{kind}_new")
    new.restype = ctypes.c_void_p
    error = new(engine(library, settings), wasm, ctypes.c_size_t(len(wasm)), ctypes.byref(made))
    if not error and kind == "module":
        library.wasmtime_module_serialize.restype = ctypes.c_void_p
        error = library.wasmtime_module_serialize(made, ctypes.byref(code))
    if error:
        library.wasmtime_error_message(ctypes.c_void_p(error), ctypes.byref(code))
    return "invalid" if error else "ok", ctypes.string_at(code.data, code.size) if code.size else b""


def main() -> None:
    path, seconds, memory, kind, *settings = sys.argv[1:]
    limit(float(seconds), int(memory))
    out = os.fdopen(os.dup(1), "wb")
    try:
        state, body = compiled(ctypes.CDLL(path), kind, settings, sys.stdin.buffer.read())
        if state == "invalid" and b"annot allocate memory" in body:
            state = "memory"
        seconds_taken, most = taken()
        out.write(f"{state} {seconds_taken:.6f} {most}\n".encode())
        out.write(body)
    except MemoryError:
        out.write(b"memory 0 0\n")
    out.flush()
    os._exit(0)  # without taking down an engine that is about to be freed as a whole


if __name__ == "__main__":
    main()
