"""One guest, two hosts: every WASI call reachable from Python, under wasilab and under Wasmtime's own WASI.

The guest is a WAT module written from the spec table: it imports each call and exports a function of the same name that
calls it. A `Caller` lays the arguments out in the guest's memory, always in the same way, calls, and reads the results
back, so a scenario is a list of calls in Python and runs on both hosts unchanged.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import wasmtime

from wasilab.capabilities.clocks import Clocks
from wasilab.capabilities.random import Random
from wasilab.capabilities.streams import CallbackOutput, EmptyInput
from wasilab.engine.limits import Limits
from wasilab.engine.session import Session
from wasilab.module.module import Module
from wasilab.wasi.host import Host
from wasilab.wasi.preview1.spec import MODULES
from wasilab.wasi.types import EVENT, SUBSCRIPTION, Errno, ProcExit, Subscription

ARGS = ["relay", "one", "", "zwei drei"]
ENVIRON = {"HOME": "/", "EMPTY": "", "PATH": "a=b"}
_HEAP = 4096


def guest(module: str = "wasi_snapshot_preview1") -> bytes:
    """The relay module, as WebAssembly."""
    lines = ["(module"]
    for name, call in MODULES[module].items():
        params = f"(param {' '.join(call.signature)})" if call.signature else ""
        lines.append(f'(import "{module}" "{name}" (func ${name} {params} {"(result i32)" if call.returns else ""}))')
    lines.append('(memory (export "memory") 4)')
    for name, call in MODULES[module].items():
        params = f"(param {' '.join(call.signature)})" if call.signature else ""
        gets = " ".join(f"(local.get {i})" for i in range(len(call.signature)))
        result = "(result i32)" if call.returns else ""
        lines.append(f'(func (export "{name}") {params} {result} (call ${name} {gets}))')
    return bytes(wasmtime.wat2wasm("\n".join([*lines, ")"])))


class Handle(NamedTuple):
    """A descriptor that a scenario opened: its number, and the name that a log shows instead."""

    fd: int
    name: str


class Answer(NamedTuple):
    """What a call came to: the errno's name ("TRAP" if the guest trapped), and its results, decoded."""

    errno: str
    values: tuple[Any, ...] = ()


