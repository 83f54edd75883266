"""Small programs in WebAssembly text, so that the front ends are tested without a compiler."""

from __future__ import annotations

_HEAD = """
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func $say (param $fd i32) (param $at i32) (param $n i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $n))
    (drop (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
"""


def program(body: str) -> str:
    """A command whose `_start` is `body`; `$say fd at n` writes memory."""
    return f"(module {_HEAD} {body})"


HELLO = program("""
  (data (i32.const 100) "hello\\n")
  (data (i32.const 120) "oops\\n")
  (func (export "_start")
    (call $say (i32.const 1) (i32.const 100) (i32.const 6))
    (call $say (i32.const 2) (i32.const 120) (i32.const 5)))
""")

EXIT_7 = program("""(func (export "_start") (call $exit (i32.const 7)))""")

TRAP = program("""(func $inner unreachable) (func (export "_start") (call $inner))""")

LOOP = program("""
  (data (i32.const 100) "ready\\n")
  (func (export "_start")
    (call $say (i32.const 1) (i32.const 100) (i32.const 6))
    (loop $again (br $again)))
""")

FLOOD = program("""
  (data (i32.const 100) "yyyyyyy\\n")
  (func (export "_start")
    (loop $again
      (call $say (i32.const 1) (i32.const 100) (i32.const 8))
      (br $again)))
""")

LINES_50000 = program("""
  (data (i32.const 100) "a line\\n")
  (func (export "_start") (local $n i32)
    (loop $again
      (call $say (i32.const 1) (i32.const 100) (i32.const 7))
      (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 50000)))))
""")

SLEEP = program("""
  (data (i32.const 100) "ready\\n")
  (func (export "_start")
    (call $say (i32.const 1) (i32.const 100) (i32.const 6))
    (i32.store (i32.const 216) (i32.const 1))
    (i64.store (i32.const 224) (i64.const 3600000000000))
    (drop (call $poll (i32.const 200) (i32.const 304) (i32.const 1) (i32.const 8)))
    (call $exit (i32.const 3)))
""")

ECHO = program("""
  (data (i32.const 100) "ready\\n")
  (func (export "_start") (local $n i32)
    (call $say (i32.const 1) (i32.const 100) (i32.const 6))
    (loop $again
      (i32.store (i32.const 0) (i32.const 1000))
      (i32.store (i32.const 4) (i32.const 500))
      (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then (call $exit (i32.const 9))))
      (local.set $n (i32.load (i32.const 8)))
      (if (i32.eqz (local.get $n)) (then (return)))
      (call $say (i32.const 1) (i32.const 1000) (local.get $n))
      (br $again)))
""")

OPEN_SECRET = program("""
  (data (i32.const 100) "secret.txt")
  (func (export "_start")
    (if (call $prestat (i32.const 3) (i32.const 400)) (then (call $exit (i32.const 44))))
    (call $exit (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 10) (i32.const 0)
      (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8))))
""")

ADD = '(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))'

MAKE_FILE = """(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $count (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 100) "made.txt")
  (func (export "_start")
    (if (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 8) (i32.const 1)
                    (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 32)) (then unreachable))
    (drop (call $count (i32.const 0) (i32.const 4)))
    (if (i32.gt_u (i32.load (i32.const 0)) (i32.const 1)) (then (call $exit (i32.const 1))))))
"""
"""Makes made.txt in its first directory; exit status 1 when it is given an argument."""

SLEEPS = """(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $i i32)
    (i32.store (i32.const 16) (i32.const 1))
    (i64.store (i32.const 24) (i64.const 20000000))
    (loop $more
      (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $i) (i32.const 100))))))"""
"""Sleeps a hundred times for 20 ms."""
