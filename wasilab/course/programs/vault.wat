;; A vault with a weakness: `check` compares a guess with its secret letter by letter, works a while for each letter that
;; is right, and stops at the first that is wrong. A guess is up to eight letters in one number, the first in the lowest byte.
(module
  (func (export "check") (param $guess i64) (result i32)
    (local $secret i64) (local $work i32)
    (local.set $secret (i64.const 0x6e6f6f6d))  ;; "moon"
    (loop $letter
      (if (i64.ne (i64.and (local.get $guess) (i64.const 255)) (i64.and (local.get $secret) (i64.const 255)))
        (then (return (i32.const 0))))
      (if (i64.eqz (local.get $secret)) (then (return (i32.const 1))))
      (local.set $work (i32.const 200000))
      (loop $working
        (local.set $work (i32.sub (local.get $work) (i32.const 1)))
        (br_if $working (local.get $work)))
      (local.set $guess (i64.shr_u (local.get $guess) (i64.const 8)))
      (local.set $secret (i64.shr_u (local.get $secret) (i64.const 8)))
      (br $letter))
    (unreachable)))
