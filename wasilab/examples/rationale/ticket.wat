;; References as capabilities, beside integers. The desk (Python functions) issues a ticket as an external reference: the
;; program can hold it, pass it and hand it back, and can make none. A seat number is an integer: any number can be tried.
(module
  (import "desk" "issue" (func $issue (result externref)))
  (import "desk" "enter_with_ticket" (func $with_ticket (param externref) (result i32)))
  (import "desk" "enter_with_number" (func $with_number (param i32) (result i32)))
  (global $ticket (mut externref) (ref.null extern))

  (func (export "buy") (global.set $ticket (call $issue)))
  (func (export "enter") (result i32) (call $with_ticket (global.get $ticket)))
  (func (export "enter_without") (result i32) (call $with_ticket (ref.null extern)))  ;; all that can be made is null
  (func (export "guess") (result i32) (local $n i32)  ;; tries numbers until one is let in; the number
    (loop $again
      (if (i32.eqz (call $with_number (local.get $n)))
        (then (local.set $n (i32.add (local.get $n) (i32.const 1))) (br $again))))
    (local.get $n)))
