"""Another thread swaps a directory and a link that leads out as fast as it can, while the guest uses the name.

The guest makes every call that takes a path, over and over, through `door/...`, which is in turn a directory and a link
to the outside. An escape would show: bytes, names or inode numbers from outside in the guest's memory, or a change
outside. Both ways of resolving are raced. 3 s each, or `WASILAB_RACE_SECONDS`.
"""

from __future__ import annotations

import ctypes
import os
import random
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

import wasilab
from wasilab.capabilities.host import features
from wasilab.engine.instances import Live
from wasilab.runs.prepare import Prepared, RunOptions
from wasilab.wasi.preview1.spec import SNAPSHOT1

from .conftest import SECRET, Yard
from .fuzz import _module
from .guests import ALL, CREAT, DIRECTORY, FOLLOW, READ, TRUNC, WRITE
from .surface import BUFFERS, NAMES, OP, OPS, RESULTS, VECTORS

SECONDS = float(os.environ.get("WASILAB_RACE_SECONDS", "3"))
ONLY = "only-the-outside-has-this"
NUMBERS = {name: number for number, name in enumerate(SNAPSHOT1)}
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def exchange(first: str, second: str) -> Callable[[], None]:
    """A function that swaps two names in one step (renameat2), or in three renames where that is not to be had."""
    libc = ctypes.CDLL(None, use_errno=True)
    a, b = os.fsencode(first), os.fsencode(second)

    def atomic() -> None:
        libc.renameat2(_AT_FDCWD, a, _AT_FDCWD, b, _RENAME_EXCHANGE)

    def by_hand() -> None:
        os.rename(first, first + ".aside")
        os.rename(second, first)
        os.rename(first + ".aside", second)

    if hasattr(libc, "renameat2") and libc.renameat2(_AT_FDCWD, a, _AT_FDCWD, b, _RENAME_EXCHANGE) == 0:
        return atomic
    return by_hand


