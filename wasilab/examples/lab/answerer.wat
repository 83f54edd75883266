;; One end of a channel is its descriptor 3: it reads from it and answers with the same bytes in capitals, until the other
;; end is closed. It holds nothing else, and does not know who speaks.
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func $capitals (param $size i32) (local $at i32) (local $char i32)
    (local.set $at (i32.const 1024))
    (loop $again
      (local.set $char (i32.load8_u (local.get $at)))
      (if (i32.lt_u (i32.sub (local.get $char) (i32.const 97)) (i32.const 26))          ;; a to z
        (then (i32.store8 (local.get $at) (i32.sub (local.get $char) (i32.const 32)))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $at) (i32.add (i32.const 1024) (local.get $size))))))
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 1024))
    (loop $again
      (i32.store (i32.const 4) (i32.const 4096))
      (if (call $read (i32.const 3) (i32.const 0) (i32.const 1) (i32.const 8)) (then (return)))
      (if (i32.eqz (i32.load (i32.const 8))) (then (return)))
      (call $capitals (i32.load (i32.const 8)))
      (i32.store (i32.const 4) (i32.load (i32.const 8)))
      (drop (call $write (i32.const 3) (i32.const 0) (i32.const 1) (i32.const 8)))
      (br $again))))
