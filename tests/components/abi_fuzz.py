"""A fuzzer of the functions of WASI 0.2 and 0.3: `python -m tests.components.abi_fuzz --calls 5000000`.

The generated trampolines and the async form are called as WebAssembly calls them, with core words that are arbitrary
or nearly right (handles, pointers, lengths), over a memory that holds arbitrary and nearly right values, with a realloc
that mostly answers well. A case is a number. What must hold:

- a call answers, or ends the guest with what ends a guest (`Trap`, `ProcExit`): never with an error of the host;
- it writes only its result's place and what realloc gave (checked on a share of the calls);
- nothing outside the writable folder changes, and no secret of it is seen in memory;
- no descriptor of the process stays open; the trace of it can be read and holds no control character.
"""

from __future__ import annotations

import argparse
import ctypes
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import wasmtime

import wasilab
from wasilab.capabilities.clocks import Clocks
from wasilab.capabilities.random import Random
from wasilab.capabilities.waiting import Interrupted
from wasilab.engine.components.abi.canon_context import CanonContext
from wasilab.engine.components.abi.linear_memory import LinearMemory
from wasilab.engine.components.canon_builtins import BuiltinFunctions
from wasilab.engine.components.canon_functions import LoweredFunction
from wasilab.engine.components.component_run import HostEvents
from wasilab.engine.components.concurrency.handles import Handle
from wasilab.engine.components.concurrency.tasks import ComponentInstance, Scheduler
from wasilab.engine.components.host_calls import Declared, HostImports
from wasilab.engine.components.recording import CallRecorder
from wasilab.runs.prepare import Prepared, RunOptions
from wasilab.wasi.components import value_types as v
from wasilab.wasi.components.catalogue import INTERFACES
from wasilab.wasi.components.wit.wit_text import read_function
from wasilab.wasi.types import ProcExit, Trap

from ..hostile.conftest import descriptors, leaked_since
from ..hostile.fuzz import Ground
from ..hostile.surface import SECRET

PAGES = 4
SIZE = PAGES << 16
TEXTS = [
    b"file.txt", b"sub", b"out/secret.txt", b"../outside/secret.txt", b"secret", b"absolute/secret.txt", b"/etc/passwd",
    b"new", b"sub/deep", b"loop", b"a\0b", b"\xff\xfe", b"", b"\xed\xa0\x80", b"localhost", b"127.0.0.1",
    b"self/etc/passwd", b"chain/secret.txt", b"fifo", b"x" * 300, b"dangling",
    b"inner/file.txt", b"parent/outside/secret.txt",
]  # fmt: skip
VERSIONS = {"0.2": "0.2.6", "0.3": "0.3.0"}


@dataclass
class Found:
    """What many cases came to."""

    calls: int = 0
    cases: int = 0
    ended: int = 0
    names: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


class Realloc:
    """The guest's realloc as the host calls it: gives room at the end of memory, at times nonsense."""

    on_fiber = False

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.wild = 0.0
        self.given: list[tuple[int, int]] = []
        self.next = SIZE // 2

    def call(self, old: int, old_size: int, alignment: int, size: int) -> int:
        if self.rng.random() < self.wild:
            return self.rng.choice((0, 1, 0xFFFFFFFF, SIZE, SIZE - 1, self.rng.randrange(1 << 32)))
        at = (self.next + alignment - 1) & -alignment
        if at + size > SIZE:
            at = SIZE // 2
        if at + size > SIZE:
            return 0xFFFFFFF0
        self.next = at + size
        self.given.append((at, size))
        return at


