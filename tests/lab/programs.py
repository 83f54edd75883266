"""Small programs in WebAssembly text for labs: one that opens and passes descriptors, one that gets them."""

from __future__ import annotations

from wasilab.module.module import Module, load

_WASI = """
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_tell" (func $tell (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
"""

READER = load(
    f"""(module {_WASI} (import "opener" "back" (func $back (param i32) (result i32)))
      (memory (export "memory") 1) (global $kept (mut i32) (i32.const -1))
      (func $take (param $fd i32) (result i32)
        (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 100))
        (if (call $read (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)) (then (return (i32.const -1))))
        (i32.load (i32.const 8)))
      (func (export "count") (param i32) (result i32) (call $take (local.get 0)))
      (func (export "number") (param i32) (result i32) (local.get 0))
      (func (export "scribble") (param i32) (result i32)
        (i32.store (i32.const 0) (i32.const 2048)) (i32.store (i32.const 4) (i32.const 3))
        (call $write (local.get 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (func (export "shut") (param i32) (result i32) (call $close (local.get 0)))
      (func (export "keep") (param i32) (global.set $kept (local.get 0)))
      (func (export "later") (result i32) (call $take (global.get $kept)))
      (func (export "twice") (param i32 i64) (result i32) (i32.mul (i32.const 2) (call $back (local.get 0))))
      (func (export "boom") (result i32) unreachable)
      (func (export "leave") (param i32) (call $exit (local.get 0)))
      (func (export "spin") (loop (br 0)))
      (data (i32.const 2048) "abc"))""".encode(),
    name="reader.wasm",
)
"""Gets descriptors as plain numbers. It holds none of its own."""

OPENER = load(
    f"""(module {_WASI}
      (import "reader" "count" (func $count (param i32) (result i32)))
      (import "reader" "number" (func $number (param i32) (result i32)))
      (import "reader" "scribble" (func $scribble (param i32) (result i32)))
      (import "reader" "shut" (func $shut (param i32) (result i32)))
      (import "reader" "keep" (func $keep (param i32)))
      (import "reader" "later" (func $later (result i32)))
      (import "reader" "twice" (func $twice (param i32 i64) (result i32)))
      (import "reader" "boom" (func $boom (result i32)))
      (import "reader" "leave" (func $leave (param i32)))
      (import "reader" "spin" (func $spin))
      (memory (export "memory") 1)
      (func $opened (export "open") (result i32)
        (if (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 0)
            (i64.const 0x600066) (i64.const 0) (i32.const 0) (i32.const 64))
          (then (return (i32.const -1))))
        (i32.load (i32.const 64)))
      (func (export "_start") (drop (call $count (call $opened))))
      (func (export "count") (param i32) (result i32) (call $count (local.get 0)))
      (func (export "number") (param i32) (result i32) (call $number (local.get 0)))
      (func (export "scribble") (param i32) (result i32) (call $scribble (local.get 0)))
      (func (export "shut") (param i32) (result i32) (call $shut (local.get 0)))
      (func (export "keep") (param i32) (call $keep (local.get 0)))
      (func (export "later") (result i32) (call $later))
      (func (export "twice") (param i32) (result i32) (call $twice (local.get 0) (i64.const -7)))
      (func (export "back") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
      (func (export "boom") (result i32) (call $boom))
      (func (export "leave") (param i32) (call $leave (local.get 0)))
      (func (export "spin") (call $spin))
      (func (export "close") (param i32) (result i32) (call $close (local.get 0)))
      (func (export "tell") (param i32) (result i32)
        (drop (call $tell (local.get 0) (i32.const 72))) (i32.load (i32.const 72)))
      (data (i32.const 16) "a.txt"))""".encode(),
    name="opener.wasm",
)
"""Holds a folder at descriptor 3, opens a.txt in it for reading and writing, and passes numbers on."""


def text(body: str, name: str = "program.wasm") -> Module:
    """A module of WebAssembly text."""
    return load(f"(module {body})".encode(), name=name)


def command(body: str, name: str) -> Module:
    """A command with `$read fd at size -> n` and `$write fd at size -> n` (-errno), and 64 KiB of memory from 65536."""
    return load(
        f"""(module {_WASI}
          (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
          (memory (export "memory") 3)
          (func $input (param $fd i32) (param $at i32) (param $size i32) (result i32) (local $errno i32)
            (i32.store (i32.const 0) (local.get $at)) (i32.store (i32.const 4) (local.get $size))
            (local.set $errno (call $read (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)))
            (if (local.get $errno) (then (return (i32.sub (i32.const 0) (local.get $errno)))))
            (i32.load (i32.const 8)))
          (func $output (param $fd i32) (param $at i32) (param $size i32) (result i32) (local $errno i32)
            (i32.store (i32.const 0) (local.get $at)) (i32.store (i32.const 4) (local.get $size))
            (local.set $errno (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)))
            (if (local.get $errno) (then (return (i32.sub (i32.const 0) (local.get $errno)))))
            (i32.load (i32.const 8)))
          {body})""".encode(),
        name=name,
    )


FLOOD = command(
    """(func (export "_start") (local $left i32) (local $n i32) (local.set $left (i32.const 1000000))
      (block $done (loop $again
        (br_if $done (i32.le_s (local.get $left) (i32.const 0)))
        (local.set $n (call $output (i32.const 1) (i32.const 65536) (i32.const 50000)))
        (if (i32.lt_s (local.get $n) (i32.const 0)) (then (call $exit (i32.sub (i32.const 0) (local.get $n)))))
        (local.set $left (i32.sub (local.get $left) (local.get $n)))
        (br $again))))""",
    "flood.wasm",
)
"""Writes a million bytes or a few more to stdout; its exit status is the errno of the first write that failed."""
CAT = command(
    """(func (export "_start") (local $n i32) (local $at i32)
      (block $done (loop $again
        (local.set $n (call $input (i32.const 0) (i32.const 65536) (i32.const 65536)))
        (br_if $done (i32.le_s (local.get $n) (i32.const 0)))
        (local.set $at (i32.const 0))
        (loop $rest
          (local.set $at (i32.add (local.get $at) (call $output (i32.const 1)
            (i32.add (i32.const 65536) (local.get $at)) (i32.sub (local.get $n) (local.get $at)))))
          (br_if $rest (i32.lt_s (local.get $at) (local.get $n))))
        (br $again))))""",
    "cat.wasm",
)
HEAD = command(
    """(func (export "_start") (drop (call $output (i32.const 1) (i32.const 65536)
      (call $input (i32.const 0) (i32.const 65536) (i32.const 100)))))""",
    "head.wasm",
)
"""Reads once, 100 bytes at most, writes them and ends."""
