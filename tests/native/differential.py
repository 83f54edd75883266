"""Random programs of WASI calls, run with the native path and without it: whatever can be seen of both must be equal.

A program opens files, then makes some tens of random calls several times over: reads and writes on files of the host,
in memory and on collected streams, bad pointers and lengths, links and paths that lead out, renumbered and closed
descriptors, rights given up, limits that are reached. A call that an override answers takes grants back meanwhile.

    python -m tests.native.differential PROGRAMS [FIRST]

prints as JSON how many calls were answered natively, by name, and by which lines of turbo.c calls went back to Python
(when WASILAB_NATIVE names a library compiled with -DTURBO_WAYS).
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import re
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wasmtime

from wasilab.capabilities.clocks import Clocks
from wasilab.capabilities.host.hostdir import HostDir
from wasilab.capabilities.interpose import look_through
from wasilab.capabilities.memory.memdir import MemDir
from wasilab.capabilities.random import Random
from wasilab.capabilities.streams import BytesInput, CollectedOutput
from wasilab.capabilities.strings import GivenStrings
from wasilab.engine.limits import Limits
from wasilab.engine.native.binding import library
from wasilab.engine.worker import Running, start
from wasilab.grants.live.capabilities import RunCapabilities
from wasilab.grants.live.switches import LiveGrants
from wasilab.module.module import Module
from wasilab.trace.record.recorder import Recorder
from wasilab.trace.trace import Trace
from wasilab.wasi.host import Host

SIGNATURES = {
    "args_get": "i32 i32", "args_sizes_get": "i32 i32", "environ_get": "i32 i32", "environ_sizes_get": "i32 i32",
    "clock_res_get": "i32 i32", "clock_time_get": "i32 i64 i32", "random_get": "i32 i32", "sched_yield": "",
    "fd_tell": "i32 i32", "fd_seek": "i32 i64 i32 i32", "fd_read": "i32 i32 i32 i32", "fd_write": "i32 i32 i32 i32",
    "fd_pread": "i32 i32 i32 i64 i32", "fd_pwrite": "i32 i32 i32 i64 i32", "fd_filestat_get": "i32 i32",
    "fd_fdstat_get": "i32 i32", "fd_prestat_get": "i32 i32", "fd_prestat_dir_name": "i32 i32 i32", "fd_close": "i32",
    "path_filestat_get": "i32 i32 i32 i32 i32", "path_open": "i32 i32 i32 i32 i32 i64 i64 i32 i32",
    "fd_renumber": "i32 i32", "fd_fdstat_set_flags": "i32 i32", "fd_fdstat_set_rights": "i32 i64 i64",
    "fd_filestat_set_size": "i32 i64", "path_unlink_file": "i32 i32 i32", "poll_oneoff": "i32 i32 i32 i32",
    "fd_advise": "i32 i64 i64 i32", "fd_readdir": "i32 i32 i32 i64 i32",
}  # fmt: skip
NAMES = [
    "a", "b.txt", "sub/c", "sub/deep/d", "link", "up", "missing", "sub", "./a", "sub/../a", "../x", "sub/", "/abs",
    "b.txt/", "sub/uplink", "é", "sub//c", ".",
]  # fmt: skip
OFTEN = [
    "fd_read", "fd_write", "fd_pread", "fd_pwrite", "fd_pread", "fd_pwrite", "path_filestat_get", "path_open",
    "path_open", "fd_seek", "fd_tell", "fd_tell", "fd_filestat_get", "fd_prestat_get", "fd_prestat_dir_name",
]  # fmt: skip
READ_WRITE = 2 | 4 | 32 | 64 | 1 << 21
_PATHS, _IOVECS, _RESULTS, _ERRNOS, _MEMORY = 1024, 16384, 8192, 65536, 131072
_OPENED = 40000
"""Where numbers of opened descriptors go, which nothing else overwrites: a time there would differ from run to run."""
_UNEQUAL = 50000
"""Where times and random bytes go, which differ from run to run."""


def program(r: random.Random, calls: int, times: int) -> str:
    """The text of a random module."""
    places: dict[str, tuple[int, int]] = {}
    data = []
    for index, name in enumerate(NAMES):
        raw = name.encode()
        places[name] = _PATHS + 64 * index, len(raw)
        data.append(f'(data (i32.const {places[name][0]}) "{"".join(f"{chr(92)}{byte:02x}" for byte in raw)}")')
    imports = "".join(
        f'(import "wasi_snapshot_preview1" "{name}" (func ${name} (param {words}) (result i32)))'
        for name, words in SIGNATURES.items()
    )
    opening = [_call(r, "path_open", _opened(r, places, name)) for name in ("a", "b.txt", "sub/c", "a")]
    opening.append(_call(r, "path_open", _opened(r, places, "a", folder=5)))
    body = [_random_call(r, places) for _ in range(calls)]
    return f"""(module {imports}(memory (export "memory") 2){"".join(data)}
      (func (export "_start") (local $o i32) (local $n i32) (local $fd i32)
        (local.set $o (i32.const {_ERRNOS})) (local.set $n (i32.const {times}))
        {"".join(opening)}
        (loop $again {"".join(body)}
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        {_last_call(r)}))"""


def _last_call(r: random.Random) -> str:
    """A call with a bad pointer, which ends the program."""
    name = r.choice(["args_get", "environ_get", "fd_tell", "random_get"])
    arguments = {
        "args_get": r.choice([(_MEMORY - 4, 0), (0, _MEMORY - 8), (3, 0)]),
        "environ_get": r.choice([(_MEMORY - 4, 0), (0, _MEMORY - 8), (3, 0)]),
        "fd_tell": (6, r.choice([_MEMORY - 4, 0xFFFFFFF8])),
        "random_get": (_MEMORY - 7, 8),
    }[name]
    return _call(r, name, list(map(_i32, arguments)))


def _i32(value: int) -> str:
    return f"(i32.const {value if value < 1 << 31 else value - (1 << 32)})"


def _i64(value: int) -> str:
    value &= (1 << 64) - 1
    return f"(i64.const {value if value < 1 << 63 else value - (1 << 64)})"


def _call(r: random.Random, name: str, arguments: list[str]) -> str:
    """A call whose errno is kept in memory."""
    return (
        f"(i32.store8 (i32.add (i32.const {_ERRNOS}) (i32.and (local.get $o) (i32.const 8191)))"
        f" (call ${name} {' '.join(arguments)}))(local.set $o (i32.add (local.get $o) (i32.const 1)))"
    )


def _opened(r: random.Random, places: dict[str, tuple[int, int]], name: str, folder: int = 3) -> list[str]:
    at, size = places[name]
    return [_i32(folder), _i32(1), _i32(at), _i32(size), _i32(0), _i64(READ_WRITE), _i64(0), _i32(0), _i32(_OPENED)]


def _random_call(r: random.Random, places: dict[str, tuple[int, int]]) -> str:
    def fd() -> str:
        return _i32(r.choice([0, 1, 2, 2, 3, 3, 4, 5, 6, 6, 6, 7, 7, 8, 9, 10, 10, 11, 99, 0xFFFFFFFF]))

    def pointer() -> str:
        if r.random() < 0.0004:
            return _i32(r.choice([_MEMORY - 8, _MEMORY - 4, _MEMORY, 0xFFFFFFF8, 3]))
        return _i32(_RESULTS + 8 * r.randrange(512))

    def file() -> str:
        return _i32(r.choice([6, 6, 6, 7, 7, 8, 2]))

    name = r.choice([*SIGNATURES, *OFTEN])
    before = ""
    if name in ("args_get", "environ_get") or name in ("args_sizes_get", "environ_sizes_get"):
        arguments = [pointer(), pointer()]
    elif name == "clock_res_get":
        arguments = [_i32(r.choice([0, 1, 2, 3, 4])), pointer()]
    elif name == "clock_time_get":
        arguments = [_i32(r.choice([0, 1, 2, 3, 4])), _i64(0), _i32(_UNEQUAL)]
    elif name == "random_get":
        arguments = [_i32(_UNEQUAL), _i32(r.choice([0, 8, 64, 65, 300]))]
    elif name == "sched_yield":
        arguments = []
    elif name == "fd_prestat_get":
        arguments = [_i32(r.choice([3, 3, 4, 5, 6, 99])), pointer()]
    elif name in ("fd_tell", "fd_filestat_get", "fd_fdstat_get"):
        arguments = [file() if r.random() < 0.6 else fd(), pointer()]
    elif name == "fd_prestat_dir_name":
        arguments = [_i32(r.choice([3, 4, 5, 6])), _i32(45000), _i32(r.choice([0, 1, 3, 8]))]
    elif name == "fd_seek":
        plain = r.random() < 0.6
        offset = r.choice([0, 0, 3, 5] if plain else [0, 3, 100, -1, (1 << 63) - 1])
        whence = r.choice([0, 0, 1, 2] if plain else [0, 1, 1, 2, 3])
        arguments = [file() if plain else fd(), _i64(offset), _i32(whence), pointer()]
    elif name in ("fd_read", "fd_write", "fd_pread", "fd_pwrite"):
        plain = r.random() < 0.6  # what succeeds, most of the time
        array, count = _IOVECS + 64 * r.randrange(16), 1 if plain else r.choice([1, 1, 1, 1, 2, 3, 0, 17])
        for index in range(min(count, 3)):
            target = r.choice([4096, 4100, 20000] if plain else [4096, 4100, 20000, 0, 131000, 130772, array])
            size = r.choice([16, 16, 5, 64] if plain else [16, 16, 5, 0, 64, 65, 200, 300])
            before += f"(i32.store {_i32(array + 8 * index)} {_i32(target)})"
            before += f"(i32.store {_i32(array + 8 * index + 4)} {_i32(size)})"
        offsets = [0, 7, 20] if plain else [0, 7, 1000, 1 << 63, (1 << 64) - 1]
        offset = [_i64(r.choice(offsets))] if name[3] == "p" else []
        arguments = [file() if plain else fd(), _i32(array), _i32(count), *offset, pointer()]
    elif name == "path_filestat_get":
        at, size = places[r.choice(NAMES)]
        arguments = [
            _i32(r.choice([3, 3, 3, 4, 5, 6, 9])),
            _i32(r.choice([0, 1, 1, 2])),
            _i32(at),
            _i32(size),
            pointer(),
        ]
    elif name == "path_open":
        return _random_opening(r, places)
    elif name == "fd_close":
        arguments = [_i32(r.choice([6, 7, 8, 9, 10, 11]))] if r.random() < 0.3 else [_i32(77)]
    elif name == "fd_renumber":
        arguments = [_i32(r.choice([6, 7, 8])), _i32(r.choice([6, 7, 8, 9]))]
        if r.random() < 0.6:
            arguments = [_i32(6), _i32(6)]
    elif name == "fd_fdstat_set_flags":
        arguments = [_i32(r.choice([6, 7, 8, 1])), _i32(r.choice([0, 1, 4, 2, 64]))]
    elif name == "fd_fdstat_set_rights":
        rights = r.choice([0x1FFFFFFF, READ_WRITE, 64, 0x6000E6]) if r.random() < 0.2 else 0x3FFFFFFF
        arguments = [_i32(r.choice([3, 6, 7, 8])), _i64(rights), _i64(r.choice([0, 0x1FFFFFFF]))]
    elif name == "fd_filestat_set_size":
        arguments = [fd(), _i64(r.choice([0, 50, 300, 1 << 63]))]
    elif name == "path_unlink_file":
        at, size = places[r.choice(["missing", "link", "b.txt"])]
        arguments = (
            [_i32(r.choice([3, 4, 5])), _i32(at), _i32(size)] if r.random() < 0.2 else [_i32(3), _i32(at), _i32(0)]
        )
    elif name == "poll_oneoff":  # of one subscription: the monotonic clock, in 0 ns
        before = f"(memory.fill {_i32(30000)} {_i32(0)} {_i32(48)})(i32.store {_i32(30016)} {_i32(1)})"
        arguments = [_i32(30000), _i32(31000), _i32(r.choice([1, 1, 0])), pointer()]
    elif name == "fd_readdir":
        arguments = [
            _i32(r.choice([3, 5, 6])),
            _i32(32000),
            _i32(r.choice([24, 200])),
            _i64(r.choice([0, 0, 2])),
            pointer(),
        ]
    else:  # fd_advise: the call whose override takes grants back
        arguments = [fd(), _i64(0), _i64(0), _i32(r.choice([0, 6]))]
    return before + _call(r, name, arguments)


def _random_opening(r: random.Random, places: dict[str, tuple[int, int]]) -> str:
    at, size = places[r.choice([*NAMES, "a", "a", "sub/c", "b.txt"])]
    usual = r.random() < 0.6
    oflags = 0 if usual else r.choice([0, 0, 1, 8, 9, 2, 5])
    rights = READ_WRITE if usual else r.choice([0x1FFFFFFF, READ_WRITE, 64 | 32, 2, 0x6000E6])
    folder = r.choice([3, 3, 3, 3, 4, 5])
    fdflags = 0 if usual else r.choice([0, 0, 1, 4])
    arguments = [_i32(folder), _i32(r.choice([0, 1, 1])), _i32(at), _i32(size), _i32(oflags), _i64(rights), _i64(0),
                 _i32(fdflags), _i32(_OPENED)]  # fmt: skip
    text = _call(r, "path_open", arguments)
    if r.random() < 0.7:  # closed again, so that numbers are used anew
        text += f"(local.set $fd (i32.load {_i32(_OPENED)}))" + _call(r, "fd_close", ["(local.get $fd)"])
    return text


def files(folder: Path) -> None:
    """The files that a program finds, with fixed times."""
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "a").write_text("hello world " * 20)
    (folder / "b.txt").write_text("x" * 100)
    (folder / "sub" / "c").write_text("c" * 50)
    (folder / "sub" / "deep" / "d").write_text("d")
    (folder / "é").write_text("e")
    (folder / "link").symlink_to("a")
    (folder / "up").symlink_to("..")
    (folder / "sub" / "uplink").symlink_to("../..")
    for path in folder.rglob("*"):
        os.utime(path, ns=(10**18, 10**18), follow_symlinks=False)


@dataclass
class Seen:
    """What can be seen of one run."""

    outcome: str
    output: dict[int, bytes]
    errors: bytes
    files: dict[str, bytes]
    memory_files: dict[str, Any]
    trace: Trace
    answered: dict[str, int]


@dataclass(frozen=True)
class Case:
    """How a program is run."""

    seed: int
    limit: int | None
    mode: str
    rights: str
    live: bool
    traced: bool = True
    snaplen: int | None = 64

    @classmethod
    def of(cls, seed: int) -> Case:
        """The case of a seed."""
        r = random.Random(seed * 7919 + 1)
        return cls(
            seed, r.choice([None, None, None, 2000]), r.choice(["rw", "rw", "rw", "ro"]),
            r.choice(["strict", "strict", "compat"]), r.random() < 0.5, snaplen=r.choice([64, 64, 0, 7, None]),
        )  # fmt: skip

    def wasm(self) -> bytes:
        """Its program."""
        r = random.Random(self.seed)
        return bytes(wasmtime.wat2wasm(program(r, r.choice([25, 60, 100]), r.choice([2, 10, 40]))))


def run(case: Case, wasm: bytes, folder: Path, *, native: bool) -> Seen:
    """Run the program of `case` in `folder`, which is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("1", "2"):
        files(folder / name)
    output: dict[int, bytearray] = {1: bytearray(), 2: bytearray()}
    streams = [CollectedOutput(output[1].extend), CollectedOutput(output[2].extend)]
    in_memory = MemDir({"a": "in memory " * 10, "b.txt": "y" * 64, "sub": {"c": "z"}}, max_bytes=4000)
    held = RunCapabilities(
        preopens={
            "/": HostDir(folder / "1", mode=case.mode),  # type: ignore[arg-type]
            "/ro": HostDir(folder / "2", mode="ro"), "/mem": in_memory,
        },
        stdin=BytesInput(b"typed " * 9), stdout=streams[0], stderr=streams[1], clocks=Clocks.real(),
        random=Random.real(),
    )  # fmt: skip
    live = LiveGrants(held) if case.live else None
    held = live.held if live is not None else held
    host = Host(
        args=[b"program", b"one", b"", b"two words"], environ=[b"A=1", b"LONG=" + b"v" * 50], preopens=held.preopens,
        stdin=held.stdin, stdout=held.stdout, stderr=held.stderr, clocks=held.clocks, random=held.random,
        max_bytes_written=case.limit, rights=case.rights, max_fds=20,
    )  # fmt: skip
    if live is not None:
        live.host = host
    turns = 0

    def advise(original: Any, *arguments: Any) -> Any:
        nonlocal turns
        turns += 1
        if live is not None:
            change = [
                lambda: live.revoke("/"),
                lambda: live.restore("/"),
                lambda: live.revoke("clocks"),
                lambda: live.read_only("/"),
                lambda: live.read_only("/", False),
                lambda: live.restore("clocks"),
                lambda: live.revoke("stdout"),
                lambda: live.restore("stdout"),
                lambda: live.revoke("random"),
            ][turns % 9]
            if turns % 12 == 11:
                change()
        if turns % 50 == 49:
            host.regrant("/", 1 << 1, writable=False)
        if turns % 10 == 9:
            for strings in (host.args, host.environ):
                given, _ = look_through(strings)
                assert isinstance(given, GivenStrings)
                given.put([b"other", b"words"] if turns % 20 == 9 else [b"longer words than those before", b"", b"x"])
        return original(*arguments)

    recorder = Recorder(snaplen=case.snaplen) if case.traced else None
    running: Running = start(
        Module(wasm, "random"),
        host,
        recorder,
        Limits(bytes_written=case.limit),
        overrides={"fd_advise": advise},
        native=native,
    )
    answered: dict[str, int] = {}

    def count() -> None:
        state = running.session.native
        if state is not None:
            answered.update(state.answered())

    # Listeners are called in order: before the session lets go of the native path.
    running._listeners.insert(0, count)
    outcome = running.wait(120)
    assert outcome is not None
    trace = Trace.from_recorder(recorder) if recorder is not None else None
    host.close()
    kept = {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and not p.is_symlink()
    }
    said = re.sub(r"(seconds|compile_seconds|native_calls)=[^,)]*", "", repr(outcome))
    return Seen(said, {k: bytes(v) for k, v in output.items()}, b"", kept, in_memory.files(), trace, answered)  # type: ignore[arg-type]


_MADE_OF_TIME = re.compile(r"<\d+\.\d+>|^\d+ \d+\.\d+ |\d{4}-\d\d-\d\dT[\d:.]+Z|(?:ino|dev)=\d+")


def comparable(trace: Trace) -> list[str]:
    """The trace as text, without what two runs of one program differ in."""
    found = []
    for line in trace.text(limit=None).splitlines():
        line = _MADE_OF_TIME.sub("#", line)
        if "clock_time_get" in line or "random_get" in line:
            line = line.split("=")[0] + ("ok" if ") = 0" in line else "failed " + line.rpartition(")")[2])
        found.append(line)
    return found


def records(trace: Trace) -> list[tuple[Any, ...]]:
    """The numbers of each record that do not depend on time, and who opened what."""
    columns = [trace.column(name).tolist() for name in ("call", "errno", "denied_by", "handle", "flags", "instance")]
    words = trace.column("args").tolist()
    return list(zip(*columns, map(tuple, words), strict=True))


def lives(trace: Trace) -> list[Any]:
    """The descriptors of a trace."""
    return [
        (
            life.life,
            life.fd,
            life.generation,
            life.path,
            life.kind,
            life.opened_seq,
            life.closed_seq,
            life.preopen,
            life.moves,
        )
        for life in trace.store.lives.values()
    ]


def compare(case: Case, folder: Path) -> dict[str, int]:
    """Run the program of `case` both ways; raises AssertionError where they differ. Returns the native answers."""
    wasm = case.wasm()
    python = run(case, wasm, folder, native=False)
    native = run(case, wasm, folder, native=True)
    for name in ("outcome", "output", "files", "memory_files"):
        assert getattr(python, name) == getattr(native, name), (
            case,
            name,
            getattr(python, name),
            getattr(native, name),
        )
    if case.traced:
        a, b = records(python.trace), records(native.trace)
        assert len(a) == len(b), (case, "calls", len(a), len(b))
        for index, (one, other) in enumerate(zip(a, b, strict=True)):
            assert one == other, (case, index, one, other, python.trace[max(index - 3, 0) : index + 1].text())
        for one, other in zip(comparable(python.trace), comparable(native.trace), strict=True):
            assert one == other, (case, one, other)
        for one, other in zip(lives(python.trace), lives(native.trace), strict=True):
            assert one == other, (case, one, other)
    return native.answered


def explore(count: int, first: int = 0) -> tuple[Counter[str], Counter[int]]:
    """Compare `count` programs; how often each call was answered natively, and each way back to Python was taken."""
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + count):
            total.update(compare(Case.of(seed), Path(folder, "tree")))
    found = library()
    assert found is not None
    if not hasattr(found.address, "turbo_ways"):
        return total, Counter()
    table = (ctypes.c_uint64 * 1024).in_dll(found.address, "turbo_ways")
    return total, Counter({line: taken for line, taken in enumerate(table) if taken})


def main() -> None:
    count, first = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    answered, taken = explore(count, first)
    print(json.dumps({"answered": answered, "ways": taken}))


if __name__ == "__main__":
    main()
