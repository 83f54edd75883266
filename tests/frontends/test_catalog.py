"""The list of commands and the files of the commands are the same."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

import wasilab.commands
from wasilab.commands.catalog import COMMANDS, command_names, find_command
from wasilab.commands.line.grammar import build, parse
from wasilab.commands.line.parser import SHORT_USAGE
from wasilab.commands.line.usage import UsageProblem


def test_every_command_file_is_in_the_list_and_every_entry_has_its_file() -> None:
    folder = Path(wasilab.commands.__file__).parent
    paths = [path.relative_to(folder).with_suffix("") for path in folder.rglob("*_command.py")]
    files = {path.as_posix().replace("/", ".") for path in paths}
    assert files == {command.home for command in COMMANDS}


def test_every_command_module_has_its_parser_and_its_function() -> None:
    for command in COMMANDS:
        module = command.module()
        assert callable(module.add_arguments), command.name
        assert callable(module.execute), command.name


def test_no_name_or_alias_is_used_twice() -> None:
    names = [name for command in COMMANDS for name in (command.name, *command.aliases)]
    assert len(names) == len(set(names))


def test_what_only_a_notebook_has_is_not_found_on_the_command_line() -> None:
    assert find_command("list", "cli") is None
    assert find_command("ls", "notebook") is find_command("list", "notebook")
    assert set(command_names("cli")) < set(command_names("notebook"))


def test_the_help_of_every_command_has_an_example_that_it_understands() -> None:
    for command in COMMANDS:
        if command.notebook_only:
            continue
        shown = build(command, "cli").format_help().partition("\n\n")[2]  # without the line of the usage
        assert f"wasilab {command.name}" in shown or "xample" in shown, command.name
        if command.example:
            assert parse(shlex.split(command.example), "cli").command == command.name


def test_the_usage_of_no_command_buries_its_description() -> None:
    for name in command_names("cli"):
        usage = build(name, "cli").format_help().partition("\n\n")[0]
        assert len(usage.splitlines()) <= SHORT_USAGE, name
    with pytest.raises(UsageProblem, match=r"^FILE missing: wasilab replay \[OPTION\]\.\.\. FILE$"):
        parse(["replay"], "cli")
