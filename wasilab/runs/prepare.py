"""Builds the parts of a run from the `Grants` (host, recorder, output, pump) and releases them afterwards.

The only file that uses the engine, the capabilities and the trace together. `runner.py` calls it; a `Run` or an
`Instance` keeps the result.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from .. import grants as granting
from ..capabilities import host as host_objects
from ..capabilities.clocks import Clocks
from ..capabilities.host.hostdir import HostDir
from ..capabilities.memory.memdir import MemDir
from ..capabilities.protocols import Directory, File
from ..capabilities.streams import AskInput, BytesInput, CollectedOutput, EmptyInput, QueueInput
from ..capabilities.strings import GivenStrings
from ..capabilities.waiting import Interrupt
from ..engine import compiling, components
from ..engine.calls.injection import FaultRule
from ..engine.compiling.engine_options import EngineOptions
from ..engine.limits import Limits
from ..engine.output import Output
from ..engine.stop import CannotReplay
from ..engine.worker import Running
from ..grants import live as live_grants
from ..grants.faults import injections
from ..grants.fitting import check_fits, without_effect
from ..grants.forms.python import to_python
from ..grants.forms.withheld import masks
from ..grants.grants import Grants
from ..grants.live.capabilities import RunCapabilities
from ..grants.live.pump import Listeners, ServedPump
from ..grants.override_registry import overrides
from ..grants.value import GrantError
from ..module.module import Module, load
from ..module.precompiled import is_precompiled
from ..text.numbers import counted
from ..trace.record.packing import StoredModule
from ..trace.record.recorder import Recorder
from ..version import __version__
from ..wasi.host import Host
from ..wasi.library import REPORTED

Program = Module | bytes | str | os.PathLike[str]
"""A program: a module, its bytes, or the path of a .wasm or .wat file."""
Isolation = Literal["on", "strict"]
"""How a run is isolated: with the available sandbox layers, or only with all of them."""
Isolate = bool | Literal["strict"]
"""`Isolation` as an argument: True is "on", False is not at all."""


MOST_SWITCHES = 10_000
"""Maximum number of grant switches that a run records."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a program is started and recorded, in addition to its arguments and grants (see `runner.run`)."""

    name: str | None = None
    """The run's name; None: the module's name."""
    argv0: str | bytes | None = None
    """argv[0]; None: the run's name."""
    invoke: str | None = None
    """The export to call instead of `_start`."""
    preload: Mapping[str, Module] = field(default_factory=dict)
    """Import module name -> the module whose exports are linked under it."""
    engine: EngineOptions = field(default_factory=EngineOptions)
    """How it is compiled and linked."""
    trace: bool = True
    stacks: bool | int = False
    snaplen: int | None = 64
    spool: str | os.PathLike[str] | None = None
    record: bool = False
    """Whether the trace keeps all that a replay needs: all data, the program, the same results on every machine."""
    snapshots: bool = False
    """Whether the memory at each call will be wanted, which takes a `record` of a core module."""
    raw: bool = True
    """Whether the engine may use Wasmtime's raw callbacks, if available."""
    native: bool = True
    """Whether the native library may answer calls, if there is one."""
    isolate: Isolation | None = None
    """Whether it runs in a confined process: with the available sandbox layers, or only with all (`isolated/`)."""
    described: bool = True
    """Whether the trace says what was run under which grants, as it must to be saved."""


