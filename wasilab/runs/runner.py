"""Runs programs: `run(module, grants=...)` connects a guest, its grants and the recorder.

`prepare.py` builds the parts of a run; `Run` (`run.py`) and `Instance` (`instance.py`) are the results. `run` takes
keyword arguments; `start_run` takes the same as three values: grants, options, listeners.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..capabilities.protocols import File
from ..capabilities.waiting import Interrupt
from ..engine.compiling.engine_options import EngineOptions
from ..engine.threads import Worker
from ..engine.worker import Running, start
from ..grants import live as live_grants
from ..grants.grants import Grants
from ..grants.live.pump import Ask, Listeners
from ..module.module import Module
from ..text.numbers import with_article
from . import isolated, replays
from .kept import KEPT
from .prepare import Isolate, Isolation, Prepared, Program, RunOptions, load_program, needed_for_replay, text_of
from .run import MemoryAt, Run


def run(
    program: Program,
    args: Sequence[str | bytes] = (),
    grants: Grants | None = None,
    *,
    name: str | None = None,
    argv0: str | bytes | None = None,
    invoke: str | None = None,
    preload: Mapping[str, Program] | None = None,
    engine: EngineOptions | None = None,
    trace: bool = True,
    stacks: bool | int = False,
    snaplen: int | None = 64,
    spool: str | os.PathLike[str] | None = None,
    record: bool = False,
    snapshots: bool = False,
    on_stdout: Callable[[bytes], object] | None = None,
    on_stderr: Callable[[bytes], object] | None = None,
    on_input: Ask | None = None,
    own_stdin: Callable[[Interrupt], File | None] | None = None,
    on_compiling: Callable[[float], object] | None = None,
    on_tick: Callable[[], object] | None = None,
    on_question: live_grants.questions.Reader | None = None,
    decide: live_grants.ask.Decider | None = None,
    on_asked: Callable[[live_grants.ask.Question | None], object] | None = None,
    on_started: Callable[[Run], object] | None = None,
    detach: bool = False,
    raw: bool = True,
    native: bool = True,
    isolate: Isolate = False,
) -> Run:
    """Run a program under `grants` (default: `Grants()`: no directory, variable or socket) and record its calls.

    `args` are the guest's arguments after argv[0], which is `argv0` or `name` (default: the module's name); with
    `invoke`, the export of that name is called instead of `_start`, and `args` are its arguments, as values or text.
    `preload` maps import module names to programs whose exports the module imports. `engine` sets how Wasmtime compiles
    it and how unknown imports are handled. `trace=False` records nothing. `stacks=True` takes the guest's call stack at
    every call (15 to 30 us each, depending on depth); a number N takes it at the first N calls and at N refused calls
    after them. `snaplen` bytes of data are kept per call (None: all). Above the trace limit the oldest calls go to the
    file `spool`, if given. `record=True` keeps everything that a replay needs: all data, the program in the saved
    `.wtrace`, and the same arithmetic results on every machine (`EngineOptions.nan_canonical`). `snapshots=True` does
    too: `Run.memory_at` gives the guest's linear memory at any call, rebuilt by a replay, and the timeline's State
    panel shows what changed in it. Raises `CannotReplay` for a component, and with `trace=False`.

    With `native=False` Python answers every call: slower, with the same results.

    `isolate=True` runs it in a separate process, confined by the kernel's sandbox layers (`wasilab doctor` lists them),
    so that a vulnerability in Wasmtime does not compromise this process; "strict" requires all layers. Folders,
    streams, clocks, limits, `stop`, `revoke` and ask mode work as usual. Python functions and your own Python objects
    and a component's network are not available (`GrantError`).

    `on_stdout` and `on_stderr` get the guest's output as it arrives, in the calling thread. If `grants.stdin` is "ask",
    `own_stdin(interrupt)` may return the user's input as a file; otherwise `on_input()` is called for each line.
    `on_compiling(seconds)` and `on_tick()` report progress; `on_started(run)` gets the running `Run`. `detach=True`
    returns at once, with a `Run` that is still running; each of its grants has a switch, `run.live.revoke("/data")`.

    If `grants.ask` is set, `decide(question)` returns the answer, in the calling thread, or `on_question(prompt)`
    returns what the user typed; or `on_asked(question)` is called with each question, on another thread, and
    `run.answer(...)` answers it. Without any of these, what was not granted is refused. The time spent waiting for an
    answer does not count as time of the run.

    An interrupt (Ctrl-C, the notebook's stop button) ends the run, not the caller: see `Run.outcome`. Raises
    `ModuleError` or `GrantError`, one sentence each, for a program that cannot be run or a grant that cannot be given.
    """
    preloads = {key: load_program(value) for key, value in (preload or {}).items()}
    engine = engine or EngineOptions()
    if record or snapshots:
        engine = replace(engine, nan_canonical=True)
    options = RunOptions(
        name, argv0, invoke, preloads, engine, trace, stacks, snaplen, spool, record or snapshots, snapshots, raw,
        native, _isolation(isolate),
    )  # fmt: skip
    if isinstance(args, (str, bytes)):
        raise TypeError(f"args is the text {args!r:.80}: give a list with a text for each argument, [{args!r:.80}]")
    if grants is not None and not isinstance(grants, Grants):
        raise TypeError(
            f"grants is {with_article(type(grants).__name__)}: give a Grants, such as "
            f"Grants(dirs={{'/data': 'data'}})"
        )
    if decide is None and on_question is not None:
        decide = live_grants.questions.by_line(on_question)
    listeners = Listeners(on_stdout, on_stderr, on_input, own_stdin, on_compiling, on_tick, decide, on_asked)
    return start_run(
        load_program(program), args, grants or Grants(), options, listeners, detach=detach, on_started=on_started
    )


def _isolation(isolate: Isolate) -> Isolation | None:
    if isolate in (True, False, None):
        return "on" if isolate else None
    if isolate != "strict":
        raise ValueError(f"isolate is {isolate!r}: give True, False or 'strict'")
    return "strict"


def start_run(
    module: Module,
    args: Sequence[str | bytes],
    grants: Grants,
    options: RunOptions,
    listeners: Listeners,
    *,
    detach: bool = False,
    on_started: Callable[[Run], object] | None = None,
    worker: Worker | None = None,
) -> Run:
    """`run`, with the module loaded and the keyword arguments grouped."""
    KEPT.make_room()
    invoked = options.invoke is not None
    prepared = Prepared(
        module,
        () if invoked else args,
        grants,
        options,
        Listeners(on_asked=listeners.on_asked) if detach else listeners,
        live=detach,
    )
    words = tuple(text_of(a) for a in args)
    if prepared.recorder is not None:
        prepared.recorder.meta["replay"] = needed_for_replay(options, prepared.grants, words)
    running = _start(prepared, args, detach, worker)

    def again(grants: Grants) -> Run:
        return start_run(module, args, grants, replace(options, spool=None), Listeners(), detach=True)

    def replayed(**how: Any) -> Run:
        return replays.replaying.replay_of(result.trace, module, options, **how)

    def remember() -> MemoryAt:
        return replays.memories.memory_of(result.trace, module, options)

    result = Run(module, words, prepared.grants, prepared.name, running, prepared, again, replayed, remember)
    running.on_done(prepared.release)
    KEPT.used(result)
    if on_started is not None:
        on_started(result)
    if not detach:
        result.serve(prepared.pump)
    return result


def _start(prepared: Prepared, args: Sequence[str | bytes], detach: bool, worker: Worker | None) -> Running:
    """Start a prepared run, in this process or in a confined one."""
    options, invoked = prepared.options, prepared.options.invoke is not None
    engine = replace(options.engine, features=(*options.engine.features, *prepared.grants.features))
    if options.isolate is not None:
        return isolated.outside.start_isolated(prepared, args, engine, options.isolate, updatable=detach)
    running = start(
        prepared.module,
        prepared.host,
        prepared.recorder,
        prepared.grants.limits,
        invoke=options.invoke,
        invoke_args=args if invoked else (),
        preload=options.preload,
        engine=engine,
        overrides=prepared.overrides,
        raw=options.raw,
        native=options.native,
        worker=worker,
    )
    if detach:
        prepared.make_updatable(running)
    return running
