"""The parent's side of a run in a confined process, the counterpart of `start` in `engine/worker.py`.

The worker thread of the run sends the process its work and then reads its messages into the output, the recorder and
the folders of the run, until it reports the end or is gone. The process may be controlled by its guest: every message
is checked, nothing in it is executed, and the memory that it can use here is bounded by the limits of the run.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace

from ...capabilities.host.hostdir import HostDir
from ...capabilities.protocols import Directory
from ...capabilities.streams import DescriptorInput, QueueInput
from ...capabilities.waiting import Interrupted, wait_any
from ...engine.compiling.engine_options import EngineOptions
from ...engine.isolate import sandbox
from ...engine.isolate.confined_process import PREPARED, CannotIsolate, ConfinedProcess, signal_name, why_not
from ...engine.isolate.messages import BadMessage, MessageKind, Record, record_of
from ...engine.isolate.outcomes import from_record
from ...engine.isolate.sandbox import LAYERS
from ...engine.isolate.trace_mirror import TraceMirror
from ...engine.outcome import EXIT_ERROR, EXIT_LIMIT, Outcome
from ...engine.session import Session
from ...engine.sessions import make_session
from ...engine.threads import TimeLimit, Worker
from ...engine.worker import Running, StopReason
from ...grants.forms.json import to_value
from ...grants.grants import Grants
from ...grants.live.update import LiveUpdate
from ...grants.value import GrantError
from ..prepare import Isolation, Prepared
from .performing import Performer
from .shipping import Parcel, pack, unpack_files

MODULE = "wasilab.runs.isolated.inside"
_GRACE_SECONDS = 2.0
"""Seconds that the process gets to end its guest before it is killed."""
_LATER_SECONDS = 1.0
"""Seconds after the guest's time limit at which the parent ends it."""
_CODE_BYTES = 128 << 20
_MOST_CODES = 32
_MOST_FILES = 2
_INPUT_BYTES = 1 << 16
_BUSY_SECONDS = 0.05
"""How often to look whether a request has been performed, while the process also wants input."""
_OTHER_FOLDER = (
    "an isolated run cannot be given another folder, or more access to one, than it was started with: its sandbox "
    "cannot be opened again"
)
_OTHER_INPUT = "an isolated run cannot be given another input than it was started with"


class Codes:
    """Machine code from confined processes, kept in memory for the next one with the same modules.

    It is never run in this process. This process knows which code belongs to which modules, so a compromised process
    can corrupt only the code of its own program.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[tuple[object, ...], tuple[bytes, ...]] = OrderedDict()

    def get(self, key: tuple[object, ...]) -> tuple[bytes, ...] | None:
        """The code for these modules and settings."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def put(self, key: tuple[object, ...], codes: Sequence[bytes]) -> None:
        """Store code."""
        with self._lock:
            self._held[key] = tuple(codes)
            while len(self._held) > _MOST_CODES or sum(self._sizes()) > _CODE_BYTES:
                self._held.popitem(last=False)

    def _sizes(self) -> list[int]:
        return [sum(map(len, codes)) for codes in self._held.values()]


CODES = Codes()


