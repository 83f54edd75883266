"""`replay`: run a recorded program again without a host, and show where it differs from its recording."""

from __future__ import annotations

import argparse
from dataclasses import replace

from ...engine.limits import Limits
from ...grants.forms.flags import add_options, from_options, to_flags
from ...grants.grants import Grants
from ...grants.value import GrantError
from ...runs.replays.recordings import Recording
from ...runs.replays.replaying import ReplayedRun, replay
from ...text.escape import shorten, visible
from ...text.numbers import counted
from ...text.palette import Palette
from ...text.shell import join
from .. import programs
from ..line.argument_types import call_number
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.options import add_strace_options, file_argument
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem
from ..programs.program import load_program
from ..programs.running import grants_of
from ..traces.saved import load_trace

LONGEST_FLAGS = 100
"""Characters shown of flags that have no effect."""

_FRAMES = 20


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.description = (
        "Run a recorded program again: no folder, clock or network; each call is answered from the recording, which\n"
        "`run --record FILE.wtrace` makes. It stops at the first call that differs. Exit status: the recorded one;\n"
        "1 if the program differs from its recording, 2 for a recording that cannot be replayed.\n"
        "\n"
        "  wasilab replay run.wtrace --until 12 --continue --dir in --mem /out\n"
        "\n"
        "goes on live before call 12, under these grants: open files are opened again with the same numbers and\n"
        "offsets, clocks and randomness are those of now, stdin begins anew. The exit status is then the program's."
    )
    file_argument(parser, "the recording" + ("; or the name of a run" if kind == "notebook" else ""))
    parser.add_argument(
        "--until", type=call_number, metavar="CALL",
        help="stop before this call (as `trace` numbers them, from 0) and show where the program is",
    )  # fmt: skip
    parser.add_argument(
        "--from-file", dest="other", metavar="OTHER",
        help="run this program instead: does a new build make the same calls? Addresses may differ",
    )  # fmt: skip
    parser.add_argument(
        "--continue", dest="goes_on", action="store_true",
        help="go on live under the grants below: before --until CALL, where the program differs, or after the record",
    )  # fmt: skip
    add_options(parser)
    group = parser.add_argument_group("what is shown and kept")
    group.add_argument("--strace", action="store_true", help="every call of the replay as strace text")
    group.add_argument("--strace-file", metavar="FILE", help="the strace text into a file")
    group.add_argument("--trace", dest="trace_file", metavar="FILE", help="save the replay's own trace")
    group.add_argument(
        "--stacks", action="store_true", help="the guest's stacks and source lines, which the recording need not have"
    )
    add_strace_options(group)
    group.add_argument("-c", "--summary", action="store_true", help="calls, errors and time by name")
    group.add_argument("--quiet", action="store_true", help="the guest's own output only")


def _live_grants(options: argparse.Namespace, frontend: Frontend) -> Grants | None:
    """The grants to go on under; None for a replay only, whose limits and features are all that is taken of them."""
    if options.goes_on:
        return grants_of(options, frontend)
    given = from_options(options, Grants())
    rest = given.with_(limits=replace(given.limits, seconds=None, memory=Limits().memory), features=())
    if rest != Grants():
        try:
            words = f" ({shorten(join(to_flags(rest)), LONGEST_FLAGS)})"
        except GrantError:  # an input that is no text
            words = ""
        raise UsageProblem(
            f"a replay has no host and takes no grants{words}: with --continue the program goes on live under them"
        )
    return None


def execute(request: Request, frontend: Frontend) -> Done:
    """Replay a recording; the status is that of the recorded program, or 1 if the replay differs from it."""
    options = request.options
    trace = load_trace(options.file, frontend)
    run = frontend.run_named(options.file) if isinstance(options.file, str) else None
    other = None if options.other is None else load_program(options.other, frontend, quiet=options.quiet)
    module = other if other is not None else getattr(run, "module", None) if not trace.store.modules else None
    recording = Recording(trace, module)
    grants = _live_grants(options, frontend)
    given = from_options(options, Grants()) if grants is None else grants
    streams = frontend.streams()
    try:
        with frontend.busy(f"replaying {options.file}", options.quiet, ticking=True) as busy:
            replayed = replay(
                recording, until=options.until, continue_with=grants, stacks=options.stacks, limits=given.limits,
                features=given.features, on_stdout=streams.stdout, on_stderr=streams.stderr, on_tick=busy.tick,
                on_input=frontend.read_line, own_stdin=frontend.own_stdin,
                decide=frontend.asker() if given.ask else None,
            )  # fmt: skip
    finally:
        streams.close()
    options.apply = False
    for line in where_it_parted(replayed, frontend.err) if frontend.kind == "cli" else ():
        frontend.note(line)
    programs.after_run.after(replayed, options, frontend, False)
    if not options.quiet:
        frontend.remark(_said(replayed, recording, options.until))
    return Done(replayed.exit_code, replayed)


def where_it_parted(run: ReplayedRun, palette: Palette) -> list[str]:
    """The call at which a replay differs from its recording: the recorded call, the actual one, the guest's stack."""
    found = run.divergence
    if found is None:
        return []
    head = palette("note" if run.is_live else "error", f"wasilab: diverges from the recording at call {found.seq}: ")
    lines = [head + visible(found.difference)]
    lines += [f"    recorded: {visible(found.recorded)}"] * bool(found.recorded)
    lines += [f"    came:     {visible(found.came)}"] * bool(found.came)
    return lines + [f"    at {visible(str(frame))}" for frame in run.outcome.frames[:_FRAMES]]


def _said(run: ReplayedRun, recording: Recording, until: int | None) -> str:
    """The result of the replay, in one or more lines."""
    calls = counted(run.calls, "call")
    if run.is_live:
        return f"replayed {calls}, then live: {counted(len(run.trace) - run.calls, 'call')} under the grants"
    if run.is_stopped:
        at = recording.describe(run.calls) if run.calls < len(recording.trace) else "the end of the recording"
        lines = [f"stopped before call {run.calls}: {visible(at)}"]
        return "\n".join(lines + [f"    at {visible(str(frame))}" for frame in run.outcome.frames[:_FRAMES]])
    if run.divergence is not None:
        return f"{calls} of {len(recording.trace):,} were the same"
    if run.outcome.kind in ("limit", "error") and run.calls < len(recording.trace):
        return f"{calls} of {len(recording.trace):,} were replayed"
    what = "the other program makes the same calls" if recording.is_other else "the same calls, output and end"
    return f"replayed {calls}: {what}"
