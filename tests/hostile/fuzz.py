"""A fuzzer of the whole call surface: `python -m tests.hostile.fuzz --calls 10000000`.

A case is a number: from it come everything random, a shape (which snapshot, which rights, which callbacks, how wild)
and sequences of up to 200 calls for the interpreter of `surface.py`, under a writable and a read-only folder, a copied
one and one in memory, each with links that lead out. Clocks step, so that no poll sleeps. What must hold:

- no run ends with kind "error", which is a failure of the host, nor in time that runs out;
- a guest is answered only errnos that the witx document has;
- nothing outside the writable folder and the read-only one changes by a byte, no secret of it is seen in memory;
- a call writes only the bytes that its arguments name (checked call by call on a share of them);
- no descriptor of the process stays open, and its memory does not grow;
- the trace of it can be read, and holds no control character.
"""

from __future__ import annotations

import argparse
import os
import random
import selectors
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import wasilab
from wasilab.capabilities.clocks import Clocks
from wasilab.capabilities.host.sockets import listen
from wasilab.capabilities.random import Random
from wasilab.engine.instances import GuestError, Live
from wasilab.runs.prepare import Prepared, RunOptions
from wasilab.wasi.preview1.spec import MODULES

from ..folders import in_memory
from .conftest import descriptors, leaked_since, picture
from .surface import BUFFERS, OPS, SECRET, SIZE, Pools, footprint, interpreter

ERRNOS = range(77)
SECONDS = 20.0
"""A sequence that takes longer hangs."""
CLIENTS = 20
"""Connections that wait to be accepted: nearly as many as descriptors are free, so that accepting waits rarely."""
GROWTH = 200 << 20
"""Bytes that the process may have grown by after a case."""


@dataclass(frozen=True)
class Shape:
    """How a case is fuzzed; a seed's own by default (`Shape.of`)."""

    module: str = "wasi_snapshot_preview1"
    rights: str = "strict"
    raw: bool = True
    wild: int = 1
    """Of 256 pointers, how many are arbitrary."""
    length: int = 200
    sequences: int = 40
    singles: int = 8
    """Calls made one by one, with every byte of memory compared."""
    listening: bool = False
    """Whether a listening socket is granted, with a first connection accepted from it (a call may then wait, and is
    ended)."""

    @classmethod
    def of(cls, seed: int) -> Shape:
        """The shape that a seed has of its own."""
        rng = random.Random(seed ^ 0x5EED)
        wild = rng.random() < 0.05
        return cls(
            module=rng.choice(("wasi_snapshot_preview1", "wasi_snapshot_preview1", "wasi_unstable")),
            rights=rng.choice(("strict", "compat")),
            raw=rng.random() < 0.8,
            wild=24 if wild else rng.choice((0, 0, 0, 1)),
            length=10 if wild else 200,
            listening=rng.random() < 0.02,
        )


@dataclass
class Found:
    """What a case, or many, came to."""

    calls: int = 0
    cases: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    errnos: Counter[int] = field(default_factory=Counter)
    names: Counter[str] = field(default_factory=Counter)
    succeeded: Counter[str] = field(default_factory=Counter)
    """Calls by name that were answered 0."""
    wrong: list[str] = field(default_factory=list)
    """What did not hold, each with its seed."""


