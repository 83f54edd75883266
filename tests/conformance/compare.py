"""Running the scenarios of a family under one host: a fresh directory for each, and the results."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from wasilab.capabilities.host.hostdir import HostDir
from wasilab.capabilities.memory.memdir import MemDir, Symlink
from wasilab.capabilities.protocols import Directory, FileType, OpenHow

from .relay import Caller, Handle, Ours, Theirs
from .scenarios import TREE, Family


class Result(NamedTuple):
    """What a scenario came to."""

    log: list[tuple[str, str, tuple[Any, ...]]]
    """(call, errno, results) of every call."""
    tree: dict[str, Any]
    """The directory left behind: path -> (type, contents or link text, hard links)."""
    stdout: bytes


def plant(folder: Path, tree: dict[str, Any] = TREE) -> None:
    """Make a tree of real files."""
    folder.mkdir(parents=True)
    for name, value in tree.items():
        if isinstance(value, dict):
            plant(folder / name, value)
        elif isinstance(value, str):
            os.symlink(value.removeprefix("->"), folder / name)
        else:
            (folder / name).write_bytes(value)


def in_memory(tree: dict[str, Any] = TREE) -> dict[str, Any]:
    """The same tree as `MemDir` takes it."""
    return {
        name: in_memory(value)
        if isinstance(value, dict)
        else Symlink(value.removeprefix("->"))
        if isinstance(value, str)
        else value
        for name, value in tree.items()
    }


def survey(directory: Directory, at: str) -> dict[str, Any]:
    """What a directory holds beneath `at`."""
    found: dict[str, Any] = {}
    here = directory.open(at, OpenHow(directory=True))
    assert isinstance(here, Directory)
    for entry in here.list():
        path = f"{at}/{entry.name}"
        stat = here.stat_path(entry.name, False)
        if entry.filetype == FileType.DIRECTORY:
            found[path] = ("directory",)
            found |= survey(directory, path)
        elif entry.filetype == FileType.SYMBOLIC_LINK:
            try:
                found[path] = ("link", here.readlink(entry.name), stat.nlink)
            except OSError as error:
                found[path] = ("link", error.errno)
        else:
            file = here.open(entry.name, OpenHow())
            data = bytearray(stat.size)
            assert not isinstance(file, Directory)
            file.read([memoryview(data)])
            file.close()
            found[path] = ("file", bytes(data), stat.nlink)
    here.close()
    return found


def _run(family: Family, make: Callable[[], Caller], directory: Directory) -> dict[str, Result]:
    """The results of a family's scenarios. A guest serves until a scenario has ended or disturbed it."""
    results = {}
    caller: Caller | None = None
    for number, (label, scenario) in enumerate(family.scenarios()):
        caller = caller or make()
        caller.begin()
        answer = caller.call("path_open", 3, 0, f"c{number}", 2, 0x1FFFFFFF & ~64, 0x1FFFFFFF, 0, show=False)
        assert answer.errno == "SUCCESS", (label, answer)
        scenario(caller, Handle(answer.values[0], "dir"))
        fresh = family.alone or "stdout" in label or "stdin" in label
        results[label] = Result(
            list(caller.log),
            {path.partition("/")[2]: what for path, what in survey(directory, f"c{number}").items()},
            caller.stdout() if fresh else b"",
        )
        caller.call("fd_close", answer.values[0], show=False)
        if fresh or any(errno in ("TRAP", "EXIT") for _, errno, _ in caller.log):
            caller.close()
            caller = None
    if caller is not None:
        caller.close()
    return results


def _count(family: Family) -> int:
    return sum(1 for _ in family.scenarios())


def run_theirs(family: Family, folder: Path, *, mutable: bool = True) -> dict[str, Result]:
    """A family's scenarios under Wasmtime's own WASI, in a new folder, granted read-only unless `mutable`."""
    for number in range(_count(family)):
        plant(folder / f"c{number}")
    return _run(family, lambda: Theirs(folder, mutable=mutable), HostDir(folder))


def run_ours(family: Family, folder: Path, kind: str, rights: str, *, mutable: bool = True) -> dict[str, Result]:
    """A family's scenarios under wasilab, on a new folder ("host") or in memory ("memory")."""
    directory: Directory
    mode: Any = "rw" if mutable else "ro"
    if kind == "memory":
        directory = MemDir(
            {f"c{number}": in_memory() for number in range(_count(family))}, max_names=1_000_000, mode=mode
        )
    else:
        for number in range(_count(family)):
            plant(folder / f"c{number}")
        directory = HostDir(folder, mode=mode)
    return _run(family, lambda: Ours({"/": directory}, rights), directory)


def disagreement(ours: Result, theirs: Result) -> tuple[str, str, str] | None:
    """(call, our errno, theirs) of the first call that came to something else, or what was left behind."""
    for mine, other in zip(ours.log, theirs.log, strict=False):
        if mine != other:
            return mine[0].partition("(")[0], mine[1], other[1]
    if ours != theirs:
        return "what is left behind", "SUCCESS", "SUCCESS"
    return None
