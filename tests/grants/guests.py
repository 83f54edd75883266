"""Small guests in WebAssembly text: what they do is in their names, and they need no compiler."""

from __future__ import annotations

from wasilab.module.module import Module, from_wat

_IMPORTS = """
(import "wasi_snapshot_preview1" "path_open"
  (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_seek" (func $fd_seek (param i32 i64 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
(import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
(import "wasi_snapshot_preview1" "path_rename" (func $path_rename (param i32 i32 i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "path_unlink_file" (func $path_unlink_file (param i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_prestat_get" (func $fd_prestat_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "path_create_directory"
  (func $path_create_directory (param i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
(memory (export "memory") 1)
"""

READ, WRITE = 1 << 1 | 1 << 2, 1 << 6  # reading includes seeking
SCRATCH = 4096
"""Where results and buffers lie; texts lie from 0 on."""


class Guest:
    """Writes a program call by call; a call that fails ends it with its errno as the exit status."""

    imports = _IMPORTS

    def __init__(self) -> None:
        self._texts = bytearray()
        self._lines: list[str] = []

    def text(self, text: str) -> str:
        at = len(self._texts)
        self._texts += text.encode()
        return f"(i32.const {at}) (i32.const {len(text.encode())})"

    def call(self, name: str, arguments: str) -> Guest:
        self._lines.append(f"(local.set $e (call ${name} {arguments})) (if (local.get $e) (then (br $out)))")
        return self

    def open(self, path: str, *, fd: int = 3, rights: int = READ, oflags: int = 0, passed: int = 0) -> Guest:
        """Opens, with rights for what is opened through it (`passed`); the new descriptor is in $fd."""
        more = f"(i32.const {oflags}) (i64.const {rights}) (i64.const {passed}) (i32.const 0) (i32.const {SCRATCH})"
        self.call("path_open", f"(i32.const {fd}) (i32.const 1) {self.text(path)} {more}")
        self._lines.append(f"(local.set $fd (i32.load (i32.const {SCRATCH})))")
        return self

    def read(self, fd: str = "(local.get $fd)") -> Guest:
        self._iovec()
        return self.call("fd_read", f"{fd} (i32.const {SCRATCH}) (i32.const 1) (i32.const {SCRATCH + 8})")

    def write(self, text: str, fd: str = "(local.get $fd)") -> Guest:
        pointer, length = self.text(text).split(") ")
        self._lines.append(
            f"(i32.store (i32.const {SCRATCH}) {pointer})) (i32.store (i32.const {SCRATCH + 4}) {length})"
        )
        return self.call("fd_write", f"{fd} (i32.const {SCRATCH}) (i32.const 1) (i32.const {SCRATCH + 8})")

    def _iovec(self) -> None:
        self._lines.append(
            f"(i32.store (i32.const {SCRATCH}) (i32.const {SCRATCH + 16}))"
            f"(i32.store (i32.const {SCRATCH + 4}) (i32.const 64))"
        )

    def again(self) -> Guest:
        """From here on for ever: what follows is repeated until a call fails."""
        self._lines.append("(loop $again")
        return self

    def module(self, name: str = "guest") -> Module:
        loops = sum(line == "(loop $again" for line in self._lines)
        texts = "".join(f"\\{byte:02x}" for byte in self._texts)
        body = "\n".join(self._lines) + "(br $again))" * loops
        return from_wat(
            f'(module {self.imports} (data (i32.const 0) "{texts}")'
            ' (func (export "_start") (local $e i32) (local $fd i32)'
            f"(block $out {body}) (call $proc_exit (local.get $e))))",
            name=name,
        )


def fd(number: int) -> str:
    """A descriptor by its number, as an argument."""
    return f"(i32.const {number})"
