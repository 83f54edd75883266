"""What paths cost: `python tests/capabilities/cost_of_paths.py` prints CPU microseconds a call beside system calls.

"bare walk" opens each of the eight directories and the file with os.open and closes them all, which is what resolution
without openat2 has to do at the least; "bare open" leaves the whole path to the kernel, unchecked.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from wasilab.capabilities.host.hostdir import HostDir
from wasilab.capabilities.host.resolve import HOST_TREE
from wasilab.capabilities.memory.memdir import MemDir
from wasilab.capabilities.paths import walk
from wasilab.capabilities.patterns import membrane
from wasilab.capabilities.protocols import OpenHow

DEEP = "a/b/c/d/e/f/g/file"
READ = OpenHow()


def microseconds(call: Callable[[], object], count: int = 5000) -> float:
    """The best of seven rounds of `count` calls."""
    rounds = []
    for _ in range(7):
        start = time.process_time()
        for _ in range(count):
            call()
        rounds.append(time.process_time() - start)
    return min(rounds) / count * 1e6


def bare_walk(root: int) -> None:
    fds = [root]
    *directories, name = DEEP.split("/")
    for directory in directories:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        fds.append(os.open(directory, flags, dir_fd=fds[-1]))
    fds.append(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fds[-1]))
    for fd in fds[1:]:
        os.close(fd)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / DEEP
        path.parent.mkdir(parents=True)
        path.write_text("x")
        (Path(name) / "file").write_text("x")
        root = os.open(name, os.O_RDONLY | os.O_DIRECTORY)
        host, memory = HostDir(name), MemDir({DEEP: "x", "file": "x"})
        wrapped, _ = membrane(host)
        rows: list[tuple[str, Callable[[], object]]] = [
            ("bare os.stat, 1 deep", lambda: os.stat("file", dir_fd=root, follow_symlinks=False)),
            ("HostDir.stat_path, 1 deep", lambda: host.stat_path("file", True)),
            ("HostDir.stat_path, 8 deep", lambda: host.stat_path(DEEP, True)),
            ("  through a membrane, 1 deep", lambda: wrapped.stat_path("file", True)),
            ("MemDir.stat_path, 1 deep", lambda: memory.stat_path("file", True)),
            ("MemDir.stat_path, 8 deep", lambda: memory.stat_path(DEEP, True)),
            ("bare open + close, 1 deep", lambda: os.close(os.open("file", os.O_RDONLY, dir_fd=root))),
            ("bare open + close, 8 deep", lambda: os.close(os.open(DEEP, os.O_RDONLY, dir_fd=root))),
            ("bare walk, 8 deep", lambda: bare_walk(root)),
            ("HostDir.open + close, 1 deep", lambda: host.open("file", READ).close()),
            ("HostDir.open + close, 8 deep", lambda: host.open(DEEP, READ).close()),
            ("  resolution by the manual walk", lambda: walk(HOST_TREE, root, DEEP, False).close()),
            ("MemDir.open + close, 8 deep", lambda: memory.open(DEEP, READ).close()),
        ]
        for what, call in rows:
            print(f"{what:34} {microseconds(call):7.2f} us")
        os.close(root)


if __name__ == "__main__":
    main()
