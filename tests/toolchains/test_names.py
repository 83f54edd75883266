"""File names and flags: what leads out of the compile folder, or would break a compile, is refused in one sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasilab.toolchains.diagnostics import ToolchainError
from wasilab.toolchains.names import check_files, check_flags, source_file_name


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "/etc/passwd",
        "a/../../x",
        "",
        ".",
        "..",
        "a//b",
        "a/",
        "C:\\x",
        "a\\b",
        "./x",
        "a\0b",
        "a\nb",
        "x" * 300,
    ],
)
def test_a_file_that_does_not_stay_in_the_folder_is_refused_by_name(name: str) -> None:
    with pytest.raises(ToolchainError, match="file name") as caught:
        check_files({name: "text"}, "cell.c")
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("name", ["cell.c", "out.wasm", "out.wasm/x", "deps.d"])
def test_names_that_the_compile_uses_are_refused(name: str) -> None:
    with pytest.raises(ToolchainError, match=r"taken by the compile itself"):
        check_files({name: ""}, "cell.c")


def test_a_file_cannot_also_be_a_folder() -> None:
    with pytest.raises(ToolchainError, match="both a file and the folder"):
        check_files({"a": "", "a/b.h": ""}, "cell.c")
    with pytest.raises(ToolchainError, match="both a file and the folder"):
        check_files({"cell.c/b.h": ""}, "cell.c")


def test_contents_must_be_text() -> None:
    with pytest.raises(ToolchainError, match="names to text"):
        check_files({"a.h": b"bytes"}, "cell.c")  # type: ignore[dict-item]


def test_plain_and_nested_names_pass() -> None:
    files = {"util.h": "1", "sub/deep/x.h": "2", "héllo.h": "3"}
    assert check_files(files, "cell.c") == files


@given(st.text(max_size=300))
def test_any_cell_name_becomes_a_harmless_file_name(name: str) -> None:
    made = source_file_name(name, (".c",))
    assert made.endswith((".c", ".C"))
    assert "/" not in made
    assert "\\" not in made
    assert not made.startswith((".", "-"))
    assert made.isprintable()
    assert len(made.encode()) < 120


@pytest.mark.parametrize(
    ("name", "made"),
    [("copy", "copy.c"), ("copy.c", "copy.c"), ("/a/b/copy.c", "copy.c"), ("", "cell.c"), ("..", "cell.c"),
     ("my prog", "my prog.c"), ("naïve ☃", "naïve ☃.c"), ("a:b?", "a_b_.c"),
     ("a.b", "a.b.c"), ("-o", "o.c"), (".c", "c.c")],
)  # fmt: skip
def test_cell_names(name: str, made: str) -> None:
    assert source_file_name(name, (".c",)) == made


def test_flags_are_words_and_refused_ones_say_why() -> None:
    assert check_flags(["-O2", "-lm"], {"-o": "no"}, "C") == ("-O2", "-lm")
    with pytest.raises(ToolchainError, match=r"'-o' is not usable here: because"):
        check_flags(["-o"], {"-o": "because"}, "C")
    with pytest.raises(ToolchainError, match=r"--emit=asm"):
        check_flags(["--emit=asm"], {"--emit": "because"}, "Rust")
    with pytest.raises(ToolchainError, match="list of words"):
        check_flags("-O2 -g", {}, "C")
    with pytest.raises(ToolchainError, match="NUL"):
        check_flags(["-D\0"], {}, "C")
