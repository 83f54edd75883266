"""A compiler's text in colours: the same rules for what each of the compilers writes, and no colour of its own."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasilab.text.compiler_text import html, painted, plain, styled
from wasilab.text.palette import ANSI

CLANG = "cell.c:4:7: error: no such thing\n    4 |   int x = y;\n      |           ^~~\n1 error generated."
WARNED = "cell.c:3:1: warning: unused [-Wunused]\n    3 | int a;\n      | ^\n      | int b"
ZIG = "cell.zig:5:29: error: use of undeclared identifier 'y'\n  f(.{y});\n      ^\nnote: here"
RUST = (
    "error[E0308]: mismatched types\n --> cell.rs:3:18\n  |\n3 |     let x: i32 = \"no\";\n"
    "  |            ---   ^^^^ expected `i32`\n  |            |\n  |            because of this\n  = note: `x` is i32"
)  # fmt: skip
ASC = "ERROR TS2322: Type 'a' is wrong.\n   :\n 2 │ let x: i32 = a;\n   │              ~\n   └─ in cell.ts(2,14)"
GO = "cell.go:5:14: error: undefined: fmt\n    5 | \tfmt.Println()\n      | \t^"
WAT = "error: unknown operator\n     --> cell.wat:3:28\n      |\n    3 |   (foo)\n      |    ^"
LINKER = "wasm-ld-22: error: cell.o: undefined symbol: foo"


def styles(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for pieces in painted(text):
        for style, piece in pieces:
            if style and piece.strip():
                found.setdefault(style, []).append(piece.strip())
    return found


@pytest.mark.parametrize(
    ("text", "errors", "places"),
    [
        (CLANG, ["error:", "^~~"], ["cell.c:4:7:"]),
        (ZIG, ["error:", "^"], ["cell.zig:5:29:"]),
        (RUST, ["error[E0308]:", "---   ^^^^ expected `i32`", "|", "because of this"], ["cell.rs:3:18", "="]),
        (ASC, ["ERROR TS2322:", "~"], ["cell.ts(2,14)"]),
        (GO, ["error:", "^"], ["cell.go:5:14:"]),
        (WAT, ["error:", "^"], ["cell.wat:3:28"]),
        (LINKER, ["error:"], ["wasm-ld-22:"]),
    ],
)
def test_severity_marks_and_place_of_each_compiler(text: str, errors: list[str], places: list[str]) -> None:
    found = styles(text)
    assert found["error"] == errors
    assert found["place"] == places


def test_marks_have_the_colour_of_what_they_belong_to() -> None:
    found = styles(f"{WARNED}\n{CLANG}")
    assert found["warning"] == ["warning:", "^", "int b"]
    assert found["error"] == ["error:", "^~~"]
    assert styles(ZIG)["note"] == ["note:"]


def test_a_source_line_is_left_as_it_is() -> None:
    for line in ("    3 | int a; // error: not one", "2 │ let x = '^^^';", "   int warning = 3;", "1 error generated."):
        assert styles(line) == {}


@given(st.text(alphabet=st.sampled_from("ab:^~|│ \t\n\x1b[0m31;error:warning<&12-->=.c\x07\x9b")))
def test_no_text_is_lost_and_no_escape_of_its_own_lives(text: str) -> None:
    shown = "\n".join(styled(text, ANSI))
    ours = re.compile(r"\x1b\[(?:1;3[36]|1;38;5;196|1|0)m")
    assert ours.sub("", shown) == plain(text).rstrip("\n")
    assert "\x1b" not in ours.sub("", shown)
    page = html(text)
    assert "<" not in re.sub(r'</?span(?: style="[a-z0-9#:;-]+")?>', "", page)
