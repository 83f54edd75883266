"""Lines of source from DWARF, for what compilers make and for what strangers damage."""

from __future__ import annotations

import random

import pytest

import wasilab
from wasilab.module.dwarf import SourceMap, source_map
from wasilab.module.module import Module

C = """#include <stdio.h>
#include <stdlib.h>

static void __attribute__((noinline)) inner(int n) {
  if (n > 1)
    abort();
}

int main(void) {
  puts("one");
  fflush(stdout);
  inner(getchar() + 3);
  return 0;
}
"""


@pytest.fixture(scope="module")
def program() -> Module:
    return wasilab.compile(C, "c", flags=["-O0"])


@pytest.mark.toolchain
def test_every_call_knows_the_line_that_made_it(program: Module) -> None:
    assert program.has_dwarf
    run = wasilab.run(program, stacks=True)
    lines = source_map(program)
    assert lines is not None
    found = {}
    for call in run.trace:
        own = [lines.locate(frame.offset) for frame in call.stack]
        found.setdefault(call.name, [place.line for place in own if place and lines.is_own(place)])
    assert found["fd_write"][-1] in (10, 11)  # puts, or the flush after it
    assert found["fd_read"][-1] == 12


@pytest.mark.toolchain
def test_a_trap_is_shown_with_file_and_line(program: Module) -> None:
    run = wasilab.run(program)
    frames = [(f.function, f.line) for f in run.outcome.frames if f.file == program.source_name]
    assert frames == [("inner", 6), ("main", 12)] or frames[-1] == ("__original_main", 12), frames


@pytest.mark.toolchain
def test_places_outside_the_code_have_no_line(program: Module) -> None:
    lines = source_map(program)
    assert lines is not None
    for offset in (0, 1, 10**9, -5):
        assert lines.locate(offset) is None
    assert not lines.is_own(None)


@pytest.mark.toolchain
def test_damaged_debug_sections_give_no_lines_and_no_errors(program: Module) -> None:
    rng = random.Random(1)
    offsets = range(program.code_offset or 0, (program.code_offset or 0) + 2000, 7)
    sections = [name for name in program.custom_sections if name.startswith(".debug")]
    for name in sections:
        payload = program.custom(name)
        assert payload is not None
        at = program.bytes.index(payload)
        for _ in range(3):
            damaged = bytearray(program.bytes)
            for _ in range(20):
                damaged[at + rng.randrange(len(payload))] = rng.randrange(256)
            lines = SourceMap(Module(bytes(damaged)))
            for offset in offsets:
                place = lines.locate(offset)
                assert place is None or place.line > 0


def test_empty_debug_sections_give_no_source() -> None:
    def custom(name: bytes) -> bytes:
        return b"\0" + bytes([1 + len(name), len(name)]) + name

    module = Module(b"\0asm\1\0\0\0" + custom(b".debug_info") + custom(b".debug_line"))
    lines = source_map(module)
    assert lines is not None
    assert lines.locate(20) is None
