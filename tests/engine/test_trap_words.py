"""Why a program executed `unreachable`: an abort, an assertion, a panic, no main, an undefined place."""

from __future__ import annotations

import pytest

import wasilab
from wasilab.engine.outcome import Frame, Outcome
from wasilab.engine.postmortem.trap_words import TRAP_WORDS, out_of_bounds_words, unreachable_words
from wasilab.toolchains.diagnostics import ToolchainMissing
from wasilab.toolchains.registry import toolchain_for


@pytest.mark.parametrize(
    ("functions", "lang", "words"),
    [
        (["abort", "__original_main"], "c", "the program ended itself by abort()"),
        (["abort", "__assert_fail", "main"], "c", "an assertion of the program failed"),
        (["undefined_weak:main", "__main_void", "_start"], "c", "the program has no main(): write one"),
        (["undefined_weak:helper", "main"], "c", "the program called helper, which is declared and defined nowhere"),
        (["signature_mismatch:add", "main"], "c", "called add with other arguments or another result than it is"),
        (["__rust_start_panic", "rust_panic", "std::panicking::begin"], "rust", "the program panicked"),
        (["__original_main", "_start"], "c", "__original_main reached a place that the compiler replaced by a trap"),
        (["f(int)", "main"], "c++", "f reached a place that the compiler replaced by a trap"),
        (["f", "_start"], None, TRAP_WORDS["UNREACHABLE"]),
        ([], "c", TRAP_WORDS["UNREACHABLE"]),
    ],
)
def test_the_innermost_functions_tell_why(functions: list[str], lang: str | None, words: str) -> None:
    assert words in unreachable_words([Frame(name) for name in functions], lang)


@pytest.mark.parametrize(("depth", "deeper"), [(1, False), (11, False), (12, True), (1000, True)])
def test_a_stack_that_leaves_the_memory_is_told_from_a_stray_pointer(depth: int, deeper: bool) -> None:
    words = out_of_bounds_words([*([Frame("f")] * depth), Frame("main")])
    assert words.startswith(TRAP_WORDS["MEMORY_OUT_OF_BOUNDS"])
    assert ("f calls itself again and again" in words) == deeper


@pytest.mark.toolchain
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("abort();", "the program ended itself by abort()"),
        ("assert(0 == 1);", "an assertion of the program failed"),
        ("int *p = 0; *p = 1;", "reached a place that the compiler replaced by a trap"),
    ],
)
def test_programs_of_c_end_with_a_sentence_of_their_own(body: str, words: str) -> None:
    try:
        toolchain_for("c").find()
    except ToolchainMissing as error:
        pytest.skip(str(error).splitlines()[0])
    source = f"#include <assert.h>\n#include <stdlib.h>\nint main(void) {{ {body} return 0; }}\n"
    outcome = wasilab.run(wasilab.compile(source, "c")).outcome
    assert outcome is not None
    assert outcome.exit_code == 134
    assert words in outcome.message


def test_a_guest_cannot_draw_with_the_name_of_a_function() -> None:
    words = unreachable_words([Frame("undefined_weak:\x1b[31m")], "c")
    assert "\x1b" in words  # Outcome makes every message visible
    assert "\x1b" not in Outcome("trap", 134, words).message