class IsolatedRunning(Running):
    """A guest in a confined process."""

    def __init__(
        self, session: Session, prepared: Prepared, worker: Worker, level: Isolation, args: Sequence[str | bytes],
        engine: EngineOptions, without: Sequence[str] = (),
    ) -> None:  # fmt: skip
        limits = session.limits
        watch = None
        if limits.seconds is not None:
            watch = TimeLimit(limits.seconds + _LATER_SECONDS, lambda: prepared.host.run_time() / 1e9)
        super().__init__(session, self._talk, worker, watch)
        if watch is not None:
            self.on_done(watch.close)
        self._prepared = prepared
        self._level = level
        self._args = args
        self._engine = engine
        self._without = without
        self.process: ConfinedProcess | None = None
        self._told: list[tuple[MessageKind, bytes]] = []
        """Messages for the process that wait until it has its work."""
        self._begun = False
        self._tell_lock = threading.Lock()
        self._files: dict[int, bytes] = {}
        self._codes: list[bytes] = []
        self._cut = 0
        self._compile_bound: str | None = None
        self._mirror = None if prepared.recorder is None else TraceMirror(prepared.recorder)
        self._performer = None if prepared.asking is None else Performer(prepared, self._answer, self._failed)
        self._failure: BaseException | None = None
        self._reading: DescriptorInput | None = None
        """The user's input, of which the process wants more."""

    # ---- from any thread

    def tell(self, kind: MessageKind, body: bytes = b"") -> None:
        """Send a message to the process, once it has its work; ignored if it is gone."""
        with self._tell_lock:
            if not self._begun:
                self._told.append((kind, body))
            elif self.process is not None:
                with contextlib.suppress(OSError):
                    self.process.channel.send(kind, body)

    def tell_record(self, kind: MessageKind, record: Record) -> None:
        """The same for a JSON value."""
        self.tell(kind, json.dumps(record).encode())

    def interrupt(self, reason: StopReason = "interrupt") -> None:
        super().interrupt(reason)
        process = self.process
        if self.outcome is not None:
            if process is not None:
                process.kill()
            return
        self.tell(MessageKind.INTERRUPT, reason.encode())
        if process is not None:
            timer = threading.Timer(_GRACE_SECONDS, process.kill)
            timer.daemon = True
            timer.start()
            self.on_done(timer.cancel)

    # ---- the worker thread

    def _talk(self) -> Outcome:
        process: ConfinedProcess | None = None
        status = 0
        told = ""
        bad: str | None = None
        outcome: Outcome | None = None
        try:
            process = self.process = PREPARED.take(MODULE, self._without)
            process.ready()
            self._give_work(process)
            outcome = self._listen(process)
        except CannotIsolate as error:
            if process is not None:
                process.kill()
            return Outcome("error", EXIT_ERROR, str(error))
        except BadMessage as error:
            bad = str(error)
            if process is not None:
                process.kill()  # now: `end` would first give it time to exit
        except OSError as error:
            bad = str(error)
        finally:
            if process is not None and outcome is None:
                status, told = process.end(), process.told
            elif process is not None:  # it reported its end: it may need time to exit
                threading.Thread(target=process.end, name="wasilab confined end", daemon=True).start()
            if self._performer is not None:
                self._performer.close()
            if PREPARED.keep:
                PREPARED.start(MODULE)
        if self._failure is not None:
            raise self._failure
        if outcome is None:
            outcome = self._gone(status, told, bad)
        return self._completed(outcome)

    def _give_work(self, process: ConfinedProcess) -> None:
        codes = CODES.get(self._key())
        record, parcel = pack(self._prepared, self._args, self._engine, codes)
        try:
            self._send_job(process, record, parcel)
        finally:
            parcel.close()
        seconds = self.session.limits.compile_seconds
        if seconds is not None:
            timer = threading.Timer(seconds, self._compiled_too_long, (process,))
            timer.daemon = True
            timer.start()
            self.on_done(timer.cancel)

    def _send_job(self, process: ConfinedProcess, record: Record, parcel: Parcel) -> None:
        process.channel.send_record(MessageKind.JOB, record, parcel.descriptors)
        with self._tell_lock:
            for kind, body in self._told:
                process.channel.send(kind, body)
            self._told.clear()
            self._begun = True

    def _compiled_too_long(self, process: ConfinedProcess) -> None:
        if self.state == "compiling":
            self._compile_bound = (
                f"compiling {self.session.module.name} to machine code took more than "
                f"{self.session.limits.compile_seconds:g} s; raise it with --max-compile-time"
            )
            process.kill()

    def _key(self) -> tuple[object, ...]:
        request = self.session.request()
        modules = [self.session.module, *self._prepared.options.preload.values()]
        shas = (module.sha256 for module in modules)
        return (request.fuel, request.features, request.options.settings, *shas)

    def _listen(self, process: ConfinedProcess) -> Outcome | None:
        """Read until the process reports how the run ended (None: it is gone). Raises `BadMessage`."""
        while True:
            if self._reading is not None:
                self._read_input(self._reading, process)
            message = process.channel.receive()
            if message is None:
                return None
            kind, body = message
            if kind is MessageKind.OUTCOME:
                record = record_of(body)
                cut = record.get("cut", 0)
                self._cut = cut if type(cut) is int and 0 <= cut < 1 << 62 else 0
                return from_record(record)
            end = self._take(kind, body)
            if end is not None:
                return end

    def _take(self, kind: MessageKind, body: bytearray) -> Outcome | None:
        prepared, mirror = self._prepared, self._mirror
        match kind:
            case MessageKind.STDOUT if prepared.grants.stdout or self._may("stdout"):
                prepared.pump.stdout(bytes(body))
            case MessageKind.STDERR if prepared.grants.stderr or self._may("stderr"):
                prepared.pump.stderr(bytes(body))
            case MessageKind.WANTS_INPUT if prepared.grants.stdin == "ask" or self._may("stdin"):
                self._want_input()
            case MessageKind.REQUEST if self._performer is not None and self.state == "running":
                self._performer.take(body)
            case MessageKind.CALLS if mirror is not None:
                mirror.calls(body)
            case MessageKind.LIVES if mirror is not None:
                mirror.lives(body)
            case MessageKind.TABLES if mirror is not None:
                mirror.tables(body)
            case MessageKind.CODE if self.state == "compiling" and len(self._codes) <= len(prepared.options.preload):
                self._codes.append(bytes(body))
            case MessageKind.RUNNING if self.state == "compiling":
                return self._started(body)
            case MessageKind.FOLDER:
                self._folder(body)
            case MessageKind.FILE if body and body[0] < _MOST_FILES:
                self._files[body[0]] = bytes(body[1:])
            case MessageKind.LAYERS if self.layers is None:
                return self._sandbox_entered(body)
            case _:
                raise BadMessage(f"unexpected {kind.name.lower()}")
        return None

    def _may(self, name: str) -> bool:
        return self._performer is not None and self._performer.may(name)

    def _want_input(self) -> None:
        own = self._prepared.pump.own
        if isinstance(own, DescriptorInput):
            self._reading = own
        else:
            self._prepared.pump.want_input()

    def _read_input(self, own: DescriptorInput, process: ConfinedProcess) -> None:
        """Wait for the user's input, which is sent to the process, or for a message.

        While the user is asked, what they type is the answer.
        """
        descriptor, messages, interrupt = own.fileno(), process.channel.fileno(), self._prepared.interrupt
        while self._performer is not None and self._performer.busy and not interrupt.is_set():
            if wait_any((messages,), (), _BUSY_SECONDS, interrupt, check=False)[0]:
                return
        if descriptor is None:
            self._reading = None
            return
        ready, _ = wait_any((descriptor, messages), (), None, interrupt, check=False)
        if descriptor in ready:
            self._reading = None
            data = os.read(descriptor, _INPUT_BYTES)
            self.tell(MessageKind.INPUT if data else MessageKind.END_OF_INPUT, data)

    def _answer(self, body: bytes, descriptors: Sequence[int]) -> None:
        """Send the answer to a request; ignored if the process is gone."""
        if self.process is not None:
            with contextlib.suppress(OSError):
                self.process.channel.send(MessageKind.ANSWER, body, descriptors=descriptors)

    def _failed(self, error: BaseException) -> None:
        """End the run for an error of ours in performing a request."""
        self._failure = error
        if self.process is not None:
            self.process.kill()

    def _sandbox_entered(self, body: bytearray) -> Outcome | None:
        active = record_of(body).get("active")
        self.layers = [name for name in LAYERS if isinstance(active, list) and name in active]
        lacking = sandbox.missing(self.layers)
        if lacking and self._level == "strict":
            words = ", ".join(f"{name} ({LAYERS[name]})" for name in lacking)
            return Outcome(
                "error", EXIT_ERROR,
                f"strict isolation needs sandbox layers that this machine does not have: {words}; `wasilab doctor` "
                "lists them, and --isolate uses those that are available",
            )  # fmt: skip
        return None

    def _started(self, body: bytearray) -> Outcome | None:
        record_of(body)
        if self._codes:
            CODES.put(self._key(), self._codes)
            self._codes = []
        if self._prepared.recorder is not None:
            self._prepared.recorder.start_clock()
        self.enter()
        return None

    def _folder(self, body: bytearray) -> None:
        guest, files = unpack_files(body)
        directory = dict(self._prepared.memory_folders()).get(guest)
        if directory is None or not directory.writable:
            raise BadMessage("files of a folder that the run does not have, or may not change")
        try:
            directory.become(files)
        except (ValueError, OSError) as error:
            raise BadMessage(f"files that the folder cannot hold: {error}") from None

    # ---- the end

    def _gone(self, status: int, told: str, bad: str | None) -> Outcome:
        """The outcome if the process ended without a report, or sent an invalid message."""
        seconds = self.time() - self.started
        if self.session.stop_reason is not None:
            return self.session.outcome(None, Interrupted(), seconds)
        if self._compile_bound is not None:
            return Outcome("limit", EXIT_LIMIT, self._compile_bound)
        if bad is not None:
            words = (
                f"the process of the isolated run sent its parent an invalid message ({bad}), as if its program had "
                "taken it over; it was killed"
            )
            return Outcome("error", EXIT_ERROR, words, seconds=seconds, detail=told)
        name = signal_name(status)
        if name == "SIGXCPU":
            return Outcome("limit", EXIT_LIMIT, "it used up its CPU time", seconds=seconds)
        cause = {
            "SIGSYS": "it made a system call that its sandbox forbids",
            "SIGKILL": "it was killed, for example because the machine ran out of memory",
            "SIGABRT": "it aborted",
            "SIGSEGV": "it accessed invalid memory",
            "SIGBUS": "it accessed memory that does not exist",
        }.get(name, f"its status was {status}")
        how = f" ({name})" if name else ""
        words = f"the process of the isolated run ended before its program did{how}: {cause}"
        return Outcome("error", status if name else EXIT_ERROR, words, seconds=seconds, detail=told)

    def _completed(self, outcome: Outcome) -> Outcome:
        """Add what only the parent knows: the missing sandbox layers, the received files, the host's notes."""
        if self._cut:
            self._prepared.output.lose(self._cut)
        notes = list(self._prepared.host.remarks())
        lacking = [] if self.layers is None else sandbox.missing(self.layers)
        if lacking and self._level != "strict":  # a strict run did not begin, and its error says why
            words = ", ".join(f"{name} ({LAYERS[name]})" for name in lacking)
            notes.append(f"isolated without some sandbox layers, which this machine does not have: {words}")
        options = self.session.options
        return replace(
            outcome,
            warnings=tuple(dict.fromkeys([*outcome.warnings, *notes])),
            coredump=self._files.get(0, b"") if options.coredump else b"",
            profile=self._files.get(1, b"") if options.profile else b"",
        )


