;; Components through the same command, beside core modules.

(component $c
  (core module $m
    (func (export "sum") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "half") (param f32) (result f32) (f32.mul (local.get 0) (f32.const 0.5)))
    (func (export "fail") unreachable))
  (core instance $i (instantiate $m))
  (func (export "sum") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "sum")))
  (func (export "half") (param "x" f32) (result f32) (canon lift (core func $i "half")))
  (func (export "letter") (param "a" u32) (param "b" u32) (result char) (canon lift (core func $i "sum")))
  (func (export "fail") (canon lift (core func $i "fail"))))
(assert_return (invoke "sum" (u32.const 4000000000) (u32.const 1)) (u32.const 4000000001))
(assert_return (invoke "half" (f32.const 3)) (f32.const 1.5))
(assert_return (invoke "half" (f32.const nan)) (f32.const nan:canonical))
(assert_return (invoke "letter" (u32.const 60) (u32.const 5)) (char.const "A"))
(assert_trap (invoke "fail") "unreachable")

(component definition $d (component $c2))
(component instance $one $d)
(assert_invalid (component (export "x" (func 3))) "unknown function 3")

(module (func (export "core") (result i32) (i32.const 1)))
(assert_return (invoke "core") (i32.const 1))
