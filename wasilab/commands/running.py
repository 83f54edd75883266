"""`run`: a program under the grants that its options name, and what is shown and kept of it.

The cell magic comes here too, with a module that it has compiled. The order of things shown is the same through both
doors: the guest's own output as it comes, then how it ended when that was not by itself, what was refused, and what
was asked for (`--strace`, `--summary`, `--time`). A notebook shows the report in place of the middle part.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from ..capabilities.host.hostdir import HostDir
from ..capabilities.memory.changes import ApplyError
from ..grants.forms.flags import from_options
from ..grants.grants import Grants
from ..module.module import Module, load
from ..runs import runner
from ..runs.run import Run
from ..text.escape import visible
from ..text.numbers import counted
from ..trace.errors import TraceError
from ..trace.formats.suffixes import WRITABLE, check
from ..views.endings import ENDINGS
from ..views.report import changed
from ..views.report.verdict import refusals, refused_by_its_library
from .line.files import check_writable, write_file
from .line.frontend import Done, Door
from .line.grammar import Request
from .line.program import load_program
from .line.usage import UsageProblem
from .repeating import Turn, distribution, timing
from .tracing import choose, strace

WARNINGS_SHOWN = 10


def run(request: Request, door: Door) -> Done:
    """Load or compile FILE, run it, show what was asked for; the status is the guest's."""
    options = request.options
    started = time.perf_counter()
    module = load_program(options.file, door, lang=options.lang, quiet=options.quiet)
    return run_module(module, request.rest, options, door, compile_seconds=time.perf_counter() - started)


def run_module(
    module: Module, args: Sequence[str], options: argparse.Namespace, door: Door, *, compile_seconds: float = 0.0
) -> Done:
    """Run a module as `options` say."""
    _check_outputs(options)
    if module.warnings and not options.quiet:
        door.fold(f"compiled with warnings: {module.name}", visible(module.warnings, lines=True))
    repeat: int = options.repeat or 1
    name = getattr(options, "name", None)
    asked = grants_of(options, door)
    say_where_it_listens(asked, door)
    if options.apply:
        _check_copies(asked, learning=options.learn)
    grants = _rehearsal(asked) if options.learn else asked
    last = run_once(module, args, grants, options, door, quiet=False)
    first, turns = last.outcome, [Turn.of(last)] if repeat > 1 else []
    with door.busy(f"run 2 of {repeat:,}", options.quiet) as busy:
        while len(turns) < repeat > 1 and last.outcome.kind != "interrupt":
            last = run_once(module, args, grants, options, door, quiet=True)
            turns.append(Turn.of(last))
            busy.tick(f"run {len(turns) + 1:,} of {repeat:,}")
    last.repeats = tuple(turn.seconds for turn in turns)
    if name:
        door.keep(name, module, last)
    if _read_in_vain(last, options) and door.input_at_hand():
        door.note("wasilab: the program read stdin, which is empty for it: write --stdin - to give it this input")
    try:
        after(last, options, door)
    finally:
        spool = _spool(options)
        if spool is not None:  # what the trace has read of it stays
            Path(spool).unlink(missing_ok=True)
    if options.learn:
        from ..grants.advice.learn import lesson

        (door.note if door.kind == "cli" else door.say)(f"\n{lesson(last, asked)}")
    if options.time:
        door.remark(timing(first, compile_seconds))
    if turns:
        door.remark(distribution(turns))
    return Done(last.exit_code, last)


def run_once(
    module: Module, args: Sequence[str], grants: Grants, options: argparse.Namespace, door: Door, *, quiet: bool
) -> Run:
    """One run with its output passed on to the door (`quiet`: kept, not shown)."""
    streams = None if quiet else door.streams()
    try:
        with door.busy(f"Wasmtime compiles {module.name}", options.quiet or quiet) as busy:
            return runner.run(
                module,
                args,
                grants,
                **run_settings(module, options),
                on_stdout=None if streams is None else streams.stdout,
                on_stderr=None if streams is None else streams.stderr,
                on_input=door.read_line,
                own_stdin=door.own_stdin,
                on_compiling=lambda seconds: busy.tick(),
                on_question=door.read_line,
            )
    finally:
        if streams is not None:
            streams.close()


class RunSettings(TypedDict):
    """The keyword arguments of `runner.run` that options name."""

    name: str
    invoke: str | None
    preload: dict[str, Module]
    trace: bool
    stacks: bool | int
    spool: str | None
    snaplen: int | None


def run_settings(module: Module, options: argparse.Namespace) -> RunSettings:
    """The keyword arguments of `runner.run` that the options name."""
    return {
        "name": getattr(options, "name", None) or module.name,
        "invoke": options.invoke,
        "preload": {name: load(path) for name, path in options.preloads},
        "trace": not options.no_trace,
        "stacks": options.stacks,
        "spool": _spool(options),
        "snaplen": options.snaplen,
    }


def _spool(options: argparse.Namespace) -> str | None:
    """Where the calls go that are more than the trace's memory holds, until the trace is saved: beside its file."""
    if not options.trace_file or (options.repeat or 1) > 1:
        return None
    return f"{Path(options.trace_file).expanduser()}.spool"


def grants_of(options: argparse.Namespace, door: Door, *, attended: bool = True) -> Grants:
    """The grants that the options name.

    Where a person sits at the door, stdin asks them: what they type is given by typing it. A pipe or a file at hand is
    not the guest's unless it is named (`--stdin -`); nor has a run that nobody attends to anyone to ask.
    """
    return from_options(options, Grants(stdin="ask" if attended and door.has_person() else b""))


