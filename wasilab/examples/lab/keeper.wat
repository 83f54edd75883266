;; Holds a folder at descriptor 3. It opens notes.txt, passes the descriptor to another program as a plain argument, and
;; then a number that it made up. Its exit status is the number of lines that the other one counted.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "counter" "count_lines" (func $count_lines (param i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "notes.txt")

  (func (export "_start") (local $lines i32)
    ;; path_open(3, 0, "notes.txt", 0, fd_read | fd_seek | fd_write, 0, 0) -> descriptor at 64
    (if (call $path_open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 9) (i32.const 0)
          (i64.const 0x46) (i64.const 0) (i32.const 0) (i32.const 64))
      (then (call $proc_exit (i32.const 99))))
    (local.set $lines (call $count_lines (i32.load (i32.const 64))))
    (drop (call $count_lines (i32.const 12345)))  ;; forged: the other program is not even entered
    (call $proc_exit (local.get $lines))))
