"""Files that a command writes: checked before the work is done, with a one-line error if one cannot be written."""

from __future__ import annotations

import argparse
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from .usage import UsageProblem

_READ = ("file", "files", "first", "second", "of", "other", "words", "policy", "fault_files", "grant_stdin", "preloads")
"""The options and arguments of any command that name files which it reads."""
_WRITTEN = {
    "save": "--save", "output": "-o", "export": "--export", "plot": "--plot", "strace_file": "--strace",
    "record": "--record", "trace_file": "--trace", "coredump": "--coredump", "profile": "--profile",
}  # fmt: skip
"""Those that name files which it writes, with their flags."""


def refuse_overwriting(options: argparse.Namespace) -> None:
    """Raise `UsageProblem` if a command would write to a file that it reads, or write to one file twice.

    Both would lose what was in it. A device, such as /dev/null, can be named twice.
    """
    if not hasattr(options, "strace_file"):
        written = {dest: flag for dest, flag in _WRITTEN.items() if dest != "trace_file"}  # `code --trace` reads it
    else:
        written = _WRITTEN
    read = {place for dest in _READ for name in _names(getattr(options, dest, None)) if (place := _place(name))}
    seen: dict[tuple[object, ...], str] = {}
    for dest, flag in written.items():
        for name in _names(getattr(options, dest, None)):
            place = _place(name)
            if place is None:
                continue
            if place in read:
                raise UsageProblem(f"{flag} {name}: that file is read here, and would be lost; name another")
            before = seen.setdefault(place, flag)
            if before != flag and {before, flag} != {"--record", "--trace"}:  # a recording is the trace
                raise UsageProblem(f"{flag} {name}: {before} writes to that file; name another")


def _names(given: object) -> Iterator[str]:
    """The names among the values of an option: a text, a path, or a list of them, or of pairs that end in one."""
    if isinstance(given, (str, os.PathLike)):
        name = os.fspath(given)
        if isinstance(name, str) and name:
            yield name
    elif isinstance(given, tuple) and given:
        yield from _names(given[-1])
    elif isinstance(given, list):
        for each in given:
            yield from _names(each)


def _place(name: str) -> tuple[object, ...] | None:
    """What identifies the file of that name; None for a folder, a device or a name that is none."""
    try:
        path = Path(name).expanduser()
        found = path.stat() if path.exists() else None
        if found is None:
            return (os.path.realpath(path),)
        return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None
    except (OSError, ValueError, RuntimeError):
        return None


def check_writable(flag: str, name: str) -> Path:
    """The path that `name`, given with `flag`, can be written to; raises `UsageProblem` with the reason and remedy."""
    path = Path(name).expanduser()
    if not name:
        raise UsageProblem(f"{flag}: the name is empty; name a file")
    if path.is_dir():
        raise UsageProblem(f"{flag} {name}: that is a folder; name a file in it")
    if not path.parent.is_dir():
        raise UsageProblem(f"{flag} {name}: there is no folder {str(path.parent)!r}")
    if path.exists() and not _may(path, os.W_OK):
        raise UsageProblem(f"{flag} {name}: you may not write to that file; name another")
    if not path.exists() and not _may(path.parent, os.W_OK | os.X_OK):
        raise UsageProblem(f"{flag} {name}: the folder {str(path.parent)!r} is not writable for you; name another")
    return path


def _may(path: Path, what: int) -> bool:
    return os.access(path, what, effective_ids=os.access in os.supports_effective_ids)


def write_file(flag: str, name: str, write: Callable[[Path], object]) -> Path:
    """Write the file with `write`; raises `UsageProblem` when it cannot be written. Returns its path."""
    path = check_writable(flag, name)
    try:
        write(path)
    except (ValueError, ImportError) as error:
        raise UsageProblem(f"{flag} {name}: {error}") from None
    except OSError as error:
        raise UsageProblem(f"{flag} {name}: {error.strerror or error}") from None
    return path
