;; A reactor: `tick` adds to a number that lives on between the calls, and writes a dot to stdout; `total` returns it.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) ".")
  (global $total (mut i32) (i32.const -1))
  (func (export "_initialize") (global.set $total (i32.const 0)))
  (func (export "tick") (param $by i32) (result i32)
    (i32.store (i32.const 0) (i32.const 16))
    (i32.store (i32.const 4) (i32.const 1))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (global.set $total (i32.add (global.get $total) (local.get $by)))
    (global.get $total))
  (func (export "total") (result i32) (global.get $total)))
