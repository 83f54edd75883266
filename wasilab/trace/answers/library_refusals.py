"""Guesses what a program's own C library refused without a call to the host, from the evidence of a run.

If directories are granted and a program opens a path outside all of them, wasi-libc (and libraries built on it, such as
Rust's standard library) compares the path with the directories' names and fails by itself, without a call. A program
compiled by wasilab reports such a path, which is then in the trace (`wasi/library.py`). For any other program the
evidence is: whether stderr has the library's error message although the host never gave that error; which paths appear
in its arguments or error messages that are in no granted directory and in no call; whether it looked the directories up
only then. A finding names its evidence. Not for: refused calls (`refusals.py`).

A component gets its directories once, at the start, whether it needs them or not, so for components the lookup is no
evidence; and if none is granted there is no failed search, so the program's output is always examined.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np

from ...capabilities.refusal import Need, NeedKind
from ...text.escape import visible
from ...wasi.library import LIBRARY_LOOKUP, REPORTED
from ...wasi.operations import Operation
from ...wasi.preview1.spec import SNAPSHOT1
from ...wasi.types import Errno
from ..calls import Calls

MOST = 1 << 16
"""Characters of stderr that are searched, from its end."""
_PHRASES = ("capabilities insufficient", "pre-opened file descriptor")
"""The messages of wasi-libc and Rust's standard library for ENOTCAPABLE, and for a path in no directory."""
_RUST = re.compile(r'pre-opened file descriptor through which "((?:[^"\\]|\\.){1,4096})" could be opened')
_PERROR = re.compile(r"^(?:[^\n:]{1,200}: )??([^\n:]{1,4096}): Capabilities insufficient", re.MULTILINE)
_QUOTED = re.compile(r"""["'`]([^"'`\n]{2,4096})["'`]|(?<![\w:/.])(/[\w./+@-]{2,4096})""")
_FILE_NAME = re.compile(r"[\w+-][\w.+ -]*\.[A-Za-z]\w{0,5}")
_ABSENT = "no such file"
_COMPLAINTS = (_ABSENT, "not found", "cannot", "can't", "could not", "unable", "fail", "denied", "error")
_LOOK_UP = SNAPSHOT1["fd_prestat_get"].number
_PATH_CALLS = frozenset(call.number for call in SNAPSHOT1.values() if call.family == "path")
_LOOKING_UP = frozenset(SNAPSHOT1[name].number for name in ("fd_prestat_get", "fd_prestat_dir_name"))
_OF_MAIN = frozenset(SNAPSHOT1[name].number for name in ("fd_write", "fd_read", "path_open", "path_filestat_get"))


class _Source(Enum):
    """Where a path was found."""

    STDERR = "stderr"
    ABSENT = "stderr, as missing"
    ARGUMENT = "an argument"


@dataclass(frozen=True, slots=True)
class LibraryRefusal:
    """A path that, by the evidence of the run, the program's own library refused."""

    path: str
    """The path, safe to print; "" if only the library's message is known."""
    sure: bool
    """Whether it is certain; otherwise it is likely."""
    sentence: str
    """What happened, and the evidence."""

    @property
    def need(self) -> Need:
        """What would have to be granted."""
        return Need(NeedKind.DIRECTORY, self.path)


def library_refusal(trace: Calls, stderr: str) -> LibraryRefusal | None:
    """What the program's library refused by itself in a failed run; None without evidence.

    `stderr` is the program's output to stderr. A trace that lost calls is not evidence; if the host or the program
    itself reported a refusal, this returns None.
    """
    granted = _granted(trace)
    reported = bool(trace.meta.get(REPORTED)) or (trace.column("call") == LIBRARY_LOOKUP.number).any()
    if trace.dropped or reported or (trace.column("denied_by") != 0).any():
        return None
    if not granted and not _asked_as_component(trace):
        return None
    said = any(phrase in stderr.lower() for phrase in _PHRASES)
    if (trace.column("errno") == int(Errno.NOTCAPABLE)).any():
        said = False  # the host did return that error: the message may be about that
    named = {_normal(path.decode("utf-8", "replace")) for path in trace.store.paths}
    for path, source in _candidates(trace, stderr):
        if not _is_inside(path, granted) and _normal(path) not in named:
            return _explain(path, granted, *_evidence(source, said, _looked_up_late(trace)))
    return _explain("", granted, False, "stderr has the words in which it says so") if said else None