class SentInput(QueueInput):
    """The input of a guest in another process, to which it is sent."""

    def __init__(self, tell: Callable[[MessageKind, bytes], None]) -> None:
        super().__init__()
        self._tell = tell

    def feed(self, data: bytes) -> None:
        if data:
            self._tell(MessageKind.INPUT, data)

    def end(self) -> None:
        self._tell(MessageKind.END_OF_INPUT, b"")


class SentUpdate(LiveUpdate):
    """Changes the grants of a guest in another process: folders can be restricted or revoked, but not added."""

    running: IsolatedRunning

    def become(self, grants: Grants) -> dict[str, str]:
        left: dict[str, str] = {}
        dirs = {}
        for guest, directory in grants.dirs.items():
            former = self._start.dirs.get(guest)
            if former is None or directory == former or _is_less(directory, former):
                dirs[guest] = directory
                continue
            dirs[guest] = former
            left[guest] = _OTHER_FOLDER
        possible = grants.with_(dirs=dirs)
        if grants.stdin is not None and grants.stdin != self._start.stdin:
            possible, left["stdin"] = possible.with_(stdin=self._start.stdin), _OTHER_INPUT
        left |= super().become(possible)
        plain = possible.with_(dirs={}, withheld={}, sockets=(), stdin=b"", overrides={})
        withheld = {guest: list(names) for guest, names in possible.withheld.items()}
        self.running.tell_record(MessageKind.VALUES, {"grants": to_value(plain), "withheld": withheld})
        return left

    def _renew_stdin(self, grants: Grants) -> None:
        self.running.tell(MessageKind.RENEW_INPUT)  # the stream is in the process, and `SentInput` feeds it
        self.live.restore("stdin")


