"""The confined process of one run: waits for work, enters its sandbox, compiles, runs, and reports to the parent.

`main` is called by `engine/isolate/first_steps.py` after all imports and before any data of a guest. What the parent
sends is trusted; the parent does not trust what it receives.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import math
import os
import pkgutil
import runpy
import socket
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace

from ...capabilities import host as host_objects
from ...capabilities.host.features import READ_DIRECTORY
from ...capabilities.host.folder import HostFolder
from ...capabilities.memory.memdir import MemDir
from ...capabilities.protocols import Directory, File
from ...capabilities.streams import DescriptorInput, QueueInput
from ...capabilities.waiting import Interrupt
from ...engine.compiling import bounded, engines
from ...engine.isolate.messages import MessageChannel, MessageKind, Record, record_of
from ...engine.isolate.outcomes import to_record
from ...engine.isolate.sandbox import MIB, SandboxBounds, enter_sandbox, lower_memory
from ...engine.isolate.trace_mirror import TraceSender
from ...engine.limits import Limits
from ...engine.outcome import Outcome
from ...engine.session import SessionArguments
from ...engine.sessions import make_session
from ...engine.threads import Worker
from ...engine.worker import Running, start
from ...grants import live as live_grants
from ...grants.grants import Grants
from ...grants.live.pump import Listeners
from ...grants.live.switches import LiveGrants
from ...grants.value import GrantError
from ...module import dwarf, grow_traps
from ...module.module import Module, from_wat
from ..prepare import Prepared
from . import shipping
from .requests import Requests

COMPONENTS = ("wasilab.engine.components", "wasilab.wasi.components")
"""The component engine: imported only for components."""
REPLAYS = "wasilab.engine.components.replayed.call_answers"
"""What only a replay needs, which does not run here. It imports NumPy, which starts threads."""
COMPILE_BYTES = 2 << 30
"""Extra bytes of data allowed for compiling; withdrawn before the guest runs."""
SPARE_BYTES = 256 * MIB
"""Bytes of data for Python, its threads and Wasmtime."""
_WARM = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $o (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 8) "x")
  (@custom ".debug_info" "") (@custom ".debug_line" "")
  (func $_ZN4warm5startEv (export "_start")
    (i32.store (i32.const 0) (i32.const 8)) (i32.store (i32.const 4) (i32.const 1))
    (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20)))
    (drop (call $o (i32.const 3) (i32.const 0) (i32.const 8) (i32.const 1) (i32.const 0) (i64.const 0) (i64.const 0)
                   (i32.const 0) (i32.const 20)))
    unreachable))"""
"""A program that makes a call, has one refused, and traps in a function with a mangled name and (empty) DWARF sections,
so that everything these need is imported."""


def main(control: int, entered: Sequence[str], without: Sequence[str]) -> None:
    """Serve one run; returns when it has ended, or when the parent is gone."""
    channel = MessageChannel(socket.socket(fileno=control))
    hole = _hole()
    _warm_up()
    channel.send_record(MessageKind.READY, {"entered": list(entered)})
    message = channel.receive_with_descriptors()
    if message is None or message[0] is not MessageKind.JOB:
        return
    given = shipping.Shipment(record_of(message[1]), message[2])
    if given.is_component:
        _import_all(COMPONENTS)
        _ = host_objects.network
        host_objects.internet.Internet.sandboxed = True
    active = enter_sandbox(_bounds(given.limits), given.folders, given.listening, entered, without)
    engines.clear()
    engines.become_confined(threads=True)
    channel.send_record(MessageKind.LAYERS, {"active": active})
    if "probe" in record_of(message[1]):
        return
    try:
        _Inside(channel, given, hole).serve()
    except GrantError as error:
        channel.send_record(MessageKind.OUTCOME, to_record(Outcome("error", 1, str(error))))
    except BrokenPipeError:
        return


def _hole() -> dict[str, Callable[..., object]]:
    """Functions that a test puts in place of calls, to simulate a guest that has escaped."""
    path = os.environ.get("WASILAB_TEST_HOLE")
    return {} if not path else dict(runpy.run_path(path)["OVERRIDES"])


def _bounds(limits: Limits) -> SandboxBounds:
    memory = limits.memory + limits.trace + 2 * limits.output + limits.io + SPARE_BYTES
    seconds = None if limits.seconds is None else math.ceil((limits.seconds + 300) * (os.cpu_count() or 1))
    return SandboxBounds(memory, COMPILE_BYTES, seconds, limits.fds)


