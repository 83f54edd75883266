"""One grammar for both front ends: what belongs to the guest, what to us, and what a wrong word is answered with."""

from __future__ import annotations

import pytest

from wasilab.commands.catalog import command_names
from wasilab.commands.line.frontend import FrontendKind
from wasilab.commands.line.grammar import parse
from wasilab.commands.line.usage import HelpAsked, UsageProblem
from wasilab.commands.line.words import Values, split
from wasilab.commands.notebook.cell_line import parse_cell


def test_everything_after_the_program_belongs_to_the_guest() -> None:
    request = parse(["run", "--dir", "in", "a.wasm", "--dir", "x", "-h", "--", "--strace"], "cli")
    assert request.options.file == "a.wasm"
    assert list(map(str, request.options.grant_dirs)) == ["in"]
    assert request.rest == ["--dir", "x", "-h", "--", "--strace"]
    assert not request.options.strace


def test_strace_takes_a_file_only_behind_an_equals_sign() -> None:
    request = parse(["run", "--strace", "a.wasm"], "cli")
    assert request.options.strace
    assert request.options.file == "a.wasm"
    request = parse(["run", "--strace=out.txt", "a.wasm"], "cli")
    assert request.options.strace_file == "out.txt"


def test_compiler_flags_stand_after_two_dashes() -> None:
    request = parse(["compile", "a.c", "-o", "b.wasm", "--", "-O2", "-o"], "cli")
    assert (request.options.file, request.options.output, request.rest) == ("a.c", "b.wasm", ["-O2", "-o"])
    cell = parse_cell(["c", "--name", "x", "--", "-lm"])
    assert (cell.options.lang, cell.options.name, cell.rest) == ("c", "x", ["-lm"])


def test_a_value_that_looks_like_an_option_stays_a_value() -> None:
    values = Values()
    line = "--dir {folder} --args {words}"
    found = split(line, lambda source: {"folder": "--deny-all", "words": ["-x", "b c"]}[source], values)
    options = parse_cell(found, values).options
    assert list(map(str, options.grant_dirs)) == ["--deny-all"]
    assert options.deny_all is False
    assert options.args == ["-x", "b c"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "--starce", "a.wasm"], "did you mean '--strace'?"),
        (["run", "--dirr=in", "a.wasm"], "did you mean '--dir'?"),
        (["run"], "FILE"),
        (["run", "--fuel", "many", "a.wasm"], "--fuel"),
        (["run", "--timeout", "-1", "a.wasm"], "--timeout"),
        (["run", "--max-memory", "lots", "a.wasm"], "--max-memory"),
        (["run", "--rights", "wide", "a.wasm"], "strict"),
        (["run", "--preload", "env", "a.wasm"], "NAME=FILE"),
        (["rnu", "a.wasm"], "did you mean 'run'?"),
        (["hello.wasm"], "wasilab run hello.wasm"),
        (["--dir", "in", "run", "a.wasm"], "the command comes first"),
        (["inspect", "a.wasm", "c.wasm", "b.wasm"], "'b.wasm' is one argument too many"),
        (["compile", "a.c", "-o"], "-o"),
        (["trace", "x.parquet", "--sumary"], "did you mean '--summary'?"),
        (["list"], "unknown command 'list'"),
    ],
)
def test_a_wrong_word_is_one_line_with_the_nearest_valid_one(words: list[str], said: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        parse(words, "cli")
    assert said in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--dir"], "--dir needs a value: --dir HOST[::GUEST][:ro|:rw|:copy]"),
        (["--dir", "--mem", "/tmp"], "--dir needs a value: --dir HOST[::GUEST][:ro|:rw|:copy]"),
        (["--args", "-v"], "--args needs a value: --args 'ARG...' (one that begins with -: --args=-x)"),
        (["--name"], "--name needs a value: --name NAME"),
        (["--no-trace=yes"], "--no-trace takes no value: write --no-trace without =yes"),
        (["--rights", "loose"], "--rights loose: choose strict or compat"),
        (["--repeat", "0"], "--repeat: '0' is not a whole number of at least 1: write digits, such as 1000 or 10M"),
        (["c", "a b.c"], "'a b.c' is one argument too many; the program's own arguments: --args 'a b.c'"),
        (["--frobnicate"], "unknown option --frobnicate (%%wasi --help lists them)"),
        (["--trcae"], "unknown option --trcae; did you mean '--trace'?"),
    ],
)
def test_a_cells_line_says_what_is_missing_and_what_may_stand_there(words: list[str], said: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        parse_cell(words)
    assert caught.value.message == said


def test_a_missing_argument_is_named_with_the_whole_line() -> None:
    with pytest.raises(UsageProblem, match=r"^SOURCE missing: %wasi compile SOURCE \[-o OUT\]"):
        parse(["compile"], "notebook")
    with pytest.raises(UsageProblem, match=r"^PROGRAM wrods: choose hello or words$"):
        parse(["template", "c", "wrods"], "cli")


@pytest.mark.parametrize("kind", ["cli", "notebook"])
def test_every_command_has_help_that_names_its_options(kind: FrontendKind) -> None:
    for command in command_names(kind):
        with pytest.raises(HelpAsked) as caught:
            parse([command, "--help"], kind)
        assert caught.value.text.startswith("usage: ")
    with pytest.raises(HelpAsked) as caught:
        parse([], kind)
    assert all(command in caught.value.text for command in command_names(kind))
    with pytest.raises(HelpAsked) as caught:
        parse_cell(["--help"])
    assert "%%wasi" in caught.value.text
    assert "--detach" in caught.value.text
