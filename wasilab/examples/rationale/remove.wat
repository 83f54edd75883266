;; Two calls where POSIX has one with a flag: path_unlink_file removes a file and never a folder, path_remove_directory a
;; folder and never a file. A program that imports only one of them can do only that. Exit status: 10 times the errno of
;; unlinking a folder (EISDIR, 31) and the errno of removing a file as a folder (ENOTDIR, 54), added; then it removes both.
;; Run it with an empty folder in memory: wasilab run --mem / --strace remove.wat
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_create_directory" (func $mkdir (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_unlink_file" (func $unlink (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_remove_directory" (func $rmdir (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "filefolder")

  (func (export "_start") (local $status i32)
    (drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 4) (i32.const 1)  ;; O_CREAT
      (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 64)))
    (drop (call $mkdir (i32.const 3) (i32.const 20) (i32.const 6)))
    (local.set $status (i32.mul (i32.const 10) (call $unlink (i32.const 3) (i32.const 20) (i32.const 6))))
    (local.set $status (i32.add (local.get $status) (call $rmdir (i32.const 3) (i32.const 16) (i32.const 4))))
    (if (call $unlink (i32.const 3) (i32.const 16) (i32.const 4)) (then (local.set $status (i32.const 1))))
    (if (call $rmdir (i32.const 3) (i32.const 20) (i32.const 6)) (then (local.set $status (i32.const 2))))
    (call $proc_exit (local.get $status))))