class Swapper(threading.Thread):
    """Swaps until told to stop, and counts."""

    def __init__(self, swap: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._swap = swap
        self.stopping = threading.Event()
        self.swaps = 0

    def run(self) -> None:
        while not self.stopping.is_set():
            for _ in range(7):  # an odd number, so that it is not found as it was
                self._swap()
            self.swaps += 7


class Program:
    """Operations for the interpreter, with the strings that they need."""

    def __init__(self) -> None:
        self.operations: list[bytes] = []
        self.image = bytearray(BUFFERS)
        self._at = NAMES
        struct.pack_into("<II", self.image, VECTORS, BUFFERS, 4096)

    def call(self, name: str, *arguments: int | str) -> None:
        words: list[int] = []
        for argument in arguments:
            if isinstance(argument, str):
                data = argument.encode()
                self.image[self._at : self._at + len(data)] = data
                words += [self._at, len(data)]
                self._at += len(data) + 1
            else:
                words.append(argument)
        self.operations.append(OP.pack(NUMBERS[name], 0, *words, *[0] * (9 - len(words))))

    def open(self, path: str, oflags: int, rights: int) -> None:
        """Open, look at, read or write, list, and close."""
        self.call("path_open", 3, FOLLOW, path, oflags, rights, ALL, 0, RESULTS)
        self.call("fd_filestat_get", 4, RESULTS + 64)
        if oflags == DIRECTORY:
            self.call("fd_readdir", 4, BUFFERS, 4096, 0, RESULTS)
            self.call("path_filestat_get", 4, FOLLOW, "secret.txt", RESULTS + 256)
        else:
            self.call("fd_write" if rights & WRITE else "fd_read", 4, VECTORS, 1, RESULTS)
        self.call("fd_close", 4)


def through(door: str) -> Program:
    """Everything that takes a path, through `door`."""
    p = Program()
    p.open(f"{door}/secret.txt", 0, READ)
    p.open(f"{door}/folder/../secret.txt", 0, READ)
    p.open(f"{door}/secret.txt", 0, READ | WRITE)
    p.open(f"{door}/made", CREAT, READ | WRITE)
    p.open(f"{door}/secret.txt", TRUNC, READ | WRITE)
    p.open(f"{door}/", DIRECTORY, ALL & ~WRITE)
    p.open(door, DIRECTORY, ALL & ~WRITE)
    p.open(f"{door}/folder", DIRECTORY, ALL & ~WRITE)
    p.open(f"{door}/{ONLY}", 0, READ)
    for path in (f"{door}/secret.txt", f"{door}/{ONLY}", f"{door}/"):
        p.call("path_filestat_get", 3, FOLLOW, path, RESULTS + 128)
    p.call("path_filestat_set_times", 3, FOLLOW, f"{door}/secret.txt", 5, 5, 5)
    p.call("path_filestat_set_times", 3, FOLLOW, f"{door}/folder", 5, 5, 5)
    p.call("path_create_directory", 3, f"{door}/dir")
    p.call("path_remove_directory", 3, f"{door}/dir")
    p.call("path_remove_directory", 3, f"{door}/folder/empty")
    p.call("path_symlink", "anything", 3, f"{door}/symlink")
    p.call("path_readlink", 3, f"{door}/link", BUFFERS + 8192, 100, RESULTS)
    p.call("path_link", 3, 0, f"{door}/secret.txt", 3, "linked")
    p.call("path_unlink_file", 3, "linked")
    p.call("path_rename", 3, f"{door}/made", 3, f"{door}/moved")
    p.call("path_rename", 3, f"{door}/{ONLY}", 3, "stolen")
    p.call("path_rename", 3, "mine", 3, f"{door}/given")
    p.call("path_rename", 3, f"{door}/given", 3, "mine")
    for name in ("made", "moved", "symlink", ONLY):
        p.call("path_unlink_file", 3, f"{door}/{name}")
    return p


@pytest.fixture(params=["openat2", "walk"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Resolve by openat2, or by the manual walk alone."""
    if request.param == "walk":
        monkeypatch.setattr(features, "SYSCALL", None)
    return str(request.param)


@pytest.fixture
def racing(yard: Yard) -> Iterator[Swapper]:
    """`inside/door` and `inside/other`, a directory and a link to the outside, being swapped."""
    (yard.inside / "door" / "folder").mkdir(parents=True)
    (yard.inside / "door" / "secret.txt").write_bytes(b"the guest's own")
    (yard.inside / "mine").write_bytes(b"mine")
    os.symlink("../outside", yard.inside / "other")
    swapper = Swapper(exchange(str(yard.inside / "door"), str(yard.inside / "other")))
    swapper.start()
    yield swapper
    swapper.stopping.set()
    swapper.join(60)


def known_of(yard: Yard) -> list[bytes]:
    """The byte strings by which the outside would be known: contents, a name, inode numbers."""
    inodes = [(yard.outside / name).stat().st_ino for name in ("secret.txt", "folder", ".")]
    return [SECRET, ONLY.encode()[5:], *(struct.pack("<Q", inode) for inode in inodes)]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_not_one_escape(yard: Yard, racing: Swapper, way: str) -> None:
    known = known_of(yard)
    program = through("door")
    grants = wasilab.Grants(dirs={"/": wasilab.HostDir(str(yard.inside), "rw")}, limits=wasilab.Limits(trace=8 << 20))
    module = _module("wasi_snapshot_preview1")
    prepared = Prepared(module, [], grants, RunOptions())
    live = Live.open(module, prepared.host, prepared.recorder, grants.limits, pump=lambda: prepared.pump)
    answers: Counter[int] = Counter()
    rng = random.Random(1)
    rounds = 0
    deadline = time.monotonic() + SECONDS
    try:
        while time.monotonic() < deadline:
            live.memory.write(0, bytes(program.image) + bytes(16384))
            live.memory.write(OPS, b"".join(program.operations))
            live.call("run", OPS, len(program.operations))
            seen = live.memory.read(BUFFERS, 16384) + live.memory.read(RESULTS, 1024)
            assert not [what for what in known if what in seen], f"the outside was seen after {rounds} rounds ({way})"
            block = live.memory.read(OPS, OP.size * len(program.operations))
            answers.update(struct.unpack_from("<I", block, n * OP.size + 4)[0] for n in range(len(program.operations)))
            rounds += 1
            if rounds % 20 == 0:
                time.sleep(rng.random() / 1000)
                (yard.inside / "mine").write_bytes(b"mine")
    finally:
        live.close()
        prepared.release()
    print(f"\n{way}: {rounds * len(program.operations):,} calls against {racing.swaps:,} swaps: {dict(answers)}")
    assert racing.swaps > 100
    assert answers[0] > 10, "the guest never came through"
    assert answers[63] > 10, "the link was never met"
