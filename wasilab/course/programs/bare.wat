;; Hello with one import: it can write to what is open, and nothing else.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "Hello\n")
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 16))  ;; where the bytes are
    (i32.store (i32.const 4) (i32.const 6))   ;; how many
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
