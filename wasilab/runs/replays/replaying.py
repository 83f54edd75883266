"""Runs a recording again: the same program, without a host, with each answer from the trace.

It may go on from there under grants (`continue_with`): then the host takes over where the replay ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ...capabilities.protocols import File
from ...capabilities.waiting import Interrupt
from ...engine import components
from ...engine.limits import Limits
from ...engine.outcome import EXIT_ERROR, Outcome
from ...engine.replay.recorded_calls import ReplayCursor
from ...engine.replay.replay_link import ReplayLink
from ...engine.session import Session
from ...engine.stop import CannotReplay, Divergence
from ...engine.worker import Running, start
from ...grants import live as live_grants
from ...grants.grants import Grants
from ...grants.live.pump import Ask, Listeners
from ...module.module import Module
from ...trace.record.recorder import Recorder
from ...trace.trace import Trace
from ..kept import KEPT
from ..prepare import Prepared, RunOptions
from ..run import MemoryAt, Run
from .memories import ReplayedMemory
from .recordings import Recording
from .reopening import Reopening

_OF_THE_RECORDING = (
    "name", "module", "sha256", "args", "grants", "dirs", "withheld", "source", "lang", "source_name", "replay",
)  # fmt: skip
"""Metadata entries of the trace that a replay copies."""


class ReplayedRun(Run):
    """A run whose calls were answered from a recording."""

    calls: int = 0
    """Calls that were answered from the recording."""
    is_stopped: bool = False
    """Whether it stopped before the call `until`."""
    is_live: bool = False
    """Whether it went on under grants: the calls from number `calls` on were answered by a host."""

    def finish(self, recording: Recording, cursor: ReplayCursor) -> None:
        """Compare its end with the end of the recording."""
        self.calls, self.memory, self.divergence = cursor.done, cursor.memory, cursor.divergence
        outcome, meta = self.outcome, recording.trace.meta
        self.is_live = cursor.is_live
        self.is_stopped = cursor.is_stopped
        if cursor.is_stopped and outcome.kind == "exit":
            self._outcome = replace(outcome, message=f"Stopped before call {cursor.done:,}")
        if self.is_live or self.divergence is not None or cursor.is_stopped or cursor.is_over:
            return
        if outcome.kind in ("interrupt", "limit") or (outcome.kind == "error" and meta.get("outcome") != "error"):
            return  # stopped, or could not run: the message says why
        difference = recorded = ""
        if cursor.done < cursor.count:
            difference = "the program ended there, but the recording has further calls"
            recorded = recording.describe(cursor.done)
        elif (outcome.kind, outcome.exit_code) != (meta.get("outcome"), meta.get("exit_code")):
            difference = (
                f"it ended as {outcome.kind!r} with status {outcome.exit_code}, and had ended as "
                f"{meta.get('outcome')!r} with status {meta.get('exit_code')}"
            )
        if difference:
            self.divergence = Divergence(cursor.done, recorded, "", difference)
            self._outcome = Outcome(
                "diverged", EXIT_ERROR, str(self.divergence), outcome.frames, outcome.seconds, outcome.compile_seconds
            )


def replay(
    recording: Recording,
    *,
    until: int | None = None,
    continue_with: Grants | None = None,
    stacks: bool | int = False,
    limits: Limits | None = None,
    features: Sequence[str] = (),
    on_stdout: Callable[[bytes], object] | None = None,
    on_stderr: Callable[[bytes], object] | None = None,
    on_tick: Callable[[], object] | None = None,
    on_input: Ask | None = None,
    own_stdin: Callable[[Interrupt], File | None] | None = None,
    decide: live_grants.ask.Decider | None = None,
    raw: bool = True,
) -> ReplayedRun:
    """Run a recording again. Raises `CannotReplay`.

    `until`: stop before that call, keep the memory. `continue_with`: go on live under these grants where the replay
    ends, which is before `until`, at the first call that differs, or after the last recorded call. What is open there
    is opened again below the new grants (`reopening.py`); if that is not possible, the run ends with an error.
    `on_input`, `own_stdin`, `decide`: as for `run`, for the live part. `limits`: what the replay may take
    (`Recording.limits`). `features`: WebAssembly features that are turned on or off (`Recording.engine`).
    """
    grants = continue_with
    if grants is not None:
        recording.refuse_component("its replay cannot go on live (continue_with, --continue)")
    limits = recording.limits(limits or (grants or Grants()).limits, live=grants is not None)
    cursor = recording.cursor(until=until, exact=not recording.is_other)
    options = RunOptions(
        name=recording.trace.meta.get("name"), invoke=recording.how.get("invoke"), preload=recording.preload,
        stacks=stacks, snaplen=None, raw=raw,
    )  # fmt: skip
    listeners = Listeners(
        on_stdout=on_stdout, on_stderr=on_stderr, on_input=on_input, own_stdin=own_stdin, on_tick=on_tick, decide=decide
    )
    args = recording.arguments
    words = () if options.invoke is not None else args
    KEPT.make_room()
    if grants is None:
        prepared = Prepared(recording.module, (), Grants.nothing(limits=limits), options, listeners)
    else:
        prepared = Prepared(recording.module, words, grants.with_(limits=limits), options, listeners)
        cursor.end = None  # what had ended it from outside does not end it now
        cursor.continue_with = Reopening(recording.trace, prepared.host).reopen
    recorder = prepared.recorder
    assert recorder is not None, "a replay is always recorded"
    taken = _OF_THE_RECORDING if grants is None else ("replay",)
    recorder.meta |= {key: recording.trace.meta.get(key) for key in taken} | {"replayed": True}
    recorder.modules = recording.trace.store.modules
    cursor.lives.begin(recorder)
    cursor.write = lambda stream, data: (prepared.pump.stdout if stream == 1 else prepared.pump.stderr)(data)
    answer = _component_answers(recording, cursor, recorder) if recording.module.is_component else None
    running = start(
        recording.module, prepared.host, recorder, limits, invoke=options.invoke,
        invoke_args=args if options.invoke is not None else (), preload=options.preload, raw=raw, native=False,
        link=partial(ReplayLink, cursor), engine=recording.engine(features), overrides=prepared.overrides,
        on_session=answer,
    )  # fmt: skip
    replayed = _run_of(recording, running, prepared)
    running.on_done(prepared.release)
    KEPT.used(replayed)
    replayed.serve(prepared.pump)
    replayed.finish(recording, cursor)
    return replayed


def _component_answers(
    recording: Recording, cursor: ReplayCursor, recorder: Recorder
) -> Callable[[Session], None]:
    """Lets the session of a component answer its host calls from the recording."""
    recorder.host_calls = []  # so that the replay can be replayed, too
    answers = components.call_answers.CallAnswers(recording.trace.store.host_calls, cursor, recorder)

    def answer(session: Session) -> None:
        assert isinstance(session, components.component_session.ComponentSession), "the session of a component"
        session.answers = answers

    return answer


def _run_of(recording: Recording, running: Running, prepared: Prepared) -> ReplayedRun:
    def again(grants: Grants) -> Run:
        raise CannotReplay("a replay has no grants to change: run the program itself with wasilab.run")

    def once_more(**how: Any) -> Run:
        return replay(recording, **how)

    def remember() -> MemoryAt:
        return ReplayedMemory(recording).then

    args = tuple(recording.arguments)
    return ReplayedRun(
        recording.module, args, prepared.grants, prepared.name, running, prepared, again, once_more, remember
    )


def replay_of(trace: Trace, module: Module, options: RunOptions, **how: Any) -> ReplayedRun:
    """Replay a run of this process. See `replay`."""
    return replay(Recording(trace, module, options.preload), features=trace.meta["replay"]["features"], **how)
