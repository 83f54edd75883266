"""The grammar of `wasilab COMMAND ...` and `%wasi COMMAND ...`: words in, a `Request` out.

A request that cannot be understood raises `UsageProblem` with the nearest valid option. What a command does, and which
options it has, is in the command's own file (`commands/catalog.py` lists them); what an option of a grant means is in
`grants/forms/flags.py`. argparse makes the help texts and converts the values. The words before and after the program's
name are separated here, because everything after FILE belongs to the guest, even if it looks like a wasilab option.
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Sequence
from typing import get_args

from ...text.nearest import did_you_mean
from ...text.palette import ColorChoice
from ...version import __version__
from ..catalog import COMMANDS, command_names, find_command
from .frontend import FrontendKind
from .parser import Parser
from .request import Request
from .subcommand import Subcommand
from .usage import HelpAsked, UsageProblem
from .words import Values


def program_name(kind: FrontendKind) -> str:
    """What is typed before a command."""
    return "wasilab" if kind == "cli" else "%wasi"


def build(command: str | Subcommand, kind: FrontendKind, values: Values | None = None) -> Parser:
    """The parser of one command. Raises `KeyError` for a name that is not a command of the front end."""
    found = find_command(command, kind) if isinstance(command, str) else command
    if found is None:
        raise KeyError(command)
    parser = Parser(f"{program_name(kind)} {found.name}", values or Values())
    found.module().add_arguments(parser, kind)
    if found.example:
        example = f"Example: {program_name(kind)} {found.example}"
        parser.epilog = f"{example}\n\n{parser.epilog}" if parser.epilog else example
    if kind == "cli":
        parser.add_argument(
            "--color", choices=get_args(ColorChoice), default="auto",
            help="colours: auto (a terminal has them, unless NO_COLOR is set), always or never",
        )  # fmt: skip
    parser.shorten_usage()
    return parser.expanding()


# --- reading a request ---------------------------------------------------------------------------------------------


def parse(words: Sequence[str], kind: FrontendKind, values: Values | None = None) -> Request:
    """The request that `words` (command first) express. Raises `UsageProblem` or `HelpAsked`."""
    values = values or Values()
    if not words or words[0] in ("-h", "--help", "help"):
        if len(words) > 1 and (words[0] == "help" or find_command(words[1], kind)):
            return parse([words[1], "--help"], kind, values)
        raise HelpAsked(overview(kind))
    if words[0] in ("-V", "--version"):
        from ...engine.compiling import advisories

        against = advisories.warning(advisories.installed())
        raise HelpAsked(f"wasilab {__version__}\n" + (f"{against}\n" if against else ""))
    command = find_command(words[0], kind)
    if command is None:
        raise UsageProblem(_no_such_command(values.shown(words[0]), kind), command=program_name(kind))
    parser = build(command, kind, values)
    if command.arguments == "program":
        ours, rest = split_at_program(parser, words[1:])
    elif command.arguments == "compiler":
        ours, rest = split_at_dashes(words[1:])
    else:
        ours, rest = list(words[1:]), []
    options = read_options(parser, ours)
    return Request(command.name, options, [values.text(word) for word in rest], values)


def split_at_dashes(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words before the first `--`, and those after it."""
    words = list(words)
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


def split_at_program(parser: Parser, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Our words up to and including FILE, and the guest's words after it."""
    takes_value = parser.takes_value()
    at = 0
    while at < len(words):
        word = words[at]
        if word == "--":
            return [*words[:at], *words[at + 1 : at + 2]], list(words[at + 2 :])
        if not word.startswith("-") or word == "-":
            return list(words[: at + 1]), list(words[at + 1 :])
        at += 2 if takes_value.get(word) else 1
    return list(words), []


def read_options(parser: Parser, words: Sequence[str]) -> argparse.Namespace:
    """argparse's namespace for `words`. Raises `UsageProblem`, which names the nearest option for an unknown one."""
    takes_value = parser.takes_value()
    words = ["--strace-file=" + word[9:] if word.startswith("--strace=") else word for word in words]
    for at, word in enumerate(words):
        if word.startswith("--isolate="):
            choice, choices = word.partition("=")[2], parser.choices("--isolation")
            if choices and choice not in choices:
                parser.error(f"{word}: choose {' or '.join(choices)}")
            words[at] = f"--isolation={choice}"
    options, unknown = parser.parse_known_args(words)
    if unknown:
        word = parser.values.shown(unknown[0])
        if word.startswith("-") and word != "-":
            name = word.partition("=")[0]
            alike = [each for each in takes_value if each.startswith("--") == name.startswith("--")]
            parser.error(f"unknown option {name}{did_you_mean(name, alike, f' ({parser.prog} --help lists them)')}")
        if f"--{word}" in takes_value:
            parser.error(f"{word!r} is one argument too many; did you mean '--{word}'?")
        guest = f"; the program's own arguments: --args {shlex.quote(word)}" if parser.prog == "%%wasi" else ""
        parser.error(f"{word!r} is one argument too many{guest}")
    return options


def _no_such_command(word: str, kind: FrontendKind) -> str:
    names = command_names(kind)
    if word.endswith(".wast"):
        return f"{word!r} is not a command; to run a test script: {program_name(kind)} wast {word}"
    if re.search(r"\.(wasm|wat|c|cc|cpp|cxx|zig|rs|go|ts|py)$", word) or "/" in word:
        return f"{word!r} is not a command; to run a program: {program_name(kind)} run {word}"
    if word.startswith("-"):
        return f"the command comes first, then its options ({word} came first): {', '.join(names)}"
    return f"unknown command {word!r}{did_you_mean(word, names, ': ' + ', '.join(names))}"


def overview(kind: FrontendKind) -> str:
    """The help text of the front end itself."""
    prog = program_name(kind)
    names = command_names(kind)
    lines = [f"usage: {prog} COMMAND [OPTION]...", ""]
    width = max(map(len, names)) + 2
    lines += [f"  {command.name:{width}}{command.summary}" for command in COMMANDS if command.name in names]
    lines += ["", f"{prog} COMMAND --help describes a command."]
    if kind == "notebook":
        lines.append("A cell that begins with %%wasi [LANG] compiles and runs its body; %wasi help cell describes it.")
    return "\n".join(lines) + "\n"