class Case:
    """One seed: a host with its grants, an instance, every function."""

    def __init__(self, ground: Ground, engine: wasmtime.Engine, seed: int, found: Found) -> None:
        self.ground, self.seed, self.found = ground, seed, found
        self.rng = random.Random(seed)
        self.store = wasmtime.Store(engine)
        limits = wasmtime.Limits(PAGES, PAGES)
        self.memory = LinearMemory(self.store, wasmtime.Memory(self.store, wasmtime.MemoryType(limits)))
        self.realloc = Realloc(self.rng)
        self.error: BaseException | None = None
        self.slots = (ctypes.c_uint32 * 128)()

    def run(self, calls: int) -> None:
        """So many calls, then the checks."""
        self.ground.rebuild()
        grants = wasilab.Grants(
            dirs={
                "/rw": wasilab.HostDir(str(self.ground.base / "rw"), "rw"),
                "/ro": wasilab.HostDir(str(self.ground.base / "ro")),
                "/mem": wasilab.MemDir({"file.txt": "memory", "sub": {"deep": {}, "file.txt": "x"}}, max_bytes=1 << 20),
                "/copy": wasilab.HostDir(str(self.ground.base / "copy"), "copy"),
            },
            env={"A": "1", "B": "two"}, stdin=b"input " * 100,
            clocks=Clocks.stepped(1000), random=Random.seeded(self.seed), connect=["127.0.0.1:9"],
            limits=wasilab.Limits(fds=24, io=1 << 20, bytes_written=32 << 20, output=1 << 20, trace=4 << 20),
        )  # fmt: skip
        prepared = Prepared(wasilab.compile("(component)", "wat"), [], grants, RunOptions())
        try:
            self._functions(prepared)
            self._fuzz(prepared, calls)
            self._read_trace(prepared)
        finally:
            for entry in list(self.instance.handles.entries.values()):
                if type(entry) is Handle and entry.own and entry.resource.destroy is not None:
                    entry.resource.destroy(entry.rep, None)
            self.imports.close()
            prepared.release()
        if self.ground.kept() != self.ground.before:
            self.wrong("something outside the writable folder was changed")
        self.found.cases += 1

    def wrong(self, what: str) -> None:
        """Note that something did not hold."""
        self.found.wrong.append(f"seed {self.seed}: {what}")

    def _failed(self, error: BaseException) -> int:
        self.error = error
        return 1

    def _functions(self, prepared: Prepared) -> None:
        host = prepared.host
        events = HostEvents(host.interrupt)
        self.scheduler = scheduler = Scheduler(events.wait)
        self.instance = ComponentInstance(scheduler, None, blocking=False)
        assert prepared.recorder is not None
        prepared.recorder.start_clock()
        notes = CallRecorder(prepared.recorder, detached=False, take_stack=None)
        self.instance.notes, self.instance.handles.on_take = notes, notes.taken
        self.imports = imports = HostImports(host, events.add, self._failed, notes)
        encoding = self.rng.choice(("utf8", "utf8", "utf16", "latin1+utf16"))
        context = CanonContext(self.instance, self.memory, self.realloc, encoding, events.add)  # type: ignore[arg-type]
        builtins = BuiltinFunctions(self.instance)
        self.made: list[tuple[str, tuple[str, ...], Callable[[], Any], v.ComponentFuncType, bool]] = []
        for (bare, version), interface in INTERFACES.items():
            full = f"{bare}@{VERSIONS[version]}"
            named = partial(imports._named, bare, version)
            for name, function in interface.functions.items():
                type_ = read_function(function.type, named, is_async=function.is_async)
                made = imports.function(full, name, type_)
                if isinstance(made, Declared):
                    lowered = imports.lower(made, context)
                    assert lowered is not None
                    params, results, call = lowered
                    raw = partial(call, None, None, ctypes.addressof(self.slots), 8)
                    self.made.append((f"{full}#{name}", params, raw, type_, bool(type_.result and not results)))
                    continue
                for is_async in (False, True) if type_.is_async else (False,):
                    one = LoweredFunction(made, context, is_async=is_async)
                    kinds = one.signature.params
                    self.made.append(
                        (f"{full}#{name}{' async' * is_async}", kinds, partial(self._words, one.target, kinds), type_,
                         one.signature.result_in_memory)
                    )  # fmt: skip
            for name in interface.resources:
                drop = partial(self._words, partial(builtins.resource_drop, imports.resource(full, name)), ("i32",))
                self.made.append((f"{full}#drop {name}", ("i32",), drop, v.ComponentFuncType(), False))
        self.openers = [m for m in self.made if m[0].partition("#")[2] in _OPENERS]

    def _words(self, target: Callable[..., Any], kinds: tuple[str, ...]) -> int:
        words = [
            self.slots[4 * i] | (self.slots[4 * i + 1] << 32 if kind in ("i64", "f64") else 0)
            for i, kind in enumerate(kinds)
        ]
        try:
            target(*words)
        except BaseException as error:  # noqa: BLE001  looked at by the caller
            return self._failed(error)
        return 0

    # ---- words and memory

    def _fill(self) -> None:
        rng, view = self.rng, self.memory.view
        for at in range(0, SIZE // 2, 4096):
            for offset in range(0, 1024, 4):
                view[at + offset : at + offset + 4] = self._word("i32").to_bytes(4, "little")
            view[at + 1024 : at + 1056] = rng.randbytes(32)
            place = at + 2048
            for text in rng.sample(TEXTS, 4):
                data = text if rng.random() < 0.8 else text.decode("latin-1").encode("utf-16-le")
                view[place : place + len(data)] = data
                view[at + 64 : at + 72] = place.to_bytes(4, "little") + len(data).to_bytes(4, "little")
                self.texts.append((place, len(text)))
                place += (len(data) + 9) & ~7

    def _word(self, kind: str) -> int:
        rng = self.rng
        choice = rng.random()
        if choice < 0.4:
            return rng.randrange(12)
        if choice < 0.6:
            return rng.randrange(SIZE // 16) * 8
        if choice < 0.7:
            return rng.choice((0, 1, SIZE, SIZE - 1, SIZE - 8, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x110000, 0xD800))
        if choice < 0.95:
            return rng.randrange(300)
        return rng.getrandbits(32 if kind in ("i32", "f32") else 64)

    def _put(self, kinds: tuple[str, ...], type_: v.ComponentFuncType, result_in_memory: bool) -> None:
        rng, slots = self.rng, self.slots
        words = [self._word(kind) for kind in kinds]
        if rng.random() < 0.8:
            place = 0
            for name, part in type_.params:
                if place >= len(words):
                    break
                resource = getattr(part, "resource", None)
                if resource is not None:
                    fitting = [
                        number for number, entry in self.instance.handles.entries.items()
                        if type(entry) is Handle and entry.resource is resource
                    ]  # fmt: skip
                    if fitting:
                        words[place] = rng.choice(fitting)
                elif str(part) == "string":
                    words[place : place + 2] = rng.choice(self.texts)
                elif str(part) in ("u64", "u32") and name in ("offset", "len", "length", "size"):
                    words[place] = rng.randrange(5000)
                place += len(v.flat(part))
            if result_in_memory and words:
                words[-1] = rng.randrange(64) * 64
            words = words[: len(kinds)]
        for number, word in enumerate(words):
            slots[4 * number], slots[4 * number + 1] = word & 0xFFFFFFFF, word >> 32 & 0xFFFFFFFF

    # ---- calling

    def _fuzz(self, prepared: Prepared, calls: int) -> None:
        self.texts: list[tuple[int, int]] = []
        self._fill()
        found, instance, interrupt = self.found, self.instance, prepared.host.interrupt
        last = [time.monotonic()]
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.1):
                if time.monotonic() - last[0] > 0.3:
                    interrupt.set()

        threading.Thread(target=watch, daemon=True).start()
        for number in range(calls):
            choice = self.rng.choice(self.openers if number % 16 < 2 else self.made)
            name, kinds, call, type_, result_in_memory = choice
            self._put(kinds, type_, result_in_memory)
            self.realloc.wild = 0.05 if number % 8 == 7 else 0.0
            self.realloc.given.clear()
            checked = number % 64 == 0
            before = bytes(self.memory.view) if checked else b""
            pointer = self.slots[4 * (len(kinds) - 1)] if result_in_memory and kinds else -1
            self.error = None
            last[0] = time.monotonic()
            call()
            found.names[name] += 1
            found.calls += 1
            error = self.error
            if error is None:
                found.answered[name] += 1
            else:
                if isinstance(error, Interrupted):
                    break  # it waited for what cannot happen: another case goes on
                if not isinstance(error, Trap | ProcExit):
                    self.wrong(f"{name} ended with {type(error).__name__}: {error}")
                found.ended += 1
                instance.may_leave = True
                self.scheduler.stack.clear()
                for entry in instance.handles.entries.values():
                    if type(entry) is Handle:
                        entry.lends = 0
            if checked and pointer >= 0 and not (type_.is_async and name.endswith("async")):
                self._check_footprint(name, before, pointer, type_.result)
            if number % 500 == 499:
                if SECRET in bytes(self.memory.view):
                    self.wrong("a secret of the outside is in the guest's memory")
                self.memory.view[:] = bytes(SIZE)
                self.texts.clear()
                self._fill()
                if len(instance.handles.entries) > 200:
                    self._drop_all()
        over.set()

    def _drop_all(self) -> None:
        entries = self.instance.handles.entries
        for number in list(entries):
            entry = entries[number]
            if type(entry) is Handle:
                handle = self.instance.handles.drop(number, entry.resource)
                if handle.own and handle.resource.destroy is not None:
                    handle.resource.destroy(handle.rep, self.instance)

    def _check_footprint(self, name: str, before: bytes, pointer: int, result: v.ValueType | None) -> None:
        after = bytearray(self.memory.view)
        places = [*self.realloc.given]
        if result is not None:
            places.append((pointer, v.layout(result)[0]))
        for at, size in places:
            after[at : at + size] = before[at : at + size]
        if after != before:
            at = next(i for i in range(SIZE) if after[i] != before[i])
            self.wrong(f"{name} wrote to 0x{at:x}, which is not of its result")

    def _read_trace(self, prepared: Prepared) -> None:
        assert prepared.recorder is not None
        trace = wasilab.Trace.from_recorder(prepared.recorder)[-2000:]
        for line in trace.text().splitlines():
            if any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 for char in line):
                self.wrong(f"a control character in the trace: {line!r}")
        for event in trace:
            str(event)