def _is_less(directory: Directory, former: Directory) -> bool:
    """Whether a folder is the host folder `former`, now without write access."""
    if not isinstance(directory, HostDir) or not isinstance(former, HostDir):
        return False
    return directory.real == former.real and (former.mode, directory.mode) == ("rw", "ro")


def start_isolated(
    prepared: Prepared, args: Sequence[str | bytes], engine: EngineOptions, level: Isolation, *, updatable: bool = False
) -> IsolatedRunning:
    """Start a prepared run in a confined process, detached; see `engine.worker.start`.

    `args` are the guest's arguments, or the values for the export that is called. Releases the prepared run and raises
    `GrantError` for grants that cannot be sent to another process.
    """
    options, module = prepared.options, prepared.module
    try:
        if why := why_not():
            raise CannotIsolate(why)
        _, parcel = pack(prepared, args, engine, None)  # raises now if something cannot be sent
        parcel.close()
    except CannotIsolate as error:
        prepared.release()
        raise GrantError(str(error)) from None
    session = make_session(
        module, prepared.host, None, prepared.grants.limits, preload=options.preload, engine=engine,
        raw=options.raw, native=False,
    )  # fmt: skip
    worker = Worker(f"wasilab {module.name}"[:60])
    running = IsolatedRunning(session, prepared, worker, level, args, engine, without_for_tests())
    running.on_done(worker.end)
    if prepared.pump.stdin is not None:
        prepared.pump.stdin = SentInput(running.tell)
    live = prepared.live
    if live is not None:
        def switched(name: str, works: bool) -> None:
            running.tell_record(
                MessageKind.SWITCH, {"name": name, "works": works, "read_only": live.is_read_only(name)}
            )

        live.renew_stdin = None  # the process does
        live.listen(switched)
    if updatable:
        update = prepared.make_updatable(running, SentUpdate)
        assert isinstance(update, SentUpdate)
        update.running = running
    running.begin()
    return running