class Caller:
    """A guest under some host. Subclasses say how to call an export and where its memory is."""

    module = "wasi_snapshot_preview1"

    def __init__(self) -> None:
        self.log: list[tuple[str, str, tuple[Any, ...]]] = []
        """(call with arguments, errno, results that both hosts must agree on)."""
        self._opened = 0

    def begin(self) -> None:
        """A new scenario: an empty log, handles named from #1."""
        self.log = []
        self._opened = 0

    def export(self, name: str, *words: int) -> int | None:
        """Call an export with core words."""
        raise AssertionError("a subclass does this")

    def peek(self, at: int, size: int) -> bytes:
        """Bytes of the guest's memory."""
        raise AssertionError("a subclass does this")

    def poke(self, at: int, data: bytes) -> None:
        """Change the guest's memory."""
        raise AssertionError("a subclass does this")

    def stdout(self) -> bytes:
        """What the guest wrote to descriptor 1."""
        raise AssertionError("a subclass does this")

    def close(self) -> None:
        """End of the guest."""

    def call(self, name: str, *args: Any, show: bool = True) -> Answer:
        """A call with Python arguments: numbers and handles; text for paths; a list of byte strings to write, a list of
        sizes to read into, a size for a buffer to fill, a list of `Subscription`. Its results decoded by the spec."""
        call = MODULES[self.module][name]
        given = list(args)
        words: list[int] = []
        readers: list[tuple[str, Any]] = []
        at = _HEAP
        for param in call.params:
            kind = param.type.kind
            if kind == "outstrings":
                words += [at, at + 1024]
                readers.append(("strings", at))
                at += 4096
            elif kind == "outevents":
                words.append(at)
                readers.append(("events", at))
                at += 4096
            elif param.name == "nsubscriptions":
                words.append(count)  # noqa: F821  set by the parameter before it
            else:
                value = given.pop(0)
                if kind == "insubs":
                    count = len(value)
                    self.poke(at, b"".join(_pack(sub) for sub in value))
                    words.append(at)
                    at += 48 * count + 48
                elif kind == "string":
                    raw = value.encode() if isinstance(value, str) else value
                    self.poke(at, raw)
                    words += [at, len(raw)]
                    at += -(-len(raw) // 16) * 16 + 16
                elif kind in ("ciovecs", "iovecs"):
                    array, at = at, at + 8 * len(value) + 8
                    parts = []
                    for part in value:
                        size = part if isinstance(part, int) else len(part)
                        self.poke(at, bytes(size) if isinstance(part, int) else part)
                        self.poke(array + 8 * len(parts), struct.pack("<II", at, size))
                        parts.append((at, size))
                        at += -(-size // 16) * 16 + 16
                    words += [array, len(value)]
                    if kind == "iovecs":
                        readers.append(("iovecs", parts))
                elif kind == "outbuf":
                    words += [at, value]
                    readers.append(("buffer", (at, value)))
                    at += -(-value // 16) * 16 + 16
                else:
                    number = value.fd if isinstance(value, Handle) else int(value)
                    bits = 64 if param.type.words == ("i64",) else 32
                    words.append(number - (1 << bits) if number >> (bits - 1) == 1 else number)
        results = []
        for result in call.results:
            at = -(-at // 8) * 8
            words.append(at)
            results.append((result, at))
            at += max(8, result.type.size)
        try:
            errno = self.export(name, *words)
        except (wasmtime.Trap, wasmtime.WasmtimeError, ProcExit) as error:
            answer = Answer("EXIT" if isinstance(error, (ProcExit, wasmtime.ExitTrap)) else "TRAP", (_code(error),))
        else:
            answer = Answer(Errno(errno or 0).name)
            if not errno:
                answer = Answer("SUCCESS", self._read(name, results, readers))
        if show:
            self.log.append((f"{name}({', '.join(map(_show, args))})", answer.errno, answer.values))
        return answer

    def _read(self, name: str, results: list[Any], readers: list[tuple[str, Any]]) -> tuple[Any, ...]:
        values: list[Any] = []
        for result, at in results:
            assert result.type.struct is not None
            fields = result.type.struct.unpack(self.peek(at, result.type.size))
            values.append(fields if result.type.record else fields[0])
        for kind, where in readers:
            if kind == "iovecs":
                left = values[0]
                for at, size in where:
                    values.append(self.peek(at, min(size, left)))
                    left -= min(size, left)
            elif kind == "buffer":
                at, size = where
                values.append(self.peek(at, min(size, values[0]) if values else size))
            elif kind == "strings":
                values.append(self._strings(name, where))
            else:
                values.append([EVENT.unpack(self.peek(where + 32 * i, 32)) for i in range(values[0])])
        return tuple(values)

    def _strings(self, name: str, at: int) -> list[bytes]:
        count, size = self.call(name.replace("_get", "_sizes_get"), show=False).values
        pointers = struct.unpack(f"<{count}I", self.peek(at, 4 * count))
        return [self.peek(p, size).split(b"\0")[0] for p in pointers]

    def open(
        self, fd: Handle | int, path: str, oflags: int = 0, rights: int = 0x1FFFFFFF & ~64, follow: int = 0,
        fdflags: int = 0, inheriting: int = 0x1FFFFFFF,
    ) -> Handle | None:  # fmt: skip
        """`path_open`; the log shows no number, and the handle has a name that is the same under both hosts."""
        answer = self.call("path_open", fd, follow, path, oflags, rights, inheriting, fdflags, show=False)
        shown = f"path_open({_show(fd)}, {follow}, {path!r}, {oflags}, {rights:#x}, {inheriting:#x}, {fdflags})"
        self.log.append((shown, answer.errno, ()))
        if answer.errno != "SUCCESS":
            return None
        self._opened += 1
        return Handle(answer.values[0], f"#{self._opened}")


def _pack(sub: Subscription) -> bytes:
    first = sub.clock if sub.type == 0 else sub.fd
    return SUBSCRIPTION.pack(sub.userdata, sub.type, first, sub.timeout, sub.precision, sub.flags)


def _show(value: Any) -> str:
    return value.name if isinstance(value, Handle) else repr(value) if not isinstance(value, int) else str(int(value))


def _code(error: BaseException) -> int | None:
    return getattr(error, "code", None)


class Ours(Caller):
    """The relay under wasilab."""

    def __init__(
        self, dirs: Mapping[str, Any], rights: str = "strict", module: str = "wasi_snapshot_preview1", **options: Any
    ) -> None:
        super().__init__()
        self.module = module
        self._out: list[bytes] = []
        options = {"clocks": Clocks.real(), "random": Random.real(), **options}
        self.host = Host(
            [arg.encode() for arg in ARGS],
            [f"{name}={value}".encode() for name, value in ENVIRON.items()],
            dirs,
            EmptyInput(),
            CallbackOutput(self._out.append),
            CallbackOutput(lambda data: None),
            rights=rights,
            **options,
        )
        self._session = Session(Module(guest(module), "relay"), self.host, None, Limits())
        self._session.compile()
        self._session.open()
        self._memory: Any = self._session.exports["memory"]

    def export(self, name: str, *words: int) -> int | None:
        try:
            result = self._session.call(name, words)
        except Exception:
            cause, self._session.stop.error = self._session.stop.error, None
            if isinstance(cause, ProcExit):
                raise cause from None
            raise
        return None if result is None else int(result) & 0xFFFFFFFF

    def peek(self, at: int, size: int) -> bytes:
        return bytes(self._memory.read(self._session.store, at, at + size))

    def poke(self, at: int, data: bytes) -> None:
        self._memory.write(self._session.store, data, at)

    def stdout(self) -> bytes:
        return b"".join(self._out)

    def close(self) -> None:
        self.host.close()
        self._session.release()


class Theirs(Caller):
    """The relay under Wasmtime's own WASI."""

    def __init__(self, folder: Path, *, mutable: bool = True) -> None:
        super().__init__()
        engine = wasmtime.Engine()
        self._store = wasmtime.Store(engine)
        linker = wasmtime.Linker(engine)
        linker.define_wasi()
        config = wasmtime.WasiConfig()
        config.argv = ARGS
        config.env = list(ENVIRON.items())
        self._files = tempfile.TemporaryDirectory()
        self._out = Path(self._files.name, "out")
        empty = Path(self._files.name, "in")
        empty.write_bytes(b"")
        config.stdin_file = str(empty)
        config.stdout_file = str(self._out)
        config.stderr_file = str(Path(self._files.name, "err"))
        config.preopen_dir(str(folder), "/", mutable)
        self._store.set_wasi(config)
        instance = linker.instantiate(self._store, wasmtime.Module(engine, guest()))
        self._exports = instance.exports(self._store)
        self._memory: Any = self._exports["memory"]

    def export(self, name: str, *words: int) -> int | None:
        result = self._exports[name](self._store, *words)
        return None if result is None else int(result) & 0xFFFFFFFF

    def peek(self, at: int, size: int) -> bytes:
        return bytes(self._memory.read(self._store, at, at + size))

    def poke(self, at: int, data: bytes) -> None:
        self._memory.write(self._store, data, at)

    def stdout(self) -> bytes:
        return self._out.read_bytes()

    def close(self) -> None:
        self._files.cleanup()
