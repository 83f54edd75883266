"""A recording: a trace with every answer that its program got, and the program itself.

It may be an untrusted file. Its program runs without a host, as in every replay, and within the replaying user's
limits.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...engine import components
from ...engine.compiling.engine_options import EngineOptionError, EngineOptions
from ...engine.compiling.wasm_features import FEATURES, FeatureError, read_feature
from ...engine.limits import Limits
from ...engine.replay.recorded_calls import RecordedLives, ReplayCursor, read_calls
from ...engine.stop import CannotReplay, EndOfReplay
from ...module.module import Module
from ...text.escape import visible
from ...text.numbers import counted
from ...trace.answers.completeness import missing_for_replay
from ...trace.record.layout import DID_NOT_RETURN
from ...trace.trace import Trace
from ..prepare import ENGINE_OPTIONS, REPLAY_VERSION

_FROM_OUTSIDE = {"limit": 137, "interrupt": 130}
"""Kinds of end that were not caused by the program, and their exit codes."""
_STREAMS = {b"<stdout>": 1, b"<stderr>": 2}


class Recording:
    """A trace and the program that made its calls.

    `module` and `preload` give the program if the trace does not contain it. Raises `CannotReplay`, which says what is
    missing.
    """

    def __init__(
        self, trace: Trace, module: Module | None = None, preload: Mapping[str, Module] | None = None
    ) -> None:
        self.trace = trace
        """Its calls."""
        meta = trace.meta
        self.how = _how(meta.get("replay"))
        missing = missing_for_replay(trace)
        if missing is not None:
            raise CannotReplay(missing)
        stored = trace.store.modules
        if module is None:
            if not stored:
                raise CannotReplay(
                    "the trace does not contain its program: record it with --record FILE.wtrace (record=True in "
                    "Python), or replay it with the program named: wasilab replay TRACE --from-file FILE.wasm"
                )
            # Without its language, which would mean that it was compiled here.
            source = {key: meta.get(key) for key in ("source", "source_name")}
            module = Module(bytes(stored[0].data), visible(stored[0].name), **source)
            if module.sha256 != meta.get("sha256"):
                raise CannotReplay("this is not the program that was recorded: the hashes differ")
        self._check_kind(module)
        if preload is None:
            preload = {each.preload: Module(bytes(each.data), visible(each.name)) for each in stored[1:]}
        self.module = module
        self.preload = dict(preload)
        if module.is_component and self.preload:
            raise CannotReplay(f"the recording gives modules to {module.name}, a component, which imports none")
        self.is_other = module.sha256 != meta.get("sha256")
        """Whether the program differs from the one that was recorded."""

    def _check_kind(self, module: Module) -> None:
        """Refuse a component that cannot be replayed, and a core module in place of a component or the reverse."""
        if not module.is_component:
            if self.trace.store.host_calls:
                raise CannotReplay(f"the recording is one of a component, and {module.name} is a core module")
            return
        if len(self.trace) and not self.trace.store.host_calls:
            raise CannotReplay(
                f"{module.name} is a component, and the trace does not have the typed calls that its replay needs: "
                "record the run with --record FILE.wtrace (record=True)"
            )
        why = components.recordable.why_not_recordable(module)
        if why is not None:
            raise CannotReplay(f"{module.name} {why}, so it cannot be replayed")

    def refuse_component(self, what: str) -> None:
        """Raise `CannotReplay` for a component; `what` needs a core module."""
        if self.module.is_component:
            raise CannotReplay(f"{self.module.name} is a component: {what}")

    @classmethod
    def load(cls, path: str | os.PathLike[str], module: Module | None = None) -> Recording:
        """Open a recording. Raises `TraceError` for a file that is damaged or cut short, and `CannotReplay`."""
        return cls(Trace.load(os.fspath(path)), module)

    @property
    def arguments(self) -> list[str]:
        """The arguments of the program, or of the export that was called."""
        found = self.how.get("args")
        return [str(each) for each in found] if isinstance(found, list) else []

    def engine(self, features: Sequence[str] = ()) -> EngineOptions:
        """The options of compiling and linking that the program can observe.

        `features` are set by the user who replays it. A file can enable only those that an untrusted module may use
        anyway.
        """
        found = self.how.get("engine")
        given = {name: found[name] for name in ENGINE_OPTIONS if name in found} if isinstance(found, dict) else {}
        switches = self.how.get("features", [])
        try:
            if not isinstance(switches, list) or not all(isinstance(switch, str) for switch in switches):
                raise TypeError("its features are not a list of names")
            states = dict(map(read_feature, switches))
            kept = [switch for switch in switches if FEATURES[read_feature(switch)[0]].foreign]
            kept += [f"{name}=off" for name, on in states.items() if not on and not FEATURES[name].foreign]
            return EngineOptions(**given, features=(*kept, *features))
        except (EngineOptionError, FeatureError, TypeError) as error:
            raise CannotReplay(f"the trace does not say how its program was compiled: {error}") from None

    def limits(self, given: Limits, *, live: bool = False) -> Limits:
        """The limits of a replay: what a program notices is as it was recorded, as far as `given` allows it.

        `live`: the run continues under grants, so the other limits are those of `given`.
        """
        found: dict[str, int] = {}
        recorded = self.how.get("limits")
        for name in ("memory", "table_elements", "instances"):
            was, may = recorded.get(name) if isinstance(recorded, dict) else None, getattr(given, name)
            if type(was) is not int or was < 1:
                continue
            if was > may:
                flag = {"memory": "--max-memory", "table_elements": "--max-table"}.get(name, "--max-instances")
                raise CannotReplay(
                    f"it was recorded with limits.{name}={was:,}, and a replay may take {may:,}: raise it with {flag}"
                )
            found[name] = was
        if live:
            return replace(given, **found)
        kept = {name: getattr(given, name) for name in ("seconds", "fuel", "output", "trace", "compile_seconds")}
        return Limits(**{**kept, **found})

    def cursor(self, *, until: int | None = None, exact: bool = True) -> ReplayCursor:
        """A cursor at the first call. Raises `CannotReplay` if there is no call `until`."""
        count = len(self.trace)
        if until is not None and not 0 <= until <= count:
            calls = counted(count, "call")
            raise CannotReplay(f"there is no call {until:,} to stop at: the recording has {calls}, from 0")
        lives = self.trace.store.lives
        streams = {
            number: _STREAMS[life.path]
            for number, life in lives.items()
            if life.opened_seq < 0 and life.preopen is None and life.path in _STREAMS
        }
        return ReplayCursor(
            read_calls(self.trace), count, exact=exact, until=until, end=self._end(), output_of=streams,
            lives=RecordedLives(lives.values()), describe=self.describe,
        )  # fmt: skip

    def describe(self, seq: int) -> str:
        """One of its calls as strace text."""
        return self.trace[seq : seq + 1].text(pid=False, time="none", durations=False).strip()

    def _end(self) -> EndOfReplay | None:
        """The end, if it came from outside the program (at its last call at the latest); otherwise None."""
        meta = self.trace.meta
        kind, message = meta.get("outcome"), meta.get("message") or ""
        if kind in ("limit", "interrupt"):
            return EndOfReplay(kind, _FROM_OUTSIDE[kind], message)
        last = self.trace.store.column("errno")[-1:] if len(self.trace) else ()
        if kind == "error" and DID_NOT_RETURN in last:
            return EndOfReplay("error", 1, message)
        return None


def _how(found: object) -> dict[str, Any]:
    """How the program was started (`prepare.needed_for_replay`)."""
    if found is None:
        raise CannotReplay("the trace was not made by a run of this version of wasilab, so it cannot be replayed")
    if not isinstance(found, dict) or type(found.get("version")) is not int:
        raise CannotReplay("the trace does not say how its program was started")
    if found["version"] > REPLAY_VERSION:
        raise CannotReplay("it was recorded by a newer version of wasilab, which this one cannot replay")
    if not isinstance(found.get("invoke"), str | None):
        raise CannotReplay("the trace does not say how its program was started")
    return found
