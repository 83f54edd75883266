;; A thread waits in an atomic instruction until the other one notifies it; stores are apart, the memory is shared.

(module $Mem (memory (export "shared") 1 1 shared))

(thread $sleeper (shared (module $Mem))
  (register "mem" $Mem)
  (module
    (memory (import "mem" "shared") 1 1 shared)
    (func (export "sleep") (result i32)
      (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))
  (assert_return (invoke "sleep") (either (i32.const 0) (i32.const 1))))

(thread $waker (shared (module $Mem))
  (register "mem" $Mem)
  (module
    (memory (import "mem" "shared") 1 1 shared)
    (func (export "wake")
      (i32.atomic.store (i32.const 0) (i32.const 1))
      (loop $again
        (br_if $again (i32.eqz (i32.or
          (memory.atomic.notify (i32.const 0) (i32.const 1))
          (i32.atomic.load (i32.const 0))))))))
  (invoke "wake"))

(wait $sleeper)
(wait $waker)

(register "mem" $Mem)
(module (memory (import "mem" "shared") 1 1 shared)
  (func (export "look") (result i32) (i32.atomic.load (i32.const 0))))
(assert_return (invoke "look") (i32.const 1))

(thread $apart
  (assert_unlinkable (module (import "mem" "shared" (memory 1 1 shared))) "unknown import"))
(wait $apart)