class Ground:
    """The trees of one case, in memory where there is such a file system, and what they must look like afterwards."""

    def __init__(self) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="wasilab-fuzz-", dir=in_memory()))
        self.rebuild()

    def rebuild(self) -> None:
        """All trees as at the beginning."""
        for child in self.base.iterdir():
            shutil.rmtree(child)
        outside = self.base / "outside"
        (outside / "folder").mkdir(parents=True)
        (outside / "secret.txt").write_bytes(SECRET)
        for name in ("rw", "ro", "copy"):
            self._tree(self.base / name)
        self.before = self.kept()

    def _tree(self, root: Path) -> None:
        (root / "sub" / "deep").mkdir(parents=True)
        (root / "file.txt").write_bytes(b"a file\n" * 20)
        (root / "sub" / "file.txt").write_bytes(b"below\n")
        links = {
            "out": "../outside", "secret": "../outside/secret.txt", "absolute": str(self.base / "outside"),
            "parent": "..", "root": "/", "dangling": "../outside/made", "loop": "loop", "chain": "sub/../out",
            "inner": "sub", "self": "/proc/self/root",
        }  # fmt: skip
        for name, target in links.items():
            os.symlink(target, root / name)
        if root.name != "copy":
            os.mkfifo(root / "fifo")

    def kept(self) -> list[Any]:
        """What nobody may change: all but the writable folder."""
        return [picture(self.base / name) for name in ("outside", "ro", "copy")] + [sorted(os.listdir(self.base))]

    def grants(self, shape: Shape, seed: int) -> wasilab.Grants:
        """Four directories at 3 to 6, and the listening socket at 7."""
        return wasilab.Grants(
            dirs={
                "/rw": wasilab.HostDir(str(self.base / "rw"), "rw"),
                "/ro": wasilab.HostDir(str(self.base / "ro")),
                "/mem": wasilab.MemDir({"file.txt": "memory", "sub": {"deep": {}, "file.txt": "x"}}, max_bytes=1 << 20),
                "/copy": wasilab.HostDir(str(self.base / "copy"), "copy"),
            },
            env={"A": "1", "B": "two"},
            stdin=b"input " * 100,
            clocks=Clocks.stepped(1000),
            random=Random.seeded(seed),
            sockets=(listen("127.0.0.1:0"),) if shape.listening else (),
            rights=shape.rights,  # type: ignore[arg-type]
            limits=wasilab.Limits(
                fds=24, io=1 << 20, bytes_written=32 << 20, output=1 << 20, trace=4 << 20,
                seconds=0.3 if shape.listening else SECONDS,
            ),
        )  # fmt: skip

    def remove(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self.base)


class Peers:
    """Clients of a listening socket, on a thread of their own: each sends without end and reads all that comes.

    So no send or receive of a guest has to wait for them, however much it moves.
    """

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._ended = False
        threading.Thread(target=self._serve, name="fuzz peers", daemon=True).start()

    def connect(self, address: tuple[str, int]) -> None:
        """One more client."""
        client = socket.create_connection(address)
        client.setblocking(False)
        with self._lock:
            self._selector.register(client, selectors.EVENT_READ | selectors.EVENT_WRITE)

    def close(self) -> None:
        """Disconnect all of them, now."""
        with self._lock:
            self._ended = True
            for key in list(self._selector.get_map().values()):
                self._leave(key.fileobj)
            self._selector.close()

    def _leave(self, client: Any) -> None:
        self._selector.unregister(client)
        client.close()

    def _serve(self) -> None:
        while True:
            with self._lock:
                if self._ended:
                    return
                ready = self._selector.select(0.001) if self._selector.get_map() else []
                for key, events in ready:
                    client = key.fileobj
                    assert isinstance(client, socket.socket)
                    try:
                        if events & selectors.EVENT_READ and not client.recv(1 << 16):
                            self._leave(client)
                            continue
                        if events & selectors.EVENT_WRITE:
                            client.send(b"from a client " * 64)
                    except BlockingIOError:
                        continue
                    except OSError:
                        self._leave(client)
            time.sleep(0.0005)


_modules: dict[str, wasilab.Module] = {}


def _module(name: str) -> wasilab.Module:
    if name not in _modules:
        _modules[name] = wasilab.compile(interpreter(name), "wat", name="surface")
    return _modules[name]


