;; No dup, but fd_renumber: a descriptor moves to another number, and what had that number is closed. Nothing is ever
;; held twice. Exit status: the bytes that were read from the number that one.txt got, 100 if the old one still answers.
;; Run it with a folder that holds one.txt and two.txt: wasilab run --dir . --strace renumber.wat
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_renumber" (func $fd_renumber (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "one.txttwo.txt")

  (func $open (param $name i32) (result i32)  ;; read-only; its number
    (drop (call $path_open (i32.const 3) (i32.const 0) (local.get $name) (i32.const 7) (i32.const 0)
      (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 64)))
    (i32.load (i32.const 64)))

  (func $read (param $fd i32) (result i32)  ;; bytes, or 100 where the descriptor is not open
    (i32.store (i32.const 0) (i32.const 1024))
    (i32.store (i32.const 4) (i32.const 99))
    (if (call $fd_read (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)) (then (return (i32.const 100))))
    (i32.load (i32.const 8)))

  (func (export "_start") (local $one i32) (local $two i32)
    (local.set $one (call $open (i32.const 16)))
    (local.set $two (call $open (i32.const 23)))
    (drop (call $fd_renumber (local.get $one) (local.get $two)))  ;; two.txt is closed by it
    (if (i32.ne (call $read (local.get $one)) (i32.const 100)) (then (call $proc_exit (i32.const 100))))
    (call $proc_exit (call $read (local.get $two)))))