_OPENERS = (
    "get-directories", "get-stdin", "get-stdout", "instance-network", "create-tcp-socket", "create-udp-socket",
    "[method]descriptor.open-at", "subscribe-duration", "[static]tcp-socket.create", "[static]udp-socket.create",
    "[method]descriptor.read-directory", "[method]descriptor.read-via-stream", "[method]descriptor.write-via-stream",
)  # fmt: skip


def run(total: int, seed: int = 0, each: int = 4_000) -> Found:
    """So many calls."""
    ground, found = Ground(), Found()
    engine = wasmtime.Engine()
    try:
        Case(ground, engine, seed, Found()).run(100)  # what is loaded once
        before = descriptors()
        while found.calls < total and len(found.wrong) < 20:
            Case(ground, engine, seed, found).run(min(each, total - found.calls))
            seed += 1
        leaked = leaked_since(before)
        if leaked:
            found.wrong.append(f"descriptors stay open: {leaked}")
    finally:
        ground.remove()
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    start = time.monotonic()
    result = run(given.calls, given.seed)
    seconds = time.monotonic() - start
    print(
        f"{result.calls:,} calls in {result.cases} cases, {seconds:.0f} s; {result.ended:,} ended the guest; "
        f"{len(result.names)} functions, {len(result.answered)} of them answered; {len(result.wrong)} wrong"
    )
    never = sorted(set(result.names) - set(result.answered))
    print("never answered:", ", ".join(never) or "none")
    for what in result.wrong[:20]:
        print("-", what)
    sys.exit(bool(result.wrong))
