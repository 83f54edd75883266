;; Copies what it is given to stdout, and writes a dot for a tick: a reactor. It never waits. The event loop is outside and
;; calls `input` when something came and `tick` when time passed; between two calls the program does not run at all.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) ".")
  (func $put (param $at i32) (param $size i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $size))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func (export "_initialize"))
  (func (export "buffer") (result i32) (i32.const 1024))          ;; where the input is to be written
  (func (export "input") (param $size i32) (call $put (i32.const 1024) (local.get $size)))
  (func (export "tick") (call $put (i32.const 16) (i32.const 1))))
