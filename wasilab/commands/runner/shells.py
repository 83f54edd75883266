"""The completion scripts of bash, zsh and fish, made from the commands' own parsers.

The scripts are self-contained: completing a word starts no Python. They contain only names of commands, options,
choices and help texts, all from this package.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..catalog import COMMANDS
from ..line.frontend import FrontendKind
from ..line.grammar import build
from ..line.parser import Parser

FOLDERS = ("--dir", "--mapdir")
"""Options whose value begins with the path of a folder."""


class CompletedOption(NamedTuple):
    """One option of a command, with all its spellings."""

    names: tuple[str, ...]
    help: str
    takes_value: bool
    choices: tuple[str, ...]


class CompletedCommand(NamedTuple):
    """One command with its options."""

    names: tuple[str, ...]
    summary: str
    options: tuple[CompletedOption, ...]


def described(kind: FrontendKind) -> list[CompletedCommand]:
    """The commands of a front end."""
    found = []
    for command in COMMANDS:
        if not command.notebook_only or kind == "notebook":
            options = _options(build(command, kind))
            found.append(CompletedCommand((command.name, *command.aliases), command.summary, options))
    return found


def _options(parser: Parser) -> tuple[CompletedOption, ...]:
    return tuple(
        CompletedOption(
            tuple(action.option_strings), " ".join((action.help or "").replace("%%", "%").split()), action.nargs != 0,
            tuple(map(str, action.choices or ())),
        )
        for action in parser._actions
        if action.option_strings
    )  # fmt: skip


def _quoted(text: str) -> str:
    """A text as one word of a POSIX shell."""
    return "'" + text.replace("'", "'\\''") + "'"


# ---- bash


def bash(commands: Sequence[CompletedCommand]) -> str:
    """The script for bash."""
    lines = [
        "# wasilab: completion for bash; made by `wasilab completion bash`",
        "_wasilab() {",
        "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}",
        "    COMPREPLY=()",
        "    if [ \"$COMP_CWORD\" -eq 1 ]; then",
        f"        COMPREPLY=($(compgen -W {_quoted(' '.join(one.names[0] for one in commands))} -- \"$word\"))",
        "        return",
        "    fi",
        "    case \"$command\" in",
    ]
    for command in commands:
        lines.append(f"    {'|'.join(command.names)})")
        lines.append('        case "$before" in')
        for option in command.options:
            if option.takes_value:
                lines.append(f"        {'|'.join(option.names)}) {_bash_values(option)}; return ;;")
        lines.append("        esac")
        names = " ".join(name for option in command.options for name in option.names if name.startswith("--"))
        lines.append('        case "$word" in')
        lines.append(f'        -*) COMPREPLY=($(compgen -W {_quoted(names)} -- "$word")); return ;;')
        lines.append("        esac ;;")
    lines += [
        "    esac",
        '    COMPREPLY=($(compgen -f -- "$word"))',
        "}",
        "complete -o filenames -F _wasilab wasilab",
    ]
    return "\n".join(lines)


def _bash_values(option: CompletedOption) -> str:
    if option.choices:
        return f'COMPREPLY=($(compgen -W {_quoted(" ".join(option.choices))} -- "$word"))'
    kind = "-d" if option.names[0] in FOLDERS else "-f"
    return f'COMPREPLY=($(compgen {kind} -- "$word"))'


# ---- zsh


def zsh(commands: Sequence[CompletedCommand]) -> str:
    """The script for zsh."""
    lines = [
        "#compdef wasilab",
        "# wasilab: completion for zsh; made by `wasilab completion zsh`",
        "_wasilab() {",
        "    local -a offered",
        "    local word=${words[CURRENT]} before=${words[CURRENT-1]}",
        "    if (( CURRENT == 2 )); then",
        "        offered=(",
        *(f"            {_quoted(_zsh_item(one.names[0], one.summary))}" for one in commands),
        "        )",
        "        _describe -t commands command offered",
        "        return",
        "    fi",
        "    case ${words[2]} in",
    ]
    for command in commands:
        lines.append(f"    ({'|'.join(command.names)})")
        lines.append("        case $before in")
        for option in command.options:
            if option.takes_value:
                lines.append(f"        ({'|'.join(option.names)}) {_zsh_values(option)}; return ;;")
        lines.append("        esac")
        lines.append("        if [[ $word == -* ]]; then")
        lines.append("            offered=(")
        for option in command.options:
            lines += [
                f"                {_quoted(_zsh_item(name, option.help))}"
                for name in option.names if name.startswith("--")
            ]  # fmt: skip
        lines += ["            )", "            _describe -o -t options option offered", "            return"]
        lines += ["        fi ;;"]
    lines += ["    esac", "    _files", "}", "compdef _wasilab wasilab"]
    return "\n".join(lines)


def _zsh_item(name: str, text: str) -> str:
    return name.replace(":", "\\:") + ":" + text


def _zsh_values(option: CompletedOption) -> str:
    if option.choices:
        return f"compadd -- {' '.join(map(_quoted, option.choices))}"
    return "_files -/" if option.names[0] in FOLDERS else "_files"


# ---- fish


def fish(commands: Sequence[CompletedCommand]) -> str:
    """The script for fish."""
    lines = ["# wasilab: completion for fish; made by `wasilab completion fish`", "complete -c wasilab -e"]
    for command in commands:
        lines.append(
            f"complete -c wasilab -n __fish_use_subcommand -f -a {command.names[0]} -d {_fish(command.summary)}"
        )
    for command in commands:
        seen = _fish(f"__fish_seen_subcommand_from {' '.join(command.names)}")
        for option in command.options:
            spelled = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names)
            value = ""
            if option.choices:
                value = f" -x -a {_fish(' '.join(option.choices))}"
            elif option.takes_value:
                value = " -x -a '(__fish_complete_directories)'" if option.names[0] in FOLDERS else " -r"
            lines.append(f"complete -c wasilab -n {seen} {spelled}{value} -d {_fish(option.help)}")
    return "\n".join(lines)


def _fish(text: str) -> str:
    """A text as one word of fish; within its quotes only these two characters are special."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


SHELLS: dict[str, Callable[[Sequence[CompletedCommand]], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
"""The shells that have a script."""
