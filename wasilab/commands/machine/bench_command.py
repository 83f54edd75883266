"""`bench`: what a WASI call costs on this machine, compared with other hosts."""

from __future__ import annotations

import json

from ...engine.session import why_not_native
from ...text.numbers import counted
from ..line.argument_types import count
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem
from .bench_guest import CALLS
from .call_costs import TITLES, Judged, Table, lines, measure
from .doctor_command import native_words


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.description = (
        "What a WASI call costs on this machine: wasilab with and without its trace, Node, wasmtime-py and a "
        "bare os.write. They take turns in one run, so the ratios hold on a busy machine too."
    )
    parser.add_argument(
        "call", nargs="*", metavar="CALL", help=f"only these calls: {', '.join(name.split()[0] for name in CALLS)}"
    )
    parser.add_argument("--rounds", type=count, default=3, metavar="N", help="turns of each host (default 3)")
    parser.add_argument(
        "--by", choices=[*TITLES, "all"], default="best",
        help="the best 500 calls in a row (default), the median 500, the mean of all, the CPU time, or all of these",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="as JSON")


def execute(request: Request, frontend: Frontend) -> Done:
    """Measure, and print the table. Raises `UsageProblem` for a call that is not measured."""
    options = request.options
    calls = [_call(word) for word in options.call] or list(CALLS)
    table: Table = {}
    with frontend.busy("measuring", options.json) as busy:
        for call, so_far in measure(calls, options.rounds):
            table = so_far
            busy.tick(f"measured {call}")
    if options.json:
        frontend.say(json.dumps(facts(table), indent=2))
        return Done(0)
    shown: list[Judged] = list(TITLES) if options.by == "all" else [options.by]
    frontend.say("\n\n".join("\n".join(lines(table, by)) for by in shown))
    frontend.say(f"\n{counted(options.rounds, 'round')}; {native_words(why_not_native())}")
    return Done(0)


def _call(word: str) -> str:
    found = [name for name in CALLS if word in (name, name.split()[0])]
    if not found:
        raise UsageProblem(f"bench measures no call {word!r}; it measures {', '.join(n.split()[0] for n in CALLS)}")
    return found[0]


def facts(table: Table) -> dict[str, object]:
    """The table as plain JSON values: ns per call, None where a host is absent."""
    return {
        call: {
            label: None if figures is None else {by: figures.judged(by) for by in TITLES}
            for label, figures in column.items()
        }
        for call, column in table.items()
    }
