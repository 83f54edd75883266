"""What is shown and saved after the guest has ended: its end, refusals, changes, strace text, files."""

from __future__ import annotations

import argparse
from pathlib import Path

from ...capabilities.memory.changes import ApplyError
from ...runs.run import Run
from ...text.escape import visible
from ...text.numbers import counted
from ...text.numbers import size as size_text
from ...text.palette import PLAIN, Palette
from ...text.shell import quote
from ...trace.answers.completeness import missing_for_replay
from ...trace.record.recorder import Recorder
from ...trace.trace import Trace
from ...views.endings import ENDINGS
from ...views.report import changed
from ...views.report.refused import as_lines, refusals
from ..line.frontend import Frontend
from ..line.outputs import write_file
from ..line.usage import UsageProblem
from ..traces.saved import choose, none_matches, strace

WARNINGS_SHOWN = 10


def after(run: Run, options: argparse.Namespace, frontend: Frontend, explain: bool) -> None:
    """Show and save what the options ask for; `explain`: explain what was refused."""
    if run.outcome.result_texts:
        frontend.say("\n".join(run.outcome.result_texts))
    for line in [*(ending(run, frontend.err) if frontend.kind == "cli" else ()), *warnings(run, frontend.err)]:
        frontend.note(line)
    if explain:
        for line in [*explanations(run, frontend.err), *([] if options.apply else unapplied(run))]:
            frontend.note(line)
    for line in applied(run) if options.apply else ():
        frontend.note(line)
    if options.strace:
        text = _strace(run, options)
        if text or not len(run.trace):
            (frontend.note if frontend.kind == "cli" else frontend.say)(text)
        else:
            frontend.note(none_matches(run.trace))
    if options.strace_file:
        lines = _lines(_strace(run, options)).encode("utf-8", "backslashreplace")
        write_file("--strace", options.strace_file, lambda path: path.write_bytes(lines))
    if options.trace_file:
        try:
            with frontend.busy(f"writing {options.trace_file}", options.quiet):
                run.trace.save(options.trace_file)
        except ValueError as error:
            raise UsageProblem(f"--trace {options.trace_file}: {error}") from None
        if getattr(options, "record", None) and not options.quiet:
            frontend.remark(_recorded(run, options.trace_file, "wasilab" if frontend.kind == "cli" else "%wasi"))
    if getattr(options, "snapshots", False) and (why := missing_for_replay(run.trace)) is not None:
        more = " (--max-trace SIZE)" if run.trace.dropped else ""
        frontend.note(f"wasilab: --snapshots: the memory at a call cannot be rebuilt: {why}{more}")
    if options.summary:
        (frontend.note if frontend.kind == "cli" else frontend.say)(run.trace.summary().text(frontend.err))


def check_selection(options: argparse.Namespace) -> None:
    """Raise `UsageProblem`, before the run, if `-e`, `-P` or `--filter` name calls that cannot be."""
    choose(Trace.from_recorder(Recorder(0)), options)


def _recorded(run: Run, file: str, typed: str) -> str:
    """The contents and size of a recording; `typed` is what a command begins with in the front end."""
    bytes_moved = int(run.trace.column("nbytes").sum())
    program = sum(len(module.data) for module in run.trace.store.modules)
    size = Path(file).expanduser().stat().st_size
    return (
        f"{file}: {counted(len(run.trace), 'call')} that moved {size_text(bytes_moved)}, and the program of "
        f"{size_text(program)}, in {size_text(size)}; run it again with {typed} replay {quote(file)}"
    )


def _strace(run: Run, options: argparse.Namespace) -> str:
    return strace(choose(run.trace, options), time=options.times, stacks=options.stacks is True)


def _lines(text: str) -> str:
    return text if text.endswith("\n") or not text else text + "\n"


def ending(run: Run, palette: Palette = PLAIN) -> list[str]:
    """How the run ended if not by itself, and the guest's stack."""
    outcome = run.outcome
    lines = []
    if outcome.kind not in ("exit", "diverged"):  # `replay` itself says where a run differed from its recording
        message = visible(outcome.message or "")
        verdict = palette("error", f"wasilab: {ENDINGS[outcome.kind].verdict.lower()}")
        lines.append(f"{verdict}{': ' + message if message else ''}")
        lines += [f"    at {visible(str(frame))}" for frame in outcome.frames[:20]]
    return lines


def warnings(run: Run, palette: Palette = PLAIN) -> list[str]:
    """The warnings, such as imports that nothing provides; only the first few."""
    found = run.outcome.warnings
    lines = [f"{palette('warning', 'wasilab:')} {visible(warning)}" for warning in found[:WARNINGS_SHOWN]]
    if len(found) > len(lines):
        lines.append(f"wasilab: ... and {counted(len(found) - len(lines), 'warning')} more")
    return lines


def explanations(run: Run, palette: Palette = PLAIN) -> list[str]:
    """What was refused, in words, each with the smallest grant that would allow it."""
    return [line for group in refusals(run) for line in as_lines(group, palette)]


def unapplied(run: Run) -> list[str]:
    """What changed in a run's copied folders, and how to apply it."""
    lines = changed.text(run)
    return [*lines, "  to write it to the host: --apply"] if lines else []


def applied(run: Run) -> list[str]:
    """Write what changed in the copied folders to the host, and say so; not if the program failed."""
    copies = changed.copies(run)
    if copies and (run.outcome.kind != "exit" or run.exit_code != 0):
        return [*changed.text(run), "wasilab: --apply wrote nothing to the host, because the program failed"]
    lines = []
    for guest, changes in copies.items():
        name = visible(guest)
        try:
            changes.apply()
        except (ApplyError, OSError) as error:
            raise UsageProblem(f"--apply to {name}: {error}") from None
        lines.append(f"wasilab: written to the folder of {name}: {changed.count(changes)}")
    return lines
