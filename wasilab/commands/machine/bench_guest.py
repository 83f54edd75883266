"""The benchmark's guests: WebAssembly text that makes one WASI call many times and reports the nanoseconds it took.

The same binary runs under every host. It opens `bench.dat` in its first preopened directory, makes the call 2,000
times to warm up and then in batches of 500, checking each time for errno 0. The end of its stdout are numbers of 8
bytes: the nanoseconds of each batch by the monotonic clock, and those of all batches together by the process's CPU
clock, 0 where the host has none.
"""

from __future__ import annotations

FILE = "bench.dat"
BATCH = 500
"""Calls between two readings of the clock."""
WARM = 2000
"""Calls before the first measured one."""
_TIMES = 8192
"""Address of the batches' times."""

_SIGNATURES = {
    "clock_time_get": "i32 i64 i32",
    "fd_tell": "i32 i32",
    "fd_write": "i32 i32 i32 i32",
    "fd_read": "i32 i32 i32 i32",
    "fd_close": "i32",
    "path_filestat_get": "i32 i32 i32 i32 i32",
    "path_open": "i32 i32 i32 i32 i32 i64 i64 i32 i32",
}
_RIGHTS = (1 << 1) | (1 << 2) | (1 << 5) | (1 << 6)
_OPEN = (
    "(call $path_open (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const 9) (i32.const 0) "
    f"(i64.const {_RIGHTS}) (i64.const 0) (i32.const 0) (i32.const 520))"
)

# The file's descriptor is in $fd; a 16-byte buffer at 4096 is described by the iovec at 64, a line of 20 bytes by the
# two at 72, as the C library's printf writes it.
CALLS = {
    "clock_time_get": "(call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 128))",
    "fd_tell": "(call $fd_tell (local.get $fd) (i32.const 128))",
    "fd_write 16 B": "(call $fd_write (local.get $fd) (i32.const 64) (i32.const 1) (i32.const 128))",
    "fd_read 16 B": "(call $fd_read (local.get $fd) (i32.const 64) (i32.const 1) (i32.const 128))",
    "path_filestat_get": (
        "(call $path_filestat_get (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const 9) (i32.const 256))"
    ),
    "open and close": f"(i32.or {_OPEN} (call $fd_close (i32.load (i32.const 520))))",
    "line to stdout": "(call $fd_write (i32.const 1) (i32.const 72) (i32.const 2) (i32.const 128))",
}
"""Label -> the call, an expression that is 0 on success."""


def guest(call: str, count: int) -> str:
    """The text of the guest that makes `call` (a key of `CALLS`) `count` times, in batches."""
    imports = "\n".join(
        f'(import "wasi_snapshot_preview1" "{name}" (func ${name} (param {words}) (result i32)))'
        for name, words in _SIGNATURES.items()
    )
    body, end = CALLS[call], _TIMES + 8 * (count // BATCH)

    def loop(label: str, times: int) -> str:
        return f"""
        (local.set $i (i32.const {times}))
        (loop ${label}
          (if {body} (then unreachable))
          (br_if ${label} (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))"""

    return f"""(module
      {imports}
      (memory (export "memory") {end // 65536 + 1})
      (data (i32.const 1024) "{FILE}")
      (data (i32.const 4096) "sixteen bytes...")
      (data (i32.const 4112) "a line of twenty by\\0a")
      (func $now (param $clock i32) (result i64)
        (if (result i64) (call $clock_time_get (local.get $clock) (i64.const 0) (i32.const 512))
          (then (i64.const 0)) (else (i64.load (i32.const 512)))))
      (func (export "_start") (local $fd i32) (local $i i32) (local $t i64) (local $cpu i64) (local $at i32)
        (if {_OPEN} (then unreachable))
        (local.set $fd (i32.load (i32.const 520)))
        (i32.store (i32.const 64) (i32.const 4096)) (i32.store (i32.const 68) (i32.const 16))
        (i32.store (i32.const 72) (i32.const 4112)) (i32.store (i32.const 76) (i32.const 19))
        (i32.store (i32.const 80) (i32.const 4131)) (i32.store (i32.const 84) (i32.const 1))
        {loop("warm", WARM)}
        (local.set $at (i32.const {_TIMES}))
        (local.set $cpu (call $now (i32.const 2)))
        (loop $batches
          (local.set $t (call $now (i32.const 1)))
          {loop("measured", BATCH)}
          (local.set $t (i64.sub (call $now (i32.const 1)) (local.get $t)))
          (i64.store (local.get $at) (local.get $t))
          (br_if $batches (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const {end}))))
        (i64.store (local.get $at) (i64.sub (call $now (i32.const 2)) (local.get $cpu)))
        (i32.store (i32.const 64) (i32.const {_TIMES})) (i32.store (i32.const 68) (i32.const {end + 8 - _TIMES}))
        (if (call $fd_write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 128)) (then unreachable))))"""