def resident() -> int:
    """Bytes of this process that are in memory."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Case:
    """One case: a seed and a shape, run on a ground."""

    def __init__(self, ground: Ground, seed: int, shape: Shape, found: Found) -> None:
        self.ground, self.seed, self.shape, self.found = ground, seed, shape, found
        self.pools = Pools(random.Random(seed), shape.module, shape.wild)
        self.calls = self.pools.calls
        self._instance: Live | None = None
        self._prepared: Prepared | None = None
        self._peers: Peers | None = None
        self._accepts = False
        """Whether a client waits to be accepted before the next sequence."""

    def wrong(self, what: str) -> None:
        """Note that something did not hold."""
        self.found.wrong.append(f"seed {self.seed} {self.shape}: {what}")

    def run(self) -> None:
        """All sequences, the singles, then the checks."""
        self.ground.rebuild()
        self._run()
        if self.ground.kept() != self.ground.before:
            self.wrong("something outside, or of the read-only or the copied folder, was changed")
        self.found.cases += 1

    def _run(self) -> None:
        grants = self.ground.grants(self.shape, self.seed)
        try:
            for _ in range(self.shape.sequences):
                self._sequence(self._open(grants))
            for _ in range(self.shape.singles):
                self._single(self._open(grants))
        finally:
            self._close()

    def _open(self, grants: wasilab.Grants) -> Live:
        if self._instance is None:
            module = _module(self.shape.module)
            self._prepared = prepared = Prepared(module, ["one", "two"], grants, RunOptions())
            self._instance = Live.open(
                module, prepared.host, prepared.recorder, grants.limits, pump=lambda: prepared.pump, raw=self.shape.raw
            )
            for one in grants.sockets:
                self._peers = Peers()
                for _ in range(CLIENTS):
                    self._peers.connect(one.bind())
                self._accepts = "sock_accept" in MODULES[self.shape.module]
        return self._instance

    def _call(self, live: Live, length: int) -> bool:
        """Perform what lies at `OPS`; whether the instance is still alive."""
        try:
            live.call("run", OPS, length)
        except GuestError as error:
            outcome = error.outcome
            self.found.ends[outcome.kind] += 1
            if outcome.kind == "error":
                self.wrong(f"the host failed: {outcome.message}\n{outcome.detail}")
            elif outcome.kind == "limit" and not self.shape.listening:
                self.wrong(f"it hung: {outcome.message}; the last calls:\n{self._last()}")
            elif outcome.kind == "interrupt":
                self.wrong(f"it was interrupted: {outcome.message}")
            self._close()
            return False
        return True

    def _last(self) -> str:
        assert self._prepared is not None
        assert self._prepared.recorder is not None
        return wasilab.Trace.from_recorder(self._prepared.recorder)[-5:].text()

    def _sequence(self, live: Live) -> None:
        data, operations = self.pools.sequence(self.shape.length, accepts=self._accepts)
        self._accepts = False
        live.memory.write(0, self.pools.image())
        live.memory.write(OPS, data)
        alive = self._call(live, len(operations))
        for number, _ in operations if alive else ():
            if number < len(self.calls):
                self.found.names[self.calls[number].name] += 1
        if alive:
            bad = live.call("bad")
            if bad:
                self.wrong(f"an answer was {bad & 0xFFFFFFFF}, which is no errno")
            if SECRET in live.memory.read(0, len(live.memory)):
                self.wrong("a secret of the outside is in the guest's memory")

    def _single(self, live: Live) -> None:
        data, [(number, words)] = self.pools.sequence(1)
        live.memory.write(0, self.pools.image())
        live.memory.write(OPS, data)
        before = live.memory.read(0, SIZE)
        if not self._call(live, 1):
            return
        after = live.memory.read(0, SIZE)
        answer = int.from_bytes(after[OPS + 4 : OPS + 8], "little")
        expected, changed = bytearray(before), bytearray(after)
        allowed = [(OPS + 4, OPS + 8)]
        if number < len(self.calls):
            allowed += footprint(self.calls[number], words, before)
        for start, end in allowed:
            start, end = min(start, SIZE), min(end, SIZE)
            expected[start:end] = changed[start:end] = bytes(end - start)
        if expected != changed:
            at = next(i for i in range(SIZE) if expected[i] != changed[i])
            self.wrong(f"{self.calls[number].name}{words} = {answer} wrote at 0x{at:x}, outside {allowed}")

    def _close(self) -> None:
        """End the instance and look at its trace."""
        if self._instance is None or self._prepared is None:
            return
        prepared, self._prepared = self._prepared, None
        self._instance.close()
        self._instance = None
        if self._peers is not None:  # and nobody of the next instance finds a connection of this one
            self._peers.close()
            self._peers = None
        for one in prepared.grants.sockets:
            one.release()
        recorder = prepared.recorder
        assert recorder is not None
        trace = wasilab.Trace.from_recorder(recorder)
        errnos = Counter(trace["errno"].tolist())
        self.found.errnos.update(errnos)
        self.found.calls += len(trace) + recorder.dropped
        names = {call.number: call.name for call in MODULES["wasi_snapshot_preview1"].values()}
        self.found.succeeded.update(names[number] for number in trace["call"][trace["errno"] == 0].tolist())
        strange = [errno for errno in errnos if errno not in ERRNOS and errno != 255]
        if strange:
            self.wrong(f"errnos in the trace that there are not: {strange}")
        if self.seed % 8 == 0:
            self._read(trace, prepared)
        prepared.release()

    def _read(self, trace: Any, prepared: Prepared) -> None:
        """Everything that shows a trace, on this one."""
        text = trace.text() + str(trace.denied) + str(trace.summary())
        for directory in prepared.dirs.values():
            if hasattr(directory, "changes"):
                text += repr(directory.changes())
        live = [
            c for c in set(text) if (c < " " and c not in "\n\t") or "\x7f" <= c <= "\x9f" or c in "\u202e\u202d\u2066"
        ]
        if live:
            self.wrong(f"control characters in the trace's text: {live}")
        for event in trace[-20:]:
            repr(event)


def run_case(ground: Ground, seed: int, found: Found, shape: Shape | None = None) -> None:
    """Run one case and add what it came to; an exception of the host's own code is noted as well."""
    case = Case(ground, seed, shape or Shape.of(seed), found)
    try:
        case.run()
    except Exception as error:  # noqa: BLE001  whatever it is, it is a finding
        import traceback

        case.wrong("".join(traceback.format_exception(error)))