def _import_all(packages: Sequence[str]) -> None:
    for package in packages:
        for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if found.name != REPLAYS:
                importlib.import_module(found.name)


def _warm_up() -> None:
    """Import what a run needs, by running a small program: files cannot be opened later."""
    _ = host_objects.copydir, host_objects.plainfolder, host_objects.sockets
    _ = live_grants.ask_paths, live_grants.stand_ins, live_grants.update
    engines.become_confined(threads=False)
    module = from_wat(_WARM, name="warm")
    _ = dwarf.source_map(module), grow_traps, bounded.InvalidModule
    folder = HostFolder(os.open("/", READ_DIRECTORY), "/", writable=False)
    dirs: dict[str, Directory] = {"/m": MemDir({"x": b""}), "/h": folder}
    prepared = Prepared(module, (), Grants(dirs=dirs, env={"x": "y"}, limits=Limits(seconds=10)), live=True)
    running = start(module, prepared.host, prepared.recorder, prepared.grants.limits)
    prepared.make_updatable(running)
    prepared.pump.serve(running)
    prepared.release()
    folder.close()  # or it would stay open inside the sandbox
    if prepared.recorder is not None:
        TraceSender(prepared.recorder, lambda *_: None).tick(last=True)
    try:
        raise ValueError
    except ValueError:
        traceback.format_exc()
    del prepared, running
    while threading.active_count() > 1:  # its threads are about to end
        time.sleep(0.001)
    gc.collect()
    gc.freeze()


