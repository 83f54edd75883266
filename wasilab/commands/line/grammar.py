"""The one grammar of both doors: `wasilab SUBCOMMAND ...`, `%wasi SUBCOMMAND ...` and the line of a `%%wasi` cell.

It turns words into a `Request` (a command's name and its options) or raises `UsageProblem` with the nearest valid
option. What the commands do is in the files beside this one; what an option of a grant *means* is in
`grants/flags.py`. argparse does the help texts and the types; the words before and after the program's name are told
apart here, because everything after FILE belongs to the guest, options of ours or not.
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

from ...text.nearest import did_you_mean
from ...version import __version__
from .options import OF_COMMAND, SUMMARIES, add_cell, commands
from .parser import Door, Parser
from .usage import HelpAsked, UsageProblem
from .words import Values

ALIASES = {"ls": "list", "strace": "trace", "exec": "run", "build": "compile"}


@dataclass
class Request:
    """One request in words that have been understood."""

    command: str
    options: argparse.Namespace
    rest: list[str] = field(default_factory=list)
    """The guest's own arguments (`run`) or the compiler's flags (`compile`, a cell)."""
    values: Values = field(default_factory=Values)


def build(command: str, door: Door, values: Values | None = None) -> Parser:
    """The parser of one subcommand."""
    prog = f"{'wasilab' if door == 'cli' else '%wasi'} {command}"
    parser = Parser(prog, values or Values())
    OF_COMMAND[command](parser, door)
    return parser.expanding()


def build_cell(values: Values | None = None) -> Parser:
    """The parser of a `%%wasi` line, up to `--`."""
    parser = Parser("%%wasi", values or Values())
    add_cell(parser)
    return parser.expanding()


# --- reading a request ---------------------------------------------------------------------------------------------


def parse(words: Sequence[str], door: Door, values: Values | None = None) -> Request:
    """The request that `words` (subcommand first) make. Raises `UsageProblem` or `HelpAsked`."""
    values = values or Values()
    prog = "wasilab" if door == "cli" else "%wasi"
    if not words or words[0] in ("-h", "--help", "help"):
        if words[1:2] == ["cell"] and door == "notebook":
            raise HelpAsked(build_cell(values).format_help())
        if len(words) > 1 and (words[0] == "help" or words[1] in commands(door)):
            return parse([words[1], "--help"], door, values)
        raise HelpAsked(overview(door))
    if words[0] in ("-V", "--version"):
        raise HelpAsked(f"wasilab {__version__}\n")
    command = ALIASES.get(words[0], words[0])
    if command not in commands(door):
        raise UsageProblem(_no_such_command(values.shown(words[0]), door), command=prog)
    parser = build(command, door, values)
    if command == "run":
        ours, rest = split_at_program(parser, words[1:])
    elif command == "compile":
        ours, rest = split_at_dashes(words[1:])
    else:
        ours, rest = list(words[1:]), []
    options = _options(parser, ours)
    return Request(command, options, [values.text(word) for word in rest], values)


def parse_cell(words: Sequence[str], values: Values | None = None) -> Request:
    """The request that the words of a `%%wasi` line make. Raises `UsageProblem` or `HelpAsked`."""
    values = values or Values()
    ours, rest = split_at_dashes(words)
    parser = build_cell(values)
    options = _options(parser, ours)
    return Request("cell", options, [values.text(word) for word in rest], values)


def split_at_dashes(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words before the first `--`, and those after it."""
    words = list(words)
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


def split_at_program(parser: Parser, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Our words up to and including FILE, and the guest's own after it."""
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


def _options(parser: Parser, words: Sequence[str]) -> argparse.Namespace:
    """argparse's namespace for `words`; an option that does not exist is answered with the nearest that does."""
    takes_value = parser.takes_value()
    words = ["--strace-file=" + word[9:] if word.startswith("--strace=") else word for word in words]
    options, unknown = parser.parse_known_args(words)
    if unknown:
        word = parser.values.shown(unknown[0])
        if word.startswith("-") and word != "-":
            name = word.partition("=")[0]
            parser.error(
                f"there is no option {name}{did_you_mean(name, takes_value, f' ({parser.prog} --help lists them)')}"
            )
        guest = f"; the program's own arguments: --args {shlex.quote(word)}" if parser.prog == "%%wasi" else ""
        parser.error(f"{word!r} is one argument too many{guest}")
    return options


def _no_such_command(word: str, door: Door) -> str:
    if re.search(r"\.(wasm|wat|c|cc|cpp|cxx|zig|rs|go|ts|py)$", word) or "/" in word:
        return f"{word!r} is no command; to run a program: {'wasilab' if door == 'cli' else '%wasi'} run {word}"
    if word.startswith("-"):
        return f"the command comes first, then its options ({word} came first): {', '.join(commands(door))}"
    names = commands(door)
    return f"there is no command {word!r}{did_you_mean(word, names, ': ' + ', '.join(names))}"


def overview(door: Door) -> str:
    """The help text of the door itself."""
    prog = "wasilab" if door == "cli" else "%wasi"
    lines = [f"usage: {prog} COMMAND [OPTION]...", ""]
    lines += [f"  {name:10}{SUMMARIES[name]}" for name in commands(door)]
    lines += ["", f"{prog} COMMAND --help describes a command."]
    if door == "notebook":
        lines.append("A cell that begins with %%wasi [LANG] compiles and runs its body; %wasi help cell describes it.")
    return "\n".join(lines) + "\n"