def check_process(found: Found, before: dict[str, str], base: int, seed: int) -> None:
    """Note descriptors that the cases so far left open, and memory that they left taken."""
    leaked = leaked_since(before)
    if leaked:
        found.wrong.append(f"up to seed {seed}: descriptors left open: {leaked}")
        before.update(leaked)
    if resident() - base > GROWTH:
        found.wrong.append(f"up to seed {seed}: the process grew by {resident() - base >> 20} MiB")


def main(arguments: list[str] | None = None) -> int:
    """The long form: many cases, a report at the end; 1 if anything did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.fuzz", description=__doc__)
    parser.add_argument("--calls", type=int, default=200_000, help="how many calls to make at least")
    parser.add_argument("--seed", type=int, default=1, help="the first case's number; the next is one more")
    parser.add_argument("--cases", type=int, help="how many cases at most (1 repeats a finding)")
    parser.add_argument("--stop", action="store_true", help="stop at the first finding")
    given = parser.parse_args(arguments)
    ground, found = Ground(), Found()
    started, said = time.monotonic(), 0.0
    try:
        run_case(ground, given.seed, Found())  # everything is imported and compiled
        base, before = resident(), descriptors()
        seed = given.seed
        while found.calls < given.calls and (given.cases is None or found.cases < given.cases):
            known = len(found.wrong)
            run_case(ground, seed, found)
            if found.cases % 10 == 0 or given.cases is not None:
                check_process(found, before, base, seed)
            for wrong in found.wrong[known:]:
                print(wrong, flush=True)
            if found.wrong and given.stop:
                break
            seed += 1
            if time.monotonic() - said > 30:
                said = time.monotonic()
                print(f"{found.calls:,} calls, {found.cases:,} cases, {len(found.wrong)} wrong, "
                      f"{resident() >> 20} MiB, {said - started:.0f} s", file=sys.stderr, flush=True)  # fmt: skip
    finally:
        ground.remove()
    print(f"{found.calls:,} calls in {found.cases:,} cases (seeds {given.seed} to {seed - 1}), "
          f"{time.monotonic() - started:.0f} s; ends: {dict(found.ends)}")  # fmt: skip
    print(f"answers: {dict(found.errnos.most_common())}")
    print(f"{len(found.wrong)} things did not hold")
    return bool(found.wrong)


__all__ = ["BUFFERS", "Case", "Found", "Ground", "Shape", "main", "replace", "run_case"]

if __name__ == "__main__":
    sys.exit(main())
