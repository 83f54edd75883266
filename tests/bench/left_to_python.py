"""Calls that the native library leaves to Python: `python -m tests.bench.left_to_python [OTHER]` prints their price.

OTHER is another checkout of wasilab, such as the last one without the library (`git worktree add ../before b43cc15^`);
without it the columns beside are this checkout without the library. Each side is measured in processes of its own, in
turn, and the best of all rounds counts. ns of CPU for one round of the calls, start-up taken off. The clock of CPU time
may be wrong by milliseconds, so a run is long. Asserts no time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from wasilab.capabilities.clocks import Clocks
from wasilab.capabilities.host.hostdir import HostDir
from wasilab.capabilities.memory.memdir import MemDir
from wasilab.grants.grants import Grants
from wasilab.module.module import Module, load
from wasilab.runs.runner import run

ROUNDS, FEW, LONG = 3, 500, 150_000_000
"""Runs of a case in a process, and processes; rounds of calls in a short run; about the ns of a long one."""
_IMPORTS = {
    "clock_time_get": "i32 i64 i32", "fd_advise": "i32 i64 i64 i32", "fd_close": "i32",
    "fd_fdstat_set_flags": "i32 i32", "fd_filestat_get": "i32 i32", "fd_filestat_set_size": "i32 i64",
    "fd_read": "i32 i32 i32 i32",
    "fd_readdir": "i32 i32 i32 i64 i32", "fd_renumber": "i32 i32", "fd_tell": "i32 i32",
    "path_create_directory": "i32 i32 i32", "path_filestat_get": "i32 i32 i32 i32 i32",
    "path_open": "i32 i32 i32 i32 i32 i64 i64 i32 i32", "path_readlink": "i32 i32 i32 i32 i32 i32",
    "path_remove_directory": "i32 i32 i32", "path_rename": "i32 i32 i32 i32 i32 i32",
    "path_symlink": "i32 i32 i32 i32 i32", "path_unlink_file": "i32 i32 i32", "poll_oneoff": "i32 i32 i32 i32",
}  # fmt: skip
_STRINGS = {"a": 64, "l": 66, "n": 68, "missing": 70, "../x": 80}
_FD, _SECOND = 16, 20
"""Addresses of the numbers of opened files."""
_READ, _WRITE, _SEEK, _FLAGS, _TELL = 1 << 1, 1 << 6, 1 << 2, 1 << 3, 1 << 5
_USUAL = _READ | _SEEK | _TELL
_ADVISE, _STAT, _SIZE = 1 << 7, 1 << 21, 1 << 22

Case = tuple[str, Callable[[Path], Grants], str, bool]
"""The calls of one round, the grants, what comes before all, and whether the calls succeed."""


def _call(name: str, *arguments: int | str) -> str:
    """A call; a name in `_STRINGS` stands for its address and length, other text for an expression."""
    words: list[int | str] = []
    for argument in arguments:
        words += (_STRINGS[argument], len(argument)) if argument in _STRINGS else (argument,)
    types = _IMPORTS[name].split()
    given = (
        word if isinstance(word, str) else f"({kind}.const {word})" for kind, word in zip(types, words, strict=True)
    )
    return f"(call ${name} {' '.join(given)})"


def _loaded(address: int) -> str:
    return f"(i32.load (i32.const {address}))"


def _open(path: str = "a", oflags: int = 0, rights: int = _USUAL, at: int = _FD) -> str:
    return _call("path_open", 3, 0, path, oflags, rights, 0, 0, at)


def _all(*calls: str) -> str:
    """The calls in order; 0 if all succeed."""
    both = calls[0]
    for each in calls[1:]:
        both = f"(i32.or {both} {each})"
    return both


def _cases() -> dict[str, Case]:
    def disk(folder: Path) -> Grants:
        return Grants(dirs={"/d": HostDir(str(folder), mode="rw")})

    def read_only(folder: Path) -> Grants:
        return Grants(dirs={"/d": HostDir(str(folder))})

    def many(folder: Path) -> Grants:
        return Grants(dirs={"/d": HostDir(str(folder / "many"))})

    def memory(_: Path) -> Grants:
        return Grants(dirs={"/m": MemDir({"a": "a", "sub/b": "b"})})

    def nothing(_: Path) -> Grants:
        return Grants()

    close, renumber = _call("fd_close", _loaded(_FD)), _call("fd_renumber", _loaded(_SECOND), _loaded(_FD))
    listing = _call("fd_readdir", 3, 128, 400, 0, 8)
    made = _all(_call("path_create_directory", 3, "n"), _call("path_remove_directory", 3, "n"))
    moved = _all(_call("path_rename", 3, "a", 3, "n"), _call("path_rename", 3, "n", 3, "a"))
    created = _all(_open("n", 1), close, _call("path_unlink_file", 3, "n"))
    two = _all(_open(), _open(at=_SECOND), renumber, close)
    timer = "(i32.store (i32.const 272) (i32.const 1)) (i64.store (i32.const 280) (i64.const 1))"  # 1 ns, monotonic
    found: dict[str, Case] = {
        "clock of one's own": (
            _call("clock_time_get", 1, 0, 8), lambda _: Grants(clocks=Clocks.stepped(1)), "", True
        ),
        "path_readlink": (_call("path_readlink", 3, "l", 128, 9, 8), read_only, "", True),
        "fd_readdir, disk": (listing, read_only, "", True),
        "fd_readdir, 50 names": (_call("fd_readdir", 3, 128, 4096, 0, 8), many, "", True),
        "fd_readdir, memory": (listing, memory, "", True),
        "open, close, memory": (_all(_open(), close), memory, "", True),
        "open, read, close, memory": (
            _all(_open(), _call("fd_read", _loaded(_FD), 32, 1, 8), close), memory, "", True
        ),
        "create, close, unlink, disk": (created, disk, "", True),
        "create, close, unlink, memory": (created, memory, "", True),
        "make and remove directory, disk": (made, disk, "", True),
        "make and remove directory, memory": (made, memory, "", True),
        "path_rename twice, disk": (moved, disk, "", True),
        "path_rename twice, memory": (moved, memory, "", True),
        "link and unlink, disk": (
            _all(_call("path_symlink", "a", 3, "n"), _call("path_unlink_file", 3, "n")), disk, "", True
        ),
        "path_filestat_get, memory": (_call("path_filestat_get", 3, 0, "a", 128), memory, "", True),
        "fd_filestat_get, memory": (
            _call("fd_filestat_get", _loaded(_FD), 128), memory, f"(drop {_open(rights=_USUAL | _STAT)})", True
        ),
        "fd_filestat_set_size": (
            _call("fd_filestat_set_size", _loaded(_FD), 5), disk,
            f"(drop {_open(rights=_USUAL | _WRITE | _SIZE)})", True,
        ),
        "fd_fdstat_set_flags": (
            _call("fd_fdstat_set_flags", _loaded(_FD), 1), disk,
            f"(drop {_open(rights=_USUAL | _WRITE | _FLAGS)})", True,
        ),
        "fd_advise": (
            _call("fd_advise", _loaded(_FD), 0, 0, 0), disk, f"(drop {_open(rights=_USUAL | _ADVISE)})", True
        ),
        "poll_oneoff": (_call("poll_oneoff", 256, 512, 1, 8), nothing, timer, True),
        "open two, renumber, close, disk": (two, disk, "", True),
        "open two, renumber, close, memory": (two, memory, "", True),
        "refused: path_open outside": (_open("../x"), disk, "", False),
        "refused: create in a read-only folder": (_open("n", 1, _USUAL | _WRITE), read_only, "", False),
        "fails: path_open, nothing there": (_open("missing"), disk, "", False),
        "fails: path_filestat_get, nothing there": (_call("path_filestat_get", 3, 0, "missing", 128), disk, "", False),
        "fails: fd_tell, not open": (_call("fd_tell", 77, 8), disk, "", False),
    }  # fmt: skip
    return found


def _guest(calls: str, count: int, before: str, succeeds: bool) -> Module:
    imports = "".join(
        f'(import "wasi_snapshot_preview1" "{name}" (func ${name} (param {words}) (result i32)))'
        for name, words in _IMPORTS.items()
    )
    data = "".join(f'(data (i32.const {at}) "{text}")' for text, at in _STRINGS.items())
    failed = calls if succeeds else f"(i32.eqz {calls})"
    return load(
        f"""(module {imports} (memory (export "memory") 1) {data}
        (func (export "_start") (local $i i32)
          {before} (i32.store (i32.const 32) (i32.const 128)) (i32.store (i32.const 36) (i32.const 1))
          (local.set $i (i32.const {count}))
          (loop $again (if {failed} (then unreachable))
            (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))))""".encode()
    )


def _best(
    count: int, calls: str, grants: Callable[[Path], Grants], before: str, succeeds: bool, folder: Path, traced: bool
) -> int:
    """ns of CPU of a run of `count` rounds."""
    module, took = _guest(calls, count, before, succeeds), []
    for _ in range(ROUNDS):
        start = time.process_time_ns()
        done = run(module, (), grants(folder), trace=traced)
        took.append(time.process_time_ns() - start)
        assert done.outcome.ok, (calls, done.outcome)
    return min(took)


def measured(wanted: list[str]) -> dict[str, dict[str, float]]:
    """ns of CPU for a round of each case, traced and untraced, in this process. No file is on a disk that waits."""
    found: dict[str, dict[str, float]] = {}
    shm = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=shm) as name:
        folder = Path(name)
        (folder / "a").write_bytes(b"a" * 100)
        (folder / "l").symlink_to("a")
        (folder / "many").mkdir()
        for number in range(50):
            (folder / "many" / f"x{number:03}").write_bytes(b"")
        for label, (calls, grants, before, succeeds) in _cases().items():
            if wanted and not any(word in label for word in wanted):
                continue
            found[label] = {}
            for mode in ("untraced", "traced"):
                case = (calls, grants, before, succeeds, folder, mode == "traced")
                few = _best(FEW, *case)
                more = FEW * LONG // (_best(20 * FEW, *case) // 20 + 1)
                found[label][mode] = (_best(more, *case) - few) / (more - FEW)
    return found


def main() -> None:
    """Print the table: `[OTHER] [part of a case's name ...]`."""
    words = sys.argv[1:]
    if words[:1] == ["--measure"]:
        print(json.dumps(measured(words[1:])))
        return
    other = words.pop(0) if words and Path(words[0], "wasilab").is_dir() else None
    here = Path(__file__).parents[2]
    without = {"PYTHONPATH": str(here), "WASILAB_NATIVE": "0"}
    sides = {
        "now": {"PYTHONPATH": str(here)},
        "before": {"PYTHONPATH": str(Path(other).resolve())} if other else without,
    }
    best: dict[str, dict[str, dict[str, float]]] = {side: {} for side in sides}
    for _ in range(ROUNDS):
        for side, variables in sides.items():
            command = [sys.executable, __file__, "--measure", *words]
            done = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=True)
            for label, modes in json.loads(done.stdout).items():
                known = best[side].setdefault(label, modes)
                best[side][label] = {mode: min(known[mode], ns) for mode, ns in modes.items()}
    titles = "".join(f"{mode + ' before':>16} {'now':>8} {'ratio':>6}   " for mode in ("untraced", "traced"))
    print(f"{'ns of CPU':42}{titles}")
    for label, modes in best["now"].items():
        columns = [(best["before"][label][mode], ns) for mode, ns in modes.items()]
        print(f"  {label:40}" + "".join(f"{was:16,.0f} {ns:8,.0f} {ns / was:6.2f}   " for was, ns in columns))
    print(f"load {os.getloadavg()[0]:.0f}")


if __name__ == "__main__":
    main()