class Prepared:
    """The parts of one run: host, recorder, output and pump, built from the grants and released afterwards."""

    def __init__(
        self,
        module: Module,
        args: Sequence[str | bytes],
        grants: Grants,
        options: RunOptions | None = None,
        listeners: Listeners | None = None,
        *,
        live: bool = False,
    ) -> None:
        options = options or RunOptions()
        check_fits(module, grants, options.engine, preload=options.preload, snapshots=options.snapshots)
        if options.record and not options.trace:
            raise CannotReplay(f"{module.name} records nothing (trace=False), so it cannot be recorded for a replay")
        if options.record and module.is_component:
            why = components.recordable.why_not_recordable(module)
            if options.isolate is not None:
                why = "is a component in another process (isolate), whose typed calls are not sent here"
            if why is not None:
                raise CannotReplay(f"{module.name} {why}, so it cannot be recorded for a replay")
        listeners = listeners or Listeners()
        self.module = module
        self.options = options
        self.grants = grants
        self.name = options.name or module.name
        self.interrupt = Interrupt()
        self.output = Output(grants.limits.output)
        self.pump = ServedPump(self.output, listeners)
        self.asking: live_grants.ask.Asking | None = None
        self.questions: live_grants.questions.Questions | None = None
        self._plain: Mapping[str, Callable[..., object]] = {**overrides(), **grants.overrides}
        self._faults: dict[str, FaultRule] = {}
        self.overrides = injections([str(each) for each in grants.faults], self._plain, self.interrupt, self._faults)
        self._released = False
        self._sockets: tuple[host_objects.sockets.ListenSocket | host_objects.sockets.StreamSocket, ...] = ()
        self._endings: list[Callable[[], None]] = []
        limits = grants.limits
        self.live_update: live_grants.update.LiveUpdate | None = None
        """Applies other grants to the running guest; None for a run that is not detached."""
        self._words = [_bytes(a) for a in (self.name if options.argv0 is None else options.argv0, *args)]
        try:
            if any(isinstance(d, HostDir) and d.mode == "rw" for d in grants.dirs.values()):
                granting.code_folders.check_code_folders(grants)
            self._argv = GivenStrings(self._words if grants.args else ())
            self._environ = GivenStrings(f"{key}={value}".encode() for key, value in grants.env.items())
            self.dirs: dict[str, Directory] = {guest: _fresh(d) for guest, d in grants.dirs.items()}
            held = self._held(listeners)
            self.live = live_grants.switches.LiveGrants(held) if live else None
            held = held if self.live is None else self.live.held
            self.preopens = held.preopens
            """The directories that the guest holds from the start, with their switches."""
            self.host = Host(
                args=held.args or (),
                environ=held.environ or (),
                preopens=held.preopens,
                stdin=held.stdin,
                stdout=held.stdout,
                stderr=held.stderr,
                clocks=held.clocks,
                random=held.random,
                sockets=held.sockets,
                network=self._network(),
                interrupt=self.interrupt,
                rights=grants.rights,
                max_fds=limits.fds,
                max_bytes_written=limits.bytes_written,
                max_names=limits.names,
                max_io=limits.io,
                withheld=masks(grants),
            )
        except (ValueError, OSError) as error:
            self._let_go()
            raise GrantError(str(error)) from None
        except BaseException:
            self._let_go()
            raise
        if self.live is not None:
            self.live.host = self.host
            self.live.renew_stdin = self._restored_stdin
        if self.questions is not None:
            self.host.run_time = self.questions.time
        self.host.notes += without_effect(module, grants, options.preload)
        self._note_the_folders()
        self.recorder: Recorder | None = None
        if options.trace:
            self.recorder = Recorder(
                limits.trace,
                None if options.record else options.snaplen,
                options.stacks,
                spool=None if options.spool is None else Path(options.spool),
                meta=describe_run(module, args, grants, self.name) if options.described else {},
            )
            if options.record:
                self.recorder.modules = stored_modules(module, options.preload)
                self.recorder.host_calls = [] if module.is_component else None
            if self.asking is not None:
                self.asking.recorder = self.recorder
            if self.live is not None:
                self.live.listen(self._note_switch)
        self.before = self._contents() if options.trace else {}
        """The initial contents of the folders in memory: full path -> contents; None for a folder."""

    def _contents(self) -> dict[str, bytes | None]:
        found: dict[str, bytes | None] = {}
        for guest, directory in self.dirs.items():
            if isinstance(directory, MemDir):
                at = guest.rstrip("/")
                found |= {f"{at}/{path}": content for path, content in directory.contents().items()}
        return found

    def _note_switch(self, name: str, works: bool) -> None:
        """Record that a grant was switched, after the most recent call."""
        recorder, live = self.recorder, self.live
        assert recorder is not None
        assert live is not None
        noted = recorder.meta.setdefault("switches", [])
        if len(noted) < MOST_SWITCHES:
            state = "revoked" if not works else "read-only" if live.is_read_only(name) else "granted"
            noted.append([len(recorder) - 1, name, state])

    def _held(self, listeners: Listeners) -> RunCapabilities:
        """The granted capabilities as objects of this run; in ask mode, with placeholders for what is not granted."""
        grants, pump = self.grants, self.pump
        clocks = grants.clocks.fresh()
        if clocks.realtime.virtual and clocks.spec != "none":
            self._make_repeatable(clocks)
        self._sockets = tuple(socket.fresh(self.interrupt) for socket in grants.sockets)
        held = RunCapabilities(
            args=self._argv,
            environ=self._environ,
            preopens=self.dirs,
            stdin=self._stdin(grants.stdin, listeners.own_stdin),
            stdout=self._stream(pump.stdout) if grants.stdout else None,
            stderr=self._stream(pump.stderr) if grants.stderr else None,
            clocks=clocks,
            random=_fresh(grants.random),
            sockets=self._sockets,
        )
        if not grants.ask:
            return held
        streams: dict[str, Callable[[], File | None]] = {
            "stdin": lambda: self._stdin("ask", listeners.own_stdin),
            "stdout": lambda: self._stream(pump.stdout),
            "stderr": lambda: self._stream(pump.stderr),
        }
        if listeners.asker is not None:
            return live_grants.stand_ins.stand_ins(*listeners.asker, held, streams)
        pump.questions = self.questions = live_grants.questions.Questions(self.interrupt, listeners.on_asked)
        there = listeners.decide is not None or listeners.on_asked is not None
        asking = self.asking = live_grants.ask.Asking(self.questions.decide if there else None, self.name)
        everywhere = live_grants.ask_paths.AskEverywhere
        return live_grants.stand_ins.stand_ins(asking.use, lambda: everywhere(asking, asking.here), held, streams)

    def _network(self) -> host_objects.internet.Internet | None:
        """The network of a component. A core module has none: preview1 has no call that connects."""
        if not self.module.is_component:
            return None
        grants = self.grants
        return host_objects.internet.Internet(host_objects.network.Network(grants.connect, grants.resolve, grants.http))

    def _stream(self, take: Callable[[bytes], object]) -> CollectedOutput:
        stream = CollectedOutput(take)
        self.output.streams.append(stream)
        return stream

    def _stdin(
        self, given: File | str | bytes | None, own_stdin: Callable[[Interrupt], File | None] | None
    ) -> File | None:
        if isinstance(given, QueueInput):
            given.stopped_by(self.interrupt)
        if given is None or not isinstance(given, (str, bytes)):
            return given
        if isinstance(given, bytes):
            return BytesInput(given) if given else EmptyInput()
        own = own_stdin(self.interrupt) if own_stdin is not None else None
        if own is not None:
            self.pump.own = own
            return own
        asking = AskInput(self.pump.want_input, self.interrupt)
        self.pump.stdin = asking
        return asking

    def fresh_stdin(self) -> File | None:
        """The stdin that was granted, from its beginning."""
        return self._stdin(self.grants.stdin, None)

    def _restored_stdin(self) -> File | None:
        """The stream for what is typed once stdin was revoked, which ended its stream, and restored."""
        stream = self._stdin("ask", None)
        if self.asking is None or self.grants.stdin is not None or stream is None:
            return stream
        return live_grants.stand_ins.stream_stand_in(self.asking.use, "stdin", stream)

    def memory_folders(self) -> list[tuple[str, MemDir]]:
        """The folders in memory, including copies, with their guest paths."""
        return [(guest, directory) for guest, directory in self.dirs.items() if isinstance(directory, MemDir)]

    def make_updatable(
        self, running: Running, kind: type[live_grants.update.LiveUpdate] | None = None
    ) -> live_grants.update.LiveUpdate:
        """Allow the grants to be changed while the run is running. `kind` is the class that does it."""
        assert self.live is not None, "a run with switches"

        def limit(limits: Limits) -> None:
            self.output.limit = limits.output
            running.relimit(limits)

        make = kind or live_grants.update.LiveUpdate
        self.live_update = made = make(
            self.grants, self.live, self.host, self.dirs, self._words, argv=self._argv, environ=self._environ,
            stdin=lambda given: self._stdin(given, None), limit=limit,
            faults=lambda faults: self._inject(faults, running),
        )  # fmt: skip
        return made

    def _inject(self, faults: Sequence[str], running: Running) -> None:
        """Inject these faults from the next call on; those that stay go on counting. Raises `GrantError`."""
        check_fits(self.module, self.grants.with_(faults=faults), EngineOptions(), preload={}, snapshots=False)
        self._faults = {text: rule for text, rule in self._faults.items() if text in faults}
        before, self.overrides = self.overrides, injections(faults, self._plain, self.interrupt, self._faults)
        for name in {*before, *self.overrides}:
            if self.overrides.get(name) is not before.get(name):
                running.session.override(name, self.overrides.get(name))

    def release(self) -> None:
        """Close the run's resources, once, after the guest has ended."""
        if self._released:
            return
        self._released = True
        self.host.close()
        if self.recorder is not None:
            self.recorder.close()
        self._let_go()

    def _let_go(self) -> None:
        for thing in (self.pump.stdin, self.pump.own, *self._sockets):
            if thing is not None:
                thing.close()
        for end in self._endings:
            end()
        self.interrupt.close()

    def _make_repeatable(self, clocks: Clocks) -> None:
        """With a virtual clock, files in memory take their times from it too, so that equal runs leave equal traces."""
        for device, directory in enumerate(self.dirs.values(), 1):
            if isinstance(directory, MemDir):
                self._endings.append(directory.make_repeatable(clocks.realtime.now, device))

    def _note_the_folders(self) -> None:
        for guest, granted in self.grants.dirs.items():
            if not isinstance(granted, HostDir):
                continue
            if granted.is_link:
                self.host.notes.append(
                    f"the folder {granted.path!r}, granted at {guest!r}, is a link: what is granted is {granted.real!r}"
                )
            if granted.mode == "rw" and (why := granting.code_folders.warning(granted)):
                self.host.note(f"the folder at {guest!r} is granted as rw: {why}")
        for guest, directory in self.dirs.items():
            skipped = list(directory.skipped.items()) if isinstance(directory, host_objects.copydir.CopyDir) else []
            for path, reason in skipped[:5]:
                self.host.notes.append(f"the copy at {guest} is without {path!r}: {reason}")
            if len(skipped) > 5:
                self.host.notes.append(f"the copy at {guest} is without {counted(len(skipped) - 5, 'more name')}")


