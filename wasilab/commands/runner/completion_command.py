"""`completion`: a script for bash, zsh or fish that completes wasilab's commands, options and their values."""

from __future__ import annotations

from ...text.nearest import did_you_mean
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem
from .shells import SHELLS, described

WHERE = {
    "bash": 'eval "$(wasilab completion bash)"      in ~/.bashrc',
    "zsh": 'eval "$(wasilab completion zsh)"       in ~/.zshrc, after compinit',
    "fish": "wasilab completion fish | source       in ~/.config/fish/config.fish",
}
"""The line that loads each shell's script."""


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.description = (
        "Print the script that makes a shell complete wasilab's commands, options and values. To load it:\n\n  "
        + "\n  ".join(WHERE.values())
    )
    parser.add_argument("shell", metavar="SHELL", help=", ".join(SHELLS))


def execute(request: Request, frontend: Frontend) -> Done:
    """Print the named shell's script."""
    shell = request.options.shell
    if shell not in SHELLS:
        nearest = did_you_mean(shell, SHELLS)
        raise UsageProblem(f"no completion for {shell!r}: choose {', '.join(SHELLS)}{nearest}")
    frontend.say(SHELLS[shell](described("cli")))
    return Done()
