;; What an ELF program takes for granted and WebAssembly has not. Code has no address: a function pointer is an index of a
;; table, and index 0 is a function like any other. Address 0 is memory like any other. A call through a pointer checks the
;; callee's exact type: a wrong one traps, instead of running with the wrong arguments.
(module
  (type $number (func (result i32)))
  (type $other (func (param i64)))
  (memory (export "memory") 1)
  (table (export "table") 2 funcref)
  (elem (i32.const 0) $seven $eight)
  (func $seven (result i32) (i32.const 7))
  (func $eight (result i32) (i32.const 8))
  (func (export "store_at_zero") (result i32)
    (i32.store (i32.const 0) (i32.const 1234))
    (i32.load (i32.const 0)))
  (func (export "call") (param $pointer i32) (result i32) (call_indirect (type $number) (local.get $pointer)))
  (func (export "call_as_other") (param $pointer i32) (call_indirect (type $other) (i64.const 0) (local.get $pointer))))
