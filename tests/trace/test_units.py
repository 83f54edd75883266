"""The quick reading of compile units: the same answer as pyelftools, and none for what is damaged."""

from __future__ import annotations

import random

import pytest

import wasilab
from wasilab.module import dwarf
from wasilab.module.compile_units import unit_heads
from wasilab.module.dwarf import SourceMap

C = '#include <stdio.h>\nint main(void) {\n  puts("one");\n  return 0;\n}\n'
SECTIONS = ("info", "abbrev", "str", "ranges")


@pytest.mark.toolchain
def test_the_units_are_those_that_pyelftools_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    module = wasilab.compile(C, "c")
    quick, slow = SourceMap(module), SourceMap(module)
    places = range(module.code_offset or 0, len(module.bytes), 23)
    by_quick = [quick.locate(place) for place in places]
    monkeypatch.setattr(dwarf, "unit_heads", lambda *_: None)
    assert by_quick == [slow.locate(place) for place in places]
    assert len({location.file for location in by_quick if location}) > 10
    names = {quick.unit_name(place) for place in places}
    assert any((name or "").endswith("cell.c") for name in names)


@pytest.mark.toolchain
def test_damaged_units_give_none_or_some_and_never_raise() -> None:
    module = wasilab.compile(C, "c")
    sections = [module.custom(f".debug_{name}") or b"" for name in SECTIONS]
    whole = unit_heads(*sections, limit=10_000)
    assert whole
    dice = random.Random(5)
    for _ in range(60):
        damaged = [bytearray(section) for section in sections]
        for _ in range(30):
            section = dice.choice(damaged[:2])
            section[dice.randrange(min(len(section), 2000))] = dice.randrange(256)
        found = unit_heads(*map(bytes, damaged), limit=10_000)
        assert found is None or len(found) <= 10_000


def test_nothing_of_an_unknown_kind_is_guessed() -> None:
    assert unit_heads(b"", b"", b"", b"", 10) == []
    five = bytes.fromhex("10000000" "0500" "01" "04" "00000000") + bytes(16)
    assert unit_heads(five, b"\1\x11\0\0\0\0", b"", b"", 10) is None
