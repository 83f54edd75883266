"""Execute a run according to its options: checks before it, grants, repetitions, and output after it.

`run` calls this with a program from a file, the cell magic with a module that it has compiled. Both front ends show
things in the same order: the guest's output as it comes, then how the run ended if not by itself, what was refused, and
what was asked for (`--strace`, `--summary`, `--time`). A notebook shows the report instead of the middle part.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypedDict

from ... import grants as granting
from ...capabilities.host.hostdir import HostDir
from ...engine.compiling.engine_options import EngineOptions
from ...grants.faults import FaultError, read_fault_file
from ...grants.fields import grant_fields
from ...grants.forms.flags import from_options, leaves_stdin_open
from ...grants.grants import Grants
from ...grants.value import GrantError
from ...module.module import Module, load
from ...runs import runner
from ...runs.prepare import Isolate
from ...runs.run import Run
from ...text.escape import shorten, visible
from ...text.shell import join
from ...trace.errors import TraceError
from ...trace.formats.suffixes import WRITABLE, check
from ...wasi.preview1.spec import SNAPSHOT1
from .. import programs
from ..line.frontend import Done, Frontend
from ..line.outputs import check_writable, refuse_overwriting
from ..line.usage import UsageProblem
from ..runner.engine_flags import check_engine_outputs, engine_options, write_engine_outputs
from ..runner.isolation import isolation
from .program import name_to_keep

LONGEST_TEXT = 100
"""The most characters shown of a variable or stdin that the user did not type."""


def run_module(
    module: Module,
    args: Sequence[str],
    options: argparse.Namespace,
    frontend: Frontend,
    *,
    compile_seconds: float = 0.0,
) -> Done:
    """Run a module as `options` say."""
    _check_outputs(options, frontend)
    # The names of a component's calls are known only when it has made them.
    if (options.calls or options.only_path or options.filters) and not module.is_component:
        programs.after_run.check_selection(options)
    check_engine_outputs(options)
    if module.warnings and not options.quiet:
        frontend.fold(f"compiled with warnings: {module.name}", visible(module.warnings, lines=True))
    repeat: int = options.repeat or 1
    name = name_to_keep(options, module, frontend)
    asked = grants_of(options, frontend)
    say_where_it_listens(asked, frontend)
    if options.apply:
        _check_copies(asked, learning=options.learn)
    grants = granting.learn.rehearsal(asked) if options.learn else asked
    last = run_once(module, args, grants, options, frontend, quiet=False)
    first, spread = last.outcome, ""
    if repeat > 1:
        def again() -> Run:
            return run_once(module, args, grants, options, frontend, quiet=True)

        last, spread = _repeat(last, repeat, again, frontend, options.quiet)
    if name:
        frontend.keep(name, module, last)
    if frontend.input_at_hand() and _read_in_vain(last, options):
        frontend.note("wasilab: the program read stdin, which is empty for it: write --stdin - to give it this input")
    if frontend.kind == "cli" and (word := _misplaced(args, last)):
        frontend.note(
            f"wasilab: {word} stands after the program and is its argument; options of wasilab stand before it: "
            f"wasilab run {word} ... {visible(module.name)}"
        )
    if last.grants.faults and last.traced and not len(last.trace.filter("injected")):
        frontend.note("wasilab: no fault was injected: no call matched --inject, or when= and p= chose none")
    try:
        explain = frontend.kind == "cli" and _explains(options)
        if explain or not _ended_in_silence(last, options):
            programs.after_run.after(last, options, frontend, explain)
        for line in write_engine_outputs(last, options):
            frontend.note(line)
    finally:
        spool = _spool(options)
        if spool is not None:  # what the trace has read from it stays
            Path(spool).unlink(missing_ok=True)
    if options.learn:
        lesson = granting.learn.lesson(last, asked)
        (frontend.note if frontend.kind == "cli" else frontend.say)(f"\n{lesson}")
    if options.time:
        frontend.remark(programs.repeats.timing(first, compile_seconds, engine_options(options)))
    if spread:
        frontend.remark(spread)
    return Done(last.exit_code, last)


def _misplaced(args: Sequence[str], run: Run) -> str | None:
    """A flag that grants something among the arguments of a program that failed or was refused something."""
    ours = args[: args.index("--")] if "--" in args else args
    flags = {"--mapdir", "--mem", "--policy", *(about.flag for about in grant_fields(Grants).values() if about.flag)}
    word = next((flag for each in ours if (flag := each.partition("=")[0]) in flags), None)
    return word if word and (run.exit_code != 0 or (run.traced and len(run.denied))) else None


def _repeat(
    first: Run, times: int, again: Callable[[], Run], frontend: Frontend, quiet: bool
) -> tuple[Run, str]:
    """Run `times` times, or until an interrupt; returns the last run and the spread of the times in words."""
    last, turns = first, [programs.repeats.Turn.of(first)]
    with frontend.busy(f"run 2 of {times:,}", quiet) as busy:
        while len(turns) < times and last.outcome.kind != "interrupt":
            last = again()
            turns.append(programs.repeats.Turn.of(last))
            busy.tick(f"run {len(turns) + 1:,} of {times:,}")
    last.repeats = tuple(turn.seconds for turn in turns)
    return last, programs.repeats.distribution(turns)


def run_once(
    module: Module, args: Sequence[str], grants: Grants, options: argparse.Namespace, frontend: Frontend, *, quiet: bool
) -> Run:
    """One run with its output passed on to the frontend (`quiet`: kept, not shown)."""
    streams = None if quiet else frontend.streams()
    watch = None if quiet or options.quiet else frontend.watching()
    try:
        with frontend.busy(f"Wasmtime compiles {module.name}", options.quiet or quiet, ticking=True) as busy:
            return runner.run(
                module,
                args,
                grants,
                **run_settings(module, options),
                on_stdout=None if streams is None else streams.stdout,
                on_stderr=None if streams is None else streams.stderr,
                on_input=frontend.read_line,
                own_stdin=frontend.own_stdin,
                on_compiling=lambda seconds: busy.tick(),
                decide=frontend.asker() if grants.ask else None,
                on_started=None if watch is None else watch.started,
                on_tick=None if watch is None else watch.tick,
            )
    finally:
        if watch is not None:
            watch.close()
        if streams is not None:
            streams.close()


class RunSettings(TypedDict):
    """The keyword arguments of `runner.run` that options name."""

    name: str
    argv0: str | None
    invoke: str | None
    engine: EngineOptions
    preload: dict[str, Module]
    trace: bool
    stacks: bool | int
    record: bool
    snapshots: bool
    spool: str | None
    snaplen: int | None
    native: bool
    isolate: Isolate


def run_settings(module: Module, options: argparse.Namespace) -> RunSettings:
    """The keyword arguments of `runner.run` that the options name."""
    return {
        "name": getattr(options, "name", None) or module.name,
        "argv0": options.argv0,
        "invoke": options.invoke,
        "engine": engine_options(options),
        "preload": {name: load(path) for name, path in options.preloads},
        "trace": not options.no_trace,
        "stacks": options.stacks,
        "record": options.record is not None,
        "snapshots": options.snapshots,
        "spool": _spool(options),
        "snaplen": options.snaplen,
        "native": not options.no_native,
        "isolate": isolation(options),
    }


def _spool(options: argparse.Namespace) -> str | None:
    """The file beside the trace's own that holds calls beyond the trace's memory limit until the trace is saved."""
    if not options.trace_file or (options.repeat or 1) > 1:
        return None
    return f"{Path(options.trace_file).expanduser()}.spool"


def grants_of(options: argparse.Namespace, frontend: Frontend, *, attended: bool = True) -> Grants:
    """The grants that the options name.

    A program named by a cell starts with the grants of that cell; a note says so. If a user is present, stdin asks
    them: typing grants the input. The process's own pipe or file is not the guest's unless named (`--stdin -`). A run
    that is not `attended` cannot ask the user.
    """
    plain = Grants(stdin="ask" if attended and frontend.has_person() else b"")
    name = getattr(options, "file", None)
    cell = frontend.cell_options(name) if isinstance(name, str) and not options.deny_all else None
    base = plain if cell is None else from_options(cell, plain)
    if cell is not None and (words := _beyond(base, plain, resolved=False)):
        frontend.remark(f"with the grants of the cell {name!r}: {words} (--deny-all leaves them out)")

    def say_what_it_gives(grants: Grants) -> None:
        words = _beyond(grants, plain) or "what every program is given"
        frontend.remark(f"{', '.join(options.policy)} grants: {words}")

    strange = any(Path(path).resolve().parent != Path.cwd() for path in options.policy)
    asked = from_options(options, base, on_policy=say_what_it_gives if strange and not options.quiet else None)
    more = [rule for path in getattr(options, "fault_files", ()) for rule in _faults_of(path)]
    return asked.with_(faults=(*asked.faults, *more)) if more else asked


def _faults_of(path: str) -> list[str]:
    """The faults of a file; raises `UsageProblem`."""
    try:
        return read_fault_file(Path(path).expanduser().read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise UsageProblem(f"--inject-file {path}: not UTF-8 text") from None
    except OSError as error:
        raise UsageProblem(f"--inject-file {path}: {error.strerror or error}") from None
    except FaultError as error:
        raise UsageProblem(f"--inject-file {path}: {error}") from None


def _beyond(grants: Grants, plain: Grants, *, resolved: bool = True) -> str:
    """What `grants` give beyond the defaults, as flags, "" for nothing; `plain` has the frontend's stdin.

    A long text is cut. `resolved` shows a folder by the target of its links, for users who did not type it.
    """
    stdin = Grants().stdin if grants.stdin == plain.stdin else grants.stdin
    folders = {
        guest: HostDir(folder.real, folder.mode) if resolved and isinstance(folder, HostDir) else folder
        for guest, folder in grants.dirs.items()
    }
    shown = grants.with_(
        dirs=folders,
        withheld=grants.withheld,
        env={shorten(name, LONGEST_TEXT): shorten(text, LONGEST_TEXT) for name, text in grants.env.items()},
        stdin=shorten(stdin.decode(errors="replace"), LONGEST_TEXT).encode() if isinstance(stdin, bytes) else stdin,
    )
    try:
        return join(shown.to_flags())
    except GrantError:  # a folder in memory with its own bound
        return repr(shown)


def _read_in_vain(run: Run, options: argparse.Namespace) -> bool:
    """Whether the program read stdin, which was empty because no option named it."""
    recorder = run.recorder
    if not leaves_stdin_open(options) or run.grants.stdin != b"" or recorder is None:
        return False
    if recorder.spooled:
        return bool(len(run.trace.filter(call="fd_read", fd=0)))
    return recorder.has_call(SNAPSHOT1["fd_read"].number, 0)  # a trace would import NumPy for this


def say_where_it_listens(grants: Grants, frontend: Frontend) -> None:
    """Bind the listening sockets and report the port that the system chose for port 0. Raises `UsageProblem`."""
    for socket in grants.sockets:
        try:
            host, port = socket.bind()
        except (ValueError, OSError) as error:
            raise UsageProblem(f"--listen {socket.address}: {error}") from None
        if str(port) != socket.address.rpartition(":")[2]:
            frontend.remark(f"listening on {f'[{host}]' if ':' in host else host}:{port}")


def _ended_in_silence(run: Run, options: argparse.Namespace) -> bool:
    """Whether nothing of the run is shown or saved: then no view and no trace reader is imported."""
    asked = (
        options.apply, options.strace, options.strace_file, options.trace_file, options.summary, options.snapshots
    )  # fmt: skip
    outcome = run.outcome
    return not any(asked) and not outcome.result_texts and not outcome.warnings and outcome.kind == "exit"


def _explains(options: argparse.Namespace) -> bool:
    """Whether refusals are explained: according to `--explain`, else if stderr is a terminal."""
    return sys.stderr.isatty() if options.explain is None else bool(options.explain)


def _check_outputs(options: argparse.Namespace, frontend: Frontend) -> None:
    """Fail before the run, not after it, if a file cannot be written."""
    refuse_overwriting(options)
    if options.record is not None:
        _check_recording(options)
    saved = Path(options.trace_file or "").suffix.lower() == ".wtrace"
    if options.snapshots and frontend.kind == "cli" and not saved and not options.no_trace:
        raise UsageProblem(
            "--snapshots: name the file that keeps them, with --trace FILE.wtrace; then `wasilab memory FILE.wtrace "
            "--at CALL` shows the memory at a call"
        )
    if options.trace_file is not None:
        if Path(options.trace_file).suffix.lower() not in WRITABLE:
            raise UsageProblem(
                f"--trace {options.trace_file}: a trace is saved in a file that ends in one of {', '.join(WRITABLE)}; "
                "to show only some calls, use -e"
            )
        try:
            check(options.trace_file)
        except TraceError as error:
            raise UsageProblem(f"--trace: {error}") from None
    if options.strace_file is not None:
        check_writable("--strace", options.strace_file)
    selected = options.calls or options.only_path or options.successful or options.failed or options.filters
    if (selected or options.times == "relative") and not (options.strace or options.strace_file):
        options.strace = True
    stacks = options.stacks is True
    views = (options.trace_file, options.strace, options.strace_file, options.summary)
    wants = (*views, stacks, options.learn, options.snapshots)
    if options.no_trace and any(wants):
        raise UsageProblem(
            "--no-trace records nothing: omit --trace, --strace, --summary, --stacks, --learn and --snapshots"
        )


def _check_recording(options: argparse.Namespace) -> None:
    """A recording is the run's trace in the only format that holds all of it."""
    if options.trace_file is not None and options.trace_file != options.record:
        raise UsageProblem(f"--record {options.record} already saves the trace of the run: omit --trace")
    if Path(options.record).suffix.lower() != ".wtrace":
        raise UsageProblem(f"--record {options.record}: a recording is saved in a file that ends in .wtrace")
    options.trace_file = options.record


def _check_copies(grants: Grants, *, learning: bool) -> None:
    """`--apply` needs a copied folder, and a run that is not a rehearsal."""
    if learning:
        raise UsageProblem("--learn changes nothing on the host: omit --apply")
    if not any(isinstance(folder, HostDir) and folder.mode == "copy" for folder in grants.dirs.values()):
        raise UsageProblem("--apply writes what changed in a copied folder: grant one with --dir HOST::GUEST:copy")
