;; words FILE: count the lines, words and bytes of a file.
;;
;; Memory: 0 results and iovecs, 64 constant texts, 256 argument pointers, 1024 argument texts,
;;         8192 name of a granted directory, 12288 output, 16384 bytes read
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $fd_prestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_dir_name" (func $fd_prestat_dir_name (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2)
  (data (i32.const 64) "usage: words FILE\n")
  (data (i32.const 96) ": errno ")
  (data (i32.const 112) ": ")
  (data (i32.const 128) " lines, ")
  (data (i32.const 144) " words, ")
  (data (i32.const 160) " bytes\n")
  (data (i32.const 176) "\n")
  (global $out (mut i32) (i32.const 12288))

  (func $strlen (param $text i32) (result i32)
    (local $end i32)
    (local.set $end (local.get $text))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (i32.load8_u (local.get $end))))
        (local.set $end (i32.add (local.get $end) (i32.const 1)))
        (br $next)))
    (i32.sub (local.get $end) (local.get $text)))

  ;; append a text, then a number in decimal, to the output
  (func $text (param $from i32) (param $length i32)
    (memory.copy (global.get $out) (local.get $from) (local.get $length))
    (global.set $out (i32.add (global.get $out) (local.get $length))))
  (func $number (param $n i32)
    (if (i32.ge_u (local.get $n) (i32.const 10))
      (then (call $number (i32.div_u (local.get $n) (i32.const 10)))))
    (i32.store8 (global.get $out) (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10))))
    (global.set $out (i32.add (global.get $out) (i32.const 1))))
  (func $flush (param $fd i32)
    (i32.store (i32.const 0) (i32.const 12288))
    (i32.store (i32.const 4) (i32.sub (global.get $out) (i32.const 12288)))
    (drop (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))

  ;; whether the path starts with the directory's name and a slash
  (func $beneath (param $path i32) (param $name i32) (param $length i32) (result i32)
    (local $i i32)
    (loop $next
      (if (i32.lt_u (local.get $i) (local.get $length))
        (then
          (if (i32.ne (i32.load8_u (i32.add (local.get $path) (local.get $i)))
                      (i32.load8_u (i32.add (local.get $name) (local.get $i))))
            (then (return (i32.const 0))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $next))))
    (i32.eq (i32.load8_u (i32.add (local.get $path) (local.get $length))) (i32.const 47)))

  ;; open the path beneath the granted directory that it names: the errno, the descriptor at address 16
  (func $open (param $path i32) (result i32)
    (local $directory i32) (local $length i32) (local $rest i32)
    (local.set $directory (i32.const 3)) ;; 0, 1 and 2 are the standard streams
    (loop $next
      (if (call $fd_prestat_get (local.get $directory) (i32.const 0))
        (then (return (i32.const 44)))) ;; there are no more: NOENT
      (local.set $length (i32.load (i32.const 4)))
      (if (i32.le_u (local.get $length) (i32.const 4096))
        (then
          (drop (call $fd_prestat_dir_name (local.get $directory) (i32.const 8192) (local.get $length)))
          (if (call $beneath (local.get $path) (i32.const 8192) (local.get $length))
            (then
              (local.set $rest (i32.add (i32.add (local.get $path) (local.get $length)) (i32.const 1)))
              (return
                (call $path_open (local.get $directory) (i32.const 1) (local.get $rest)
                  (call $strlen (local.get $rest)) (i32.const 0)
                  (i64.const 6) (i64.const 0) ;; the rights to read and to seek
                  (i32.const 0) (i32.const 16)))))))
      (local.set $directory (i32.add (local.get $directory) (i32.const 1)))
      (br $next))
    (unreachable))

  (func (export "_start")
    (local $path i32) (local $file i32) (local $errno i32) (local $n i32) (local $i i32) (local $c i32)
    (local $lines i32) (local $words i32) (local $bytes i32) (local $space i32) (local $inside i32)
    (drop (call $args_sizes_get (i32.const 0) (i32.const 4)))
    (if (i32.or (i32.ne (i32.load (i32.const 0)) (i32.const 2))
                (i32.gt_u (i32.load (i32.const 4)) (i32.const 3072)))
      (then
        (call $text (i32.const 64) (i32.const 18))
        (call $flush (i32.const 2))
        (call $proc_exit (i32.const 2))))
    (drop (call $args_get (i32.const 256) (i32.const 1024)))
    (local.set $path (i32.load (i32.const 260)))

    (local.set $errno (call $open (local.get $path)))
    (if (local.get $errno)
      (then
        (call $text (local.get $path) (call $strlen (local.get $path)))
        (call $text (i32.const 96) (i32.const 8))
        (call $number (local.get $errno))
        (call $text (i32.const 176) (i32.const 1))
        (call $flush (i32.const 2))
        (call $proc_exit (i32.const 1))))
    (local.set $file (i32.load (i32.const 16)))

    (block $end
      (loop $more
        (i32.store (i32.const 0) (i32.const 16384))
        (i32.store (i32.const 4) (i32.const 65536))
        (br_if $end (call $fd_read (local.get $file) (i32.const 0) (i32.const 1) (i32.const 8)))
        (local.set $n (i32.load (i32.const 8)))
        (br_if $end (i32.eqz (local.get $n)))
        (local.set $bytes (i32.add (local.get $bytes) (local.get $n)))
        (local.set $i (i32.const 0))
        (loop $next
          (local.set $c (i32.load8_u (i32.add (i32.const 16384) (local.get $i))))
          (local.set $lines (i32.add (local.get $lines) (i32.eq (local.get $c) (i32.const 10))))
          (local.set $space ;; a blank, or 9 to 13: tab, line feed, vertical tab, form feed, carriage return
            (i32.or (i32.eq (local.get $c) (i32.const 32))
                    (i32.lt_u (i32.sub (local.get $c) (i32.const 9)) (i32.const 5))))
          (local.set $words
            (i32.add (local.get $words) (i32.eqz (i32.or (local.get $space) (local.get $inside)))))
          (local.set $inside (i32.eqz (local.get $space)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
        (br $more)))
    (drop (call $fd_close (local.get $file)))

    (call $text (local.get $path) (call $strlen (local.get $path)))
    (call $text (i32.const 112) (i32.const 2))
    (call $number (local.get $lines))
    (call $text (i32.const 128) (i32.const 8))
    (call $number (local.get $words))
    (call $text (i32.const 144) (i32.const 8))
    (call $number (local.get $bytes))
    (call $text (i32.const 160) (i32.const 7))
    (call $flush (i32.const 1))))
