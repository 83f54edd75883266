"""The exercises of part B, lessons 07 to 12."""

from __future__ import annotations

from ...grants.grants import Grants
from ..claim import Claim, Judged
from ..claims.about_output import exits, prints
from ..claims.about_pairs import repeats, that
from ..entries import Exercise, Trial

_DRIVER = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "mine" "add" (func $add (param i32) (result i32)))
  (import "mine" "most" (func $most (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "?")
  (func $print (param $digit i32)
    (i32.store8 (i32.const 16) (i32.add (i32.const 48) (local.get $digit)))
    (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 1))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func (export "_start")
    (call $print (call $add (i32.const 3)))
    (call $print (call $add (i32.const 4)))
    (call $print (call $add (i32.const -5)))
    (call $print (call $most))))
"""
"""Adds 3, 4 and -5, and asks for the most: it prints 3, 7, 2 and 7 for a counter that is right."""


def _dice(other: Judged) -> tuple[Claim, ...]:
    frozen = other.grants.clocks.spec.startswith("frozen")
    seed = other.grants.random.spec
    return (
        prints(other.stdout or "three dice"),
        repeats(other).worth(2).hint("Which calls answer differently? Two grants decide what they answer."),
        that("the clock is not frozen", lambda run: not frozen),
        that("the seed is not 1", lambda run: seed != "seeded:1"),
    )


PART_B: tuple[Exercise, ...] = (
    Exercise(
        "08.1", "A counter that remembers its most", minutes=8,
        statement="Write a reactor with the exports `add(int) -> int`, which returns the sum so far, and "
        "`most() -> int`, which returns the largest sum that there ever was.",
        starter="""#define EXPORT(name) __attribute__((export_name(#name))) name

static int sum;

int EXPORT(add)(int by) {
    return sum += by;
}

int EXPORT(most)(void) {
    return 0;
}
""",
        flags=("-mexec-model=reactor",),
        options="--reactor",
        trials=(
            Trial("add 3, 4 and -5, then ask for the most", (
                exits(0),
                prints("372").hint("`add` returns the sum so far."),
                prints("3727").worth(2).hint("Compare at each addition.", "A second variable can keep the most."),
            ), grants=Grants, driver=_DRIVER),
        ),
    ),
    Exercise(
        "11.1", "A run that repeats", minutes=8, kind="run",
        statement="Run `dice` twice in such a way that both runs make the same calls and get the same answers, but not "
        "with the seed 1 and not with a frozen clock.",
        starter="""def mine():
    return wasilab.run(program("dice"), [])


first, second = mine(), mine()
""",
        pair=_dice,
    ),
)  # fmt: skip
