"""`replay`: run a recorded program again without a host, and show where it differs from its recording."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from ...engine.limits import BOUNDS, Limits
from ...runs.replays.recordings import Recording
from ...runs.replays.replaying import ReplayedRun, replay
from ...text.escape import visible
from ...text.numbers import counted
from ...text.palette import Palette
from .. import programs
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.options import add_strace_options, file_argument
from ..line.parser import Parser
from ..line.request import Request
from ..programs.program import load_program
from ..traces.saved import load_trace

_FRAMES = 20


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.description = (
        "Run a recorded program again: no folder, clock or network; each call is answered from the recording, which\n"
        "`run --record FILE.wtrace` makes. It stops at the first call that differs. Exit status: the recorded one;\n"
        "1 if the program differs from its recording, 2 for a recording that cannot be replayed."
    )
    file_argument(parser, "the recording" + ("; or the name of a run" if kind == "notebook" else ""))
    parser.add_argument(
        "--until", type=_call_number, metavar="CALL",
        help="stop before this call (as `trace` numbers them, from 0) and show where the program is",
    )  # fmt: skip
    parser.add_argument(
        "--from-file", dest="other", metavar="OTHER",
        help="run this program instead: does a new build make the same calls? Addresses may differ",
    )  # fmt: skip
    parser.add_argument(
        "--feature", dest="features", action="append", default=[], metavar="NAME[=off]",
        help="turn a WebAssembly feature on or off, as for run: a recording turns none on",
    )  # fmt: skip
    for name in ("seconds", "memory"):
        bound = BOUNDS[name]
        parser.add_argument(
            bound.flag, dest=f"limit_{name}", type=_limit(name), metavar=bound.metavar, help=f"bound of {bound.words}"
        )
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


def _call_number(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise argparse.ArgumentTypeError(f"{text!r} is not a call number, such as 17")
    return int(text)


def _limit(name: str) -> Callable[[str], float | None]:
    def read(text: str) -> float | None:
        try:
            return BOUNDS[name].parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def execute(request: Request, frontend: Frontend) -> Done:
    """Replay a recording; the status is that of the recorded program, or 1 if the replay differs from it."""
    options = request.options
    trace = load_trace(options.file, frontend)
    run = frontend.run_named(options.file) if isinstance(options.file, str) else None
    other = None if options.other is None else load_program(options.other, frontend, quiet=options.quiet)
    module = other if other is not None else getattr(run, "module", None) if not trace.store.modules else None
    recording = Recording(trace, module)
    given = {name: value for name in ("seconds", "memory") if (value := getattr(options, f"limit_{name}")) is not None}
    streams = frontend.streams()
    try:
        with frontend.busy(f"replaying {options.file}", options.quiet, ticking=True) as busy:
            replayed = replay(
                recording, until=options.until, stacks=options.stacks, limits=Limits(**given),
                features=options.features, on_stdout=streams.stdout, on_stderr=streams.stderr, on_tick=busy.tick,
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
    head = palette("error", f"wasilab: diverges from the recording at call {found.seq}: ")
    lines = [head + visible(found.difference)]
    lines += [f"    recorded: {visible(found.recorded)}"] * bool(found.recorded)
    lines += [f"    came:     {visible(found.came)}"] * bool(found.came)
    return lines + [f"    at {visible(str(frame))}" for frame in run.outcome.frames[:_FRAMES]]


def _said(run: ReplayedRun, recording: Recording, until: int | None) -> str:
    """The result of the replay, in one or more lines."""
    calls = counted(run.calls, "call")
    if run.memory is not None:
        at = recording.describe(run.calls) if run.calls < len(recording.trace) else "the end of the recording"
        lines = [f"stopped before call {run.calls}: {visible(at)}"]
        return "\n".join(lines + [f"    at {visible(str(frame))}" for frame in run.outcome.frames[:_FRAMES]])
    if run.divergence is not None:
        return f"{calls} of {len(recording.trace):,} were the same"
    if run.outcome.kind in ("limit", "error") and run.calls < len(recording.trace):
        return f"{calls} of {len(recording.trace):,} were replayed"
    what = "the other program makes the same calls" if recording.is_other else "the same calls, output and end"
    return f"replayed {calls}: {what}"