def _read_in_vain(run: Run, options: argparse.Namespace) -> bool:
    """Whether the program read a stdin that is empty because nobody said anything about it."""
    silent = options.stdin is None and options.stdin_text is None and not options.deny_all
    return silent and run.grants.stdin == b"" and run.traced and bool(len(run.trace.filter(call="fd_read", fd=0)))


def _rehearsal(asked: Grants) -> Grants:
    from ..grants.advice.learn import rehearsal

    return rehearsal(asked)


def say_where_it_listens(grants: Grants, door: Door) -> None:
    """A free port (port 0) is of use only to those who know its number."""
    for socket in grants.sockets:
        try:
            host, port = socket.bind()
        except (ValueError, OSError) as error:
            raise UsageProblem(f"--listen {socket.address}: {error}") from None
        if str(port) != socket.address.rpartition(":")[2]:
            door.remark(f"listening on {f'[{host}]' if ':' in host else host}:{port}")


def _check_outputs(options: argparse.Namespace) -> None:
    """Fail before the run, not after it, when a file cannot be written."""
    if options.trace_file is not None:
        if Path(options.trace_file).suffix.lower() not in WRITABLE:
            raise UsageProblem(
                f"--trace {options.trace_file}: a trace is saved in a file that ends in one of {', '.join(WRITABLE)}; "
                "to see some of the calls only, write -e"
            )
        try:
            check(options.trace_file)
        except TraceError as error:
            raise UsageProblem(f"--trace: {error}") from None
    if options.strace_file is not None:
        check_writable("--strace", options.strace_file)
    if (options.calls or options.only_path or options.successful or options.failed) and not (
        options.strace or options.strace_file
    ):
        options.strace = True
    stacks = options.stacks is True
    wants = (options.trace_file, options.strace, options.strace_file, options.summary, stacks, options.learn)
    if options.no_trace and any(wants):
        raise UsageProblem("--no-trace records nothing: leave out --trace, --strace, --summary, --stacks and --learn")


def after(run: Run, options: argparse.Namespace, door: Door) -> None:
    """What is shown and kept once the guest has ended."""
    if run.outcome.results:
        door.say("\n".join(map(str, run.outcome.results)))
    for line in [*(ending(run) if door.kind == "cli" else ()), *warnings(run)]:
        door.note(line)
    explain = options.explain if options.explain is not None else _is_terminal()
    if door.kind == "cli" and explain:
        for line in [*explanations(run), *([] if options.apply else unapplied(run))]:
            door.note(line)
    for line in applied(run) if options.apply else ():
        door.note(line)
    if options.strace:
        (door.note if door.kind == "cli" else door.say)(_strace(run, options))
    if options.strace_file:
        text = _lines(_strace(run, options)).encode("utf-8", "backslashreplace")
        write_file("--strace", options.strace_file, lambda path: path.write_bytes(text))
    if options.trace_file:
        try:
            run.trace.save(options.trace_file)
        except ValueError as error:
            raise UsageProblem(f"--trace {options.trace_file}: {error}") from None
    if options.summary:
        (door.note if door.kind == "cli" else door.say)(str(run.trace.summary()))


def _strace(run: Run, options: argparse.Namespace) -> str:
    return strace(choose(run.trace, options), time=options.times, stacks=options.stacks is True)


def _lines(text: str) -> str:
    return text if text.endswith("\n") or not text else text + "\n"


def ending(run: Run) -> list[str]:
    """How the run ended when it did not end by itself, and the guest's stack."""
    outcome = run.outcome
    lines = []
    if outcome.kind != "exit":
        message = visible(outcome.message or "")
        lines.append(
            f"wasilab: {ENDINGS[outcome.kind].verdict.lower()}{': ' + message if message else ''}"
        )
        lines += [f"    at {visible(str(frame))}" for frame in outcome.frames[:20]]
    return lines


def warnings(run: Run) -> list[str]:
    """The sentences on imports that nothing answers, and the like; not more than a person reads."""
    found = run.outcome.warnings
    lines = [f"wasilab: {visible(warning)}" for warning in found[:WARNINGS_SHOWN]]
    if len(found) > len(lines):
        lines.append(f"wasilab: ... and {counted(len(found) - len(lines), 'warning')} more")
    return lines


def explanations(run: Run) -> list[str]:
    """What was refused, in words, each with the smallest grant that would allow it."""
    lines = []
    for refusal in refusals(run) if run.traced else ():
        times = f" ({refusal.count:,} times)" if refusal.count > 1 else ""
        lines.append(f"refused: {refusal.sentence}{times}{f' [{refusal.where}]' if refusal.where else ''}")
        if refusal.remedy is not None:
            lines.append(f"  to allow it: {refusal.remedy.text}")
    unseen = refused_by_its_library(run)
    return [*lines, f"wasilab: {unseen}"] if unseen else lines


def _check_copies(grants: Grants, *, learning: bool) -> None:
    """`--apply` needs a copied folder, and a run that is not a rehearsal."""
    if learning:
        raise UsageProblem("--learn changes nothing on the host: leave --apply out")
    if not any(isinstance(folder, HostDir) and folder.mode == "copy" for folder in grants.dirs.values()):
        raise UsageProblem("--apply writes what changed in a copied folder: grant one with --dir HOST::GUEST:copy")


def unapplied(run: Run) -> list[str]:
    """What changed in the copied folders of a run, and how to have it."""
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


def _is_terminal() -> bool:
    import sys

    return sys.stderr.isatty()