def prepare(*, keep: bool) -> None:
    """Start the process for the next run, if none is waiting; `keep`: start another after each isolated run."""
    PREPARED.keep = PREPARED.keep or keep
    if not why_not():
        PREPARED.start(MODULE)


def doctor() -> list[str]:
    """The sandbox layers available on this machine, found by activating them. Raises `GrantError`."""
    try:
        return _tried()
    except CannotIsolate as error:
        raise GrantError(str(error)) from None


def _tried() -> list[str]:
    process = ConfinedProcess(MODULE, without_for_tests())
    try:
        process.ready()
        grants = to_value(Grants())
        record = {"grants": grants, "dirs": [], "sockets": [], "live": False, "args": [], "probe": True}
        process.channel.send_record(MessageKind.JOB, record)
        message = process.channel.receive()
        if message is None or message[0] is not MessageKind.LAYERS:
            raise CannotIsolate(f"the sandbox could not be tried: {process.told.strip()[-200:] or 'the process ended'}")
        active = record_of(message[1]).get("active")
        return [name for name in LAYERS if isinstance(active, list) and name in active]
    except (BadMessage, OSError) as error:
        raise CannotIsolate(f"the sandbox could not be tried: {error}") from None
    finally:
        process.end()


def without_for_tests() -> list[str]:
    """Sandbox layers that `WASILAB_TEST_WITHOUT` disables for a test."""
    named = os.environ.get("WASILAB_TEST_WITHOUT", "").split(",")
    return [name for name in ("namespaces", "landlock", "seccomp") if name in named]
