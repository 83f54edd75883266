"""`config`: the defaults for the cells of a notebook."""

from __future__ import annotations

from ...text.nearest import did_you_mean
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem
from ..runner.isolation import CHOICES, CHOSEN

WORDS = {
    "on": "programs run in a separate process, in the sandbox that this machine supports",
    "strict": "programs run in a separate process, and only if all layers of the sandbox are available",
    "off": "programs run in the kernel's own process",
}


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.description = "Show or change the defaults for the cells of this notebook."
    parser.add_argument("setting", nargs="?", metavar="isolate", help="whether programs run in a confined process")
    parser.add_argument("value", nargs="?", metavar="VALUE", help=", ".join(CHOICES))


def execute(request: Request, frontend: Frontend) -> Done:
    """Show or change a setting."""
    name, value = request.options.setting, request.options.value
    if name not in (None, "isolate"):
        raise UsageProblem(f"unknown setting {name!r}{did_you_mean(name, ['isolate'], '; the setting is isolate')}")
    if value is not None:
        if value not in CHOICES:
            raise UsageProblem(f"isolate cannot be {value!r}: choose {', '.join(CHOICES)}")
        CHOSEN.isolate = value
    frontend.say(f"isolate is {CHOSEN.isolate}: {WORDS[CHOSEN.isolate]}")
    return Done()