def path_in_output(trace: Calls, stderr: str) -> str:
    """A path in the program's arguments or messages that is in no granted directory; "" if there is none."""
    granted = _granted(trace)
    return next((visible(path) for path, _ in _candidates(trace, stderr) if not _is_inside(path, granted)), "")


def _asked_as_component(trace: Calls) -> bool:
    """Whether a component asked which directories it has."""
    functions = trace.functions
    asking = [
        number for number in functions.known
        if functions.get(number) is not None and functions.operations[number] is Operation.PREOPENS
    ]  # fmt: skip
    return bool(asking) and bool(np.isin(trace.column("call"), asking).any())  # most traces have none: nothing to read


def _granted(trace: Calls) -> list[bytes]:
    return list(dict.fromkeys(life.preopen for life in trace.lives.values() if life.preopen is not None))


def _evidence(source: _Source, said: bool, late: bool) -> tuple[bool, str]:
    """(whether it is certain, the evidence)."""
    if source is _Source.ABSENT:
        return True, "stderr calls it missing (an empty folder in memory may be enough)"
    if late:
        return True, "the directories were looked up only then, as is done at the first use of a path"
    if said and source is _Source.STDERR:
        return True, "stderr says so, and the host gave no such answer"
    if said:
        return False, f"stderr says that a path was refused, and {source.value} names this one"
    return False, f"{source.value} names it"


def _explain(path: str, granted: list[bytes], sure: bool, evidence: str) -> LibraryRefusal:
    path = visible(path)
    directories = visible(", ".join(name.decode("utf-8", "backslashreplace") for name in granted))
    refused = f"{'refused' if sure else 'probably refused'} {repr(path) if path else 'a path'}"
    outside = f"no granted directory ({directories}) holds it" if granted else "no directory is granted"
    outside += ", and no call named it" if path else ""
    sentence = f"The program's own library {refused} without asking the host: {outside}. The evidence: {evidence}."
    return LibraryRefusal(path, sure, sentence)


def _candidates(trace: Calls, stderr: str) -> Iterator[tuple[str, _Source]]:
    """(path, where it was found) of the paths in the program's messages and arguments, the most certain first."""
    stderr = stderr[-MOST:]
    for match in _RUST.finditer(stderr):
        yield match[1], _Source.STDERR
    for match in _PERROR.finditer(stderr):
        if _is_path(match[1].strip()):  # otherwise it is a label of the program's own
            yield match[1].strip(), _Source.STDERR
    args = trace.meta.get("args")
    for text in args if isinstance(args, list) else ():
        # An option may contain it: --config=/etc/app.conf
        path = text.rpartition("=")[2] if isinstance(text, str) and text.startswith("-") else text
        if isinstance(path, str) and _is_path(path):
            yield path, _Source.ARGUMENT
    for line in stderr.splitlines():
        if not any(complaint in line.lower() for complaint in _COMPLAINTS):
            continue
        for match in _QUOTED.finditer(line):
            path = match[1] or match[2].rstrip(".,:;")
            if _is_path(path):
                yield path, _Source.ABSENT if _ABSENT in line.lower() else _Source.STDERR


def _is_path(text: str) -> bool:
    absolute = text.startswith("/") and len(text) > 1
    return absolute or "/" in text.strip("/") or bool(_FILE_NAME.fullmatch(text))


def _normal(path: str) -> str:
    """A path as wasi-libc compares it: relative to the root, without "." and ".."."""
    return posixpath.normpath("/" + path.lstrip("/")).lstrip("/")


def _is_inside(path: str, granted: list[bytes]) -> bool:
    """Whether the name of a granted directory is the beginning of the path, by wasi-libc's rule."""
    wanted = _normal(path)
    for name in granted:
        prefix = _normal(name.decode("utf-8", "replace"))
        if not prefix or wanted == prefix or wanted.startswith(prefix + "/"):
            return True
    return False


def _looked_up_late(trace: Calls) -> bool:
    """Whether the directories were looked up after the program's start, and no call with a path followed.

    Newer libraries look them up at the first use of a path. Older ones do so at the start of every program, which is no
    evidence.
    """
    calls = trace.column("call")
    looked_up = np.flatnonzero(calls == _LOOK_UP)
    if not len(looked_up):
        return False
    first = int(looked_up[0])
    before, after = (set(np.flatnonzero(np.bincount(part)).tolist()) for part in (calls[:first], calls[first:]))
    return bool(_OF_MAIN & before) and not _PATH_CALLS & after - _LOOKING_UP
