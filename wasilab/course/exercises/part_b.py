"""The exercises of part B, lessons 07 to 12."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, cast

from ...engine.lab.passing import DescriptorFlow
from ...grants.grants import Grants
from ...runs.lab import Member
from ..claim import Claim, Judged
from ..claims.about_calls import at_most, makes
from ..claims.about_modules import imports_none_of
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


class _JudgedLab(Protocol):
    """What the claims about a `Lab` of keeper and counter read. `wasilab.Lab` has all of it."""

    @property
    def flows(self) -> Sequence[DescriptorFlow]: ...
    def __getitem__(self, name: str) -> Member: ...


def _of_lab(predicate: Callable[[_JudgedLab], object]) -> Callable[[Judged], object]:
    """A predicate about a lab, where claims expect one about a run: `check` hands over what it was given."""
    return lambda lab: predicate(cast(_JudgedLab, lab))


def _counted(lab: _JudgedLab) -> bool | str:
    outcome = lab["keeper"].outcome
    if outcome is None:
        return "the keeper has not run: lab.run('keeper')"
    return outcome.exit_code == 2 or f"its exit status is {outcome.exit_code}"


def _forged(lab: _JudgedLab) -> bool | str:
    numbers = [flow.from_fd for flow in lab.flows if flow.to_fd < 0]
    return 12345 in numbers or "the link does not know that the argument is a descriptor"


def _attenuated(lab: _JudgedLab) -> bool | str:
    refused = [each.call for each in lab["counter"].denied.entries]
    return "fd_write" in refused or "its write was not refused"


PART_B: tuple[Exercise, ...] = (
    Exercise(
        "07.1", "Hello without a path", minutes=5,
        statement="Write a C program that prints `Hello`, and whose module imports no function whose name begins with "
        "`path_`, `sock_` or `environ_`.",
        starter="""#include <stdio.h>

int main(void) {
    FILE *screen = fopen("/dev/stdout", "w");
    fprintf(screen ? screen : stdout, "Hello\\n");
    return 0;
}
""",
        trials=(
            Trial("", (
                prints("Hello"),
                imports_none_of("path_*", "sock_*", "environ_*").worth(2).hint(
                    "Which function of the C library opens something by its name?",
                    "stdout is open before the program begins.",
                ),
            )),
        ),
    ),
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
        "09.1", "Hand over, and fail to forge", minutes=6, kind="python",
        statement="Change the link so that the lines are counted, the write of `counter` is refused, and the forged "
        "number does not enter it.",
        starter="""def mine():
    made = Lab()
    files = {"notes.txt": "one\\ntwo\\n", "diary.txt": "private\\n"}
    made.add("keeper", program("keeper"), Grants(dirs={"/data": MemDir(files)}))
    made.add("counter", program("counter"), Grants.nothing(stdout=True))
    made.link("keeper", "counter", passing={"count_lines": 0})
    return made
""",
        claims=(
            that("two lines are counted", _of_lab(_counted), needs_action=True),
            that("the forged number enters nothing", _of_lab(_forged), needs_action=True),
            that("the write is refused", _of_lab(_attenuated), needs_action=True).worth(2).hint(
                "What is passed on can be less than what is held.",
                'A link has the argument rights: "same", "ro", or names of rights.',
            ),
        ),
    ),
    Exercise(
        "10.1", "Wait without spinning", minutes=5,
        statement="This program waits 30 ms before it prints. Make it wait in one call, and ask for the time at most "
        "three times.",
        starter="""#include <stdio.h>
#include <time.h>

int main(void) {
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < 30);
    puts("done");
    return 0;
}
""",
        trials=(
            Trial("", (
                prints("done"),
                makes("call=poll_oneoff dur>25ms").worth(2).hint(
                    "Which function of <time.h> waits?", "nanosleep takes seconds and nanoseconds."
                ),
                at_most(3, "call=clock_time_get").hint("Asking again and again is not waiting."),
            )),
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
    Exercise(
        "12.1", "Feel the limit", minutes=5, kind="run",
        statement="Choose the limit of memory under which `growth 8` gets exactly 3 MiB. The program must end by "
        "itself, with exit status 3.",
        starter="""mine = wasilab.run(program("growth"), ["8"], Grants(limits=Limits(memory=64 << 20)))
""",
        claims=(
            prints("3 of 8 MiB").worth(2).hint(
                "The program needs memory beside its blocks: data, stack, and what malloc keeps for itself.",
                "Between the limit that is too small and the one that is too large, try the middle.",
            ),
            exits(3),
        ),
    ),
)  # fmt: skip
