"""A command: its name, its one line of help, and the module with its parser and function."""

from __future__ import annotations

from importlib import import_module
from typing import Literal, NamedTuple, Protocol, cast

from .frontend import Done, Frontend, FrontendKind
from .parser import Parser
from .request import Request


class CommandModule(Protocol):
    """What the module of a command defines."""

    def add_arguments(self, parser: Parser, kind: FrontendKind) -> None:
        """Put the command's options and arguments on `parser`, and its description."""

    def execute(self, request: Request, frontend: Frontend) -> Done:
        """Execute the request.

        Raises `UsageProblem`, `GrantError`, `ModuleError` or a `ToolchainError` for what the user can fix.
        """


class Subcommand(NamedTuple):
    """One entry of the list of commands (`commands/catalog.py`)."""

    name: str
    summary: str
    """One line for the list of commands, without a full stop."""
    home: str
    """The module below `commands/` that defines `add_arguments` and `execute`."""
    aliases: tuple[str, ...] = ()
    notebook_only: bool = False
    arguments: Literal["ours", "program", "compiler"] = "ours"
    """Who owns the last words: all ours; the guest's after the program's name; the compiler's (or the
    explored module's) after `--`."""
    example: str = ""
    """A command line for the end of its help, without the program's name; "" if the description has one."""

    def module(self) -> CommandModule:
        """The command's module, imported on first use, so that no command pays for another."""
        package = __package__.rpartition(".")[0]
        return cast(CommandModule, import_module(f"{package}.{self.home}"))