class _Inside:
    """The run, inside the sandbox."""

    def __init__(
        self, channel: MessageChannel, given: shipping.Shipment, hole: dict[str, Callable[..., object]]
    ) -> None:
        self._channel = channel
        self._given = given
        self._hole = hole
        self._running: Running | None = None
        self._stopped: str | None = None
        self._prepared: Prepared | None = None
        self._stdin: QueueInput | None = None
        self._values: Record | None = None
        """The last other grants that came."""
        self._update_lock = threading.Lock()
        self._requests: Requests | None = None

    def serve(self) -> None:
        """Run the program to its end."""
        channel, given = self._channel, self._given
        modules = given.modules()
        module = modules.pop("")
        options = given.options(modules)
        grants = given.grants(self._want_input)
        args = given.args
        sender: list[TraceSender] = []

        def tick() -> None:
            for each in sender:
                each.tick()

        if grants.ask:
            self._requests = Requests(channel)
        listeners = Listeners(
            on_stdout=lambda data: channel.send(MessageKind.STDOUT, data),
            on_stderr=lambda data: channel.send(MessageKind.STDERR, data),
            on_tick=tick,
            own_stdin=self._own_stdin,
            asker=None if self._requests is None else self._requests.asker,
        )
        prepared = self._prepared = Prepared(
            module, () if options.invoke is not None else args, grants, options, listeners, live=given.live
        )
        if self._requests is not None:
            self._requests.begin(prepared)
        if isinstance(grants.stdin, QueueInput):
            self._stdin = grants.stdin
        before = {guest: shipping.pack_files(guest, d) for guest, d in prepared.memory_folders()}
        threading.Thread(target=self._listen, name="wasilab control", daemon=True).start()
        engine = replace(options.engine, features=(*options.engine.features, *grants.features))
        how: SessionArguments = {
            "preload": modules, "engine": engine, "overrides": {**prepared.overrides, **self._hole},
            "raw": options.raw, "native": options.native,
        }  # fmt: skip
        seconds = 0.0
        if not module.is_component:
            session = make_session(module, prepared.host, None, grants.limits, **how)
            seconds = self._compile([module, *modules.values()], session.request())
        lower_memory()
        if prepared.recorder is not None:
            prepared.recorder.packs = False
            sender.append(TraceSender(prepared.recorder, channel.send))
        channel.send_record(MessageKind.RUNNING, {"compile_seconds": seconds})
        changed, worker = threading.Event(), Worker("wasilab guest")
        worker.do(changed.wait)  # the guest's first call finds the grants that were changed before it
        running = self._running = start(
            module, prepared.host, prepared.recorder, grants.limits,
            invoke=options.invoke, invoke_args=args if options.invoke is not None else (), worker=worker, **how,
        )  # fmt: skip
        if given.live:
            with self._update_lock:
                prepared.make_updatable(running)
                self._become(self._values)
        changed.set()
        if self._stopped is not None:
            running.interrupt("seconds" if self._stopped == "seconds" else "interrupt")
        outcome = prepared.pump.serve(running)
        prepared.release()
        for each in sender:
            each.tick(last=True)
        for guest, directory in prepared.memory_folders():
            packed = shipping.pack_files(guest, directory)
            if packed != before[guest]:
                channel.send(MessageKind.FOLDER, packed)
        for number, data in ((0, outcome.coredump), (1, outcome.profile)):
            if data:
                channel.send(MessageKind.FILE, bytes([number]), data)
        record = to_record(replace(outcome, compile_seconds=outcome.compile_seconds or seconds))
        channel.send_record(MessageKind.OUTCOME, {**record, "cut": prepared.output.cut})

    def _own_stdin(self, interrupt: Interrupt) -> File:
        """The user's input: a descriptor, or what the parent sends."""
        descriptor = self._given.own_stdin
        if descriptor is not None:
            return DescriptorInput(descriptor, interrupt)
        self._stdin = QueueInput(self._want_input, interrupt)
        return self._stdin

    def _compile(self, modules: list[Module], request: engines.CompileRequest) -> float:
        """Compile the modules, unless machine code was sent; returns the seconds it took."""
        codes = self._given.codes()
        if codes is not None:
            engines.adopt(modules, request, codes)
            return 0.0
        with contextlib.suppress(engines.WasmtimeCompileError):  # the run reports it
            compiled = engines.acquire(modules, request)
            for made in compiled.modules:
                self._channel.send(MessageKind.CODE, made.serialize())
            engines.release(compiled)
            return compiled.seconds
        return 0.0

    def _listen(self) -> None:
        """Handle the parent's messages while the guest runs; ends with the parent."""
        while True:
            try:
                message = self._channel.receive_with_descriptors()
            except OSError:
                message = None
            if message is None:
                os._exit(1)
            with contextlib.suppress(GrantError, ValueError):
                self._obey(*message)

    def _obey(self, kind: MessageKind, body: bytearray, descriptors: Sequence[int]) -> None:
        prepared, running = self._prepared, self._running
        if kind is MessageKind.ANSWER and self._requests is not None:
            self._requests.answered(body, descriptors)
        elif kind is MessageKind.INTERRUPT:
            self._stopped = bytes(body).decode()
            if running is not None:
                running.interrupt("seconds" if self._stopped == "seconds" else "interrupt")
        elif kind in (MessageKind.INPUT, MessageKind.END_OF_INPUT) and self._stdin is not None:
            self._stdin.feed(bytes(body)) if kind is MessageKind.INPUT else self._stdin.end()
        elif kind is MessageKind.SWITCH and prepared is not None and prepared.live is not None:
            found = record_of(body)
            self._switch(prepared, prepared.live, found["name"], found["works"], found["read_only"])
        elif kind is MessageKind.RENEW_INPUT and prepared is not None and prepared.live is not None:
            self._renew_input(prepared, prepared.live)
        elif kind is MessageKind.VALUES:
            with self._update_lock:
                self._become(record_of(body))

    def _switch(self, prepared: Prepared, live: LiveGrants, name: str, works: bool, read_only: bool) -> None:
        if not works:
            live.revoke(name)
            if name == "stdin" and self._stdin is not None:
                self._stdin.end()  # wakes a guest that waits for a line
            return
        if name == "stdin" and self._stdin is not None and not live.works(name):
            self._renew_input(prepared, live)
        live.restore(name)
        if name in prepared.dirs:
            live.read_only(name, read_only)

    def _renew_input(self, prepared: Prepared, live: LiveGrants) -> None:
        """Give the guest its stdin anew: its text from the beginning, or what is typed from now on."""
        if self._stdin is None:
            live.put("stdin", prepared.fresh_stdin())
            return
        stream: File
        stream = self._stdin = QueueInput(self._want_input, prepared.interrupt)
        if self._requests is not None and prepared.grants.stdin is None:
            stream = live_grants.stand_ins.stream_stand_in(self._requests.use, "stdin", stream)
        live.put("stdin", stream)

    def _become(self, found: Record | None) -> None:
        """Apply other grants, now or as soon as the guest is started."""
        update = None if self._prepared is None else self._prepared.live_update
        self._values = found
        if update is not None and found is not None:
            update.become_values(shipping.Shipment.values(found["grants"]), found["withheld"])

    def _want_input(self) -> None:
        self._channel.send(MessageKind.WANTS_INPUT)