def describe_run(module: Module, args: Sequence[str | bytes], grants: Grants, name: str) -> dict[str, object]:
    """The metadata of a run's trace (`Trace.meta`): plain values that files can store."""
    return {
        "name": name,
        "module": module.name,
        "sha256": module.sha256,
        "args": [text_of(a) for a in args],
        "grants": to_python(grants, contents=4096),
        "dirs": {guest: d.path for guest, d in grants.dirs.items() if isinstance(d, HostDir)},
        "withheld": {guest: list(names) for guest, names in grants.withheld.items()},
        "source": module.source,
        "lang": module.lang or ("go" if "go:buildid" in module.custom_sections else None),
        "source_name": module.source_name,
        **({REPORTED: True} if module.reports_lookups else {}),
        "wasilab": __version__,
        "platform": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }


T = TypeVar("T")

ENGINE_OPTIONS = ("nan_canonical", "max_stack", "unknown_imports", "trap_on_grow_failure")
"""Engine options that a program can observe."""
REPLAY_VERSION = 1
"""The version of the data of `needed_for_replay`."""


def needed_for_replay(options: RunOptions, grants: Grants, args: Sequence[str]) -> dict[str, object]:
    """How the program was started, so that a replay can start it in the same way."""
    return {
        "version": REPLAY_VERSION,
        "invoke": options.invoke,
        "args": list(args),
        "engine": {name: getattr(options.engine, name) for name in ENGINE_OPTIONS},
        "features": [*options.engine.features, *grants.features],
        "limits": {name: getattr(grants.limits, name) for name in ("memory", "table_elements", "instances")},
    }


def stored_modules(module: Module, preload: Mapping[str, Module]) -> list[StoredModule]:
    """The program as a recording stores it."""
    return [
        StoredModule("", module.name, module.bytes),
        *(StoredModule(name, library.name, library.bytes) for name, library in preload.items()),
    ]


def _fresh(thing: T) -> T:
    """A capability in its initial state, for one run, if it has state (`fresh()`)."""
    fresh = getattr(thing, "fresh", None)
    if fresh is None:
        return thing
    begun: T = fresh()
    return begun


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else str(text).encode("utf-8", "surrogateescape")


def text_of(text: str | bytes) -> str:
    """An argument as a trace stores it: text with invalid bytes replaced."""
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def load_program(program: Program) -> Module:
    """The module of a `Program`. Raises `ModuleError`."""
    if isinstance(program, Module):
        return program
    if not isinstance(program, bytes) and is_precompiled(Path(program)):
        return compiling.ahead_of_time.load_machine_code(Path(program))
    return load(program)
