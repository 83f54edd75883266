"""`check_directory`: does a folder of your own answer every operation, also with bad values, as a program expects?

A capability is handed to programs that nobody knows. The rule (`capabilities/protocols.py`): an operation returns what
its protocol says, or raises an `OSError` (of which `Refused` is one). Anything else ends the program as a bug of the
host. Not for: what the operations mean.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

from ..capabilities.protocols import Directory, Entry, File, FileFlags, FileType, OpenHow, Stat
from ..text.escape import html_text, shorten, visible
from ..text.numbers import counted, with_article
from .claim import CourseError

_OWN = "wasilab-check"
"""What is created begins with this."""
_LEAVING = ("..", "../x", "/", "/etc/passwd")
_PATHS = (
    *_LEAVING, "", ".", "no-such-name", "no/such/name", "a//b", "trailing/", "x\0y", "n" * 300, "n" * 5000, "\udcff",
    "-1", "9" * 400,
)  # fmt: skip
_HOWS = {
    "to read": OpenHow(), "to write": OpenHow(write=True), "to create": OpenHow(write=True, create=True),
    "as new": OpenHow(write=True, create=True, exclusive=True), "emptied": OpenHow(write=True, truncate=True),
    "as a directory": OpenHow(directory=True), "to append": OpenHow(write=True, append=True),
}  # fmt: skip
_HUGE = 1 << 62
"""No memory is as large, so that nobody tries."""
_TIMES = (None, 0, -1, 1 << 63)
_MOST_FILES = 3
_MOST_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """One answer that a program must not get. Both texts are safe to print."""

    operation: str
    """The call: `open("..", to read)`."""
    found: str
    """"it raises ValueError: ...", "it returns 3, not a Stat"."""

    def __str__(self) -> str:
        return f"{self.operation}: {self.found}"


@dataclass(frozen=True, slots=True)
class DirectoryReport:
    """What `check_directory` found: true if every answer was as it should be."""

    name: str
    calls: int
    """Operations that were tried."""
    problems: tuple[Misbehaviour, ...]

    def __bool__(self) -> bool:
        return not self.problems

    @property
    def headline(self) -> str:
        """One sentence."""
        tried = f"{visible(self.name)}: {counted(self.calls, 'operation')} tried"
        if self:
            return f"{tried}, each answered as its protocol says"
        return f"{tried}, {counted(len(self.problems), 'answer')} that a program must not get"

    def __str__(self) -> str:
        more = len(self.problems) - _MOST_SHOWN
        lines = [f"  ✘ {each}" for each in self.problems[:_MOST_SHOWN]]
        return "\n".join([f"{'✔' if self else '✘'} {self.headline}", *lines, *([f"  and {more} more"] * (more > 0))])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f'<pre dir="ltr">{html_text(self, lines=True)}</pre>'


def check_directory(directory: Directory) -> DirectoryReport:
    """Call every operation of a directory, and of files in it, with good and bad values; report wrong answers.

    It creates and removes names that begin with "wasilab-check", and writes to files: give it a folder whose contents
    do not matter. Raises `CourseError` for what is not a directory.
    """
    if isinstance(directory, type):
        raise CourseError(f"check_directory({directory.__name__}): give an object: {directory.__name__}()")
    missing = [name for name in _operations(Directory) if not callable(getattr(directory, name, None))]
    if missing:
        raise CourseError(
            f"{type(directory).__name__} is not a directory: it has no {', '.join(missing[:5])}; derive it from "
            "wasilab.capabilities.protocols.BaseDirectory"
        )
    return _Check(directory).run()


def _operations(protocol: type) -> list[str]:
    return sorted(name for name, value in vars(protocol).items() if not name.startswith("_") and callable(value))


class _Check:
    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.calls = 0
        self.problems: list[Misbehaviour] = []

    def run(self) -> DirectoryReport:
        self._attributes()
        self._of_directory()
        for name, file in islice(self._files(), _MOST_FILES):
            self._of_file(name, file)
        for operation in (self.directory.unlink, self.directory.rmdir):
            try:
                operation(_OWN)
            except OSError:
                continue
            except Exception:  # noqa: BLE001  # reported where it was tried
                continue
        return DirectoryReport(type(self.directory).__name__, self.calls, tuple(dict.fromkeys(self.problems)))

    def _problem(self, operation: str, found: str) -> None:
        self.problems.append(Misbehaviour(shorten(visible(operation), 100), shorten(visible(found), 200)))

    def _try(self, operation: str, call: Callable[[], object], right: Callable[[object], bool], what: str) -> object:
        """The answer of an operation if it is one that its protocol allows; None otherwise, and for an OSError."""
        self.calls += 1
        try:
            answer = call()
        except OSError as error:
            if not error.errno:
                self._problem(operation, f"it raises {type(error).__name__} without an errno")
            return None
        except Exception as error:  # noqa: BLE001  # that is what is looked for
            self._problem(operation, f"it raises {type(error).__name__}: {error}")
            return None
        if not right(answer):
            self._problem(operation, f"it returns {_shown(answer)}, not {what}")
            return None
        return answer

    def _attributes(self) -> None:
        if getattr(self.directory, "filetype", None) != FileType.DIRECTORY:
            self._problem("filetype", "it is not FileType.DIRECTORY")
        if not isinstance(getattr(self.directory, "writable", None), bool):
            self._problem("writable", "it is not True or False")

    def _of_directory(self) -> None:
        d = self.directory
        self._try("stat()", d.stat, _is_stat, "a Stat")
        self._try("list()", d.list, _is_listing, "a list of Entry, without . and .. and names with a /")
        self._try("sync()", d.sync, _is_none, "None")
        for path in _PATHS:
            shown = repr(shorten(path, 20))
            for how_shown, how in _HOWS.items():
                self._open(path, f"open({shown}, {how_shown})", how)
            for follow in (True, False):
                asked = f"stat_path({shown}, {follow})"
                self._try(asked, partial(d.stat_path, path, follow), _is_stat, "a Stat")
            for name in ("mkdir", "rmdir", "unlink"):
                self._try(f"{name}({shown})", partial(getattr(d, name), path), _is_none, "None")
            self._try(f"readlink({shown})", partial(d.readlink, path), _is_text, "a str")
            self._try(f"symlink({shown}, {_OWN!r})", partial(d.symlink, path, _OWN), _is_none, "None")
            self._try(f"rename({shown}, itself, {_OWN!r})", partial(d.rename, path, d, _OWN), _is_none, "None")
            self._try(f"link({shown}, itself, {_OWN!r})", partial(d.link, path, d, _OWN, False), _is_none, "None")
            for time in _TIMES:
                self._try(
                    f"set_times_path({shown}, True, {time}, {time})",
                    partial(d.set_times_path, path, True, time, time), _is_none, "None",
                )  # fmt: skip
        for time in _TIMES:
            self._try(f"set_times({time}, {time})", partial(d.set_times, time, time), _is_none, "None")

    def _open(self, path: str, operation: str, how: OpenHow) -> None:
        opened = self._try(operation, partial(self.directory.open, path, how), _is_opened, "a file or a directory")
        if opened is None:
            return
        if path in _LEAVING:
            self._problem(operation, "it opens a path that leaves the directory")
        if isinstance(opened, File | Directory) and opened is not self.directory:
            self._try(f"{operation}.close()", opened.close, _is_none, "None")

    def _files(self) -> Iterator[tuple[str, File]]:
        """Files to try: those that it lists, and a new one."""
        try:
            names = [entry.name for entry in self.directory.list()][:10]
        except Exception:  # noqa: BLE001  # reported where it was tried
            names = []
        for name, how in [(_OWN, _HOWS["as new"]), *((name, how) for name in names for how in _BOTH)]:
            try:
                file = self.directory.open(name, how)
            except Exception:  # noqa: BLE001  # reported where it was tried, or right
                continue
            if isinstance(file, File) and file.filetype == FileType.REGULAR_FILE:
                yield name, file

    def _of_file(self, name: str, file: File) -> None:
        def tried(operation: str, call: Callable[[], object], right: Callable[[object], bool], what: str) -> None:
            self._try(f"{shorten(name, 20)}: {operation}", call, right, what)

        tried("stat()", file.stat, _is_stat, "a Stat")
        for sizes in ((), (0,), (1,), (3, 0, 5)):
            total = sum(sizes)
            for what, call in (
                (f"read({sizes})", partial(file.read, _buffers(sizes))),
                (f"pread({sizes}, 0)", partial(file.pread, _buffers(sizes), 0)),
                (f"pread({sizes}, {_HUGE})", partial(file.pread, _buffers(sizes), _HUGE)),
                (f"write({sizes})", partial(file.write, _buffers(sizes))),
                (f"pwrite({sizes}, 0)", partial(file.pwrite, _buffers(sizes), 0)),
            ):
                tried(what, call, partial(_is_at_most, total), f"0 to {total}")
        for offset in (0, -1, _HUGE):
            for whence in (os.SEEK_SET, os.SEEK_CUR, os.SEEK_END, 9):
                tried(f"seek({offset}, {whence})", partial(file.seek, offset, whence), _is_count, "a position")
        tried("tell()", file.tell, _is_count, "a position")
        tried(f"set_size({_HUGE})", partial(file.set_size, _HUGE), _is_none, "None")
        tried(f"allocate(0, {_HUGE})", partial(file.allocate, 0, _HUGE), _is_none, "None")
        tried("advise(0, 0, 9)", partial(file.advise, 0, 0, 9), _is_none, "None")
        for time in _TIMES:
            tried(f"set_times({time}, {time})", partial(file.set_times, time, time), _is_none, "None")
        tried("sync()", file.sync, _is_none, "None")
        tried("datasync()", file.datasync, _is_none, "None")
        tried("flags()", file.flags, lambda answer: isinstance(answer, FileFlags), "FileFlags")
        tried("set_flags(FileFlags())", partial(file.set_flags, FileFlags()), _is_none, "None")
        tried("fileno()", file.fileno, lambda answer: answer is None or _is_count(answer), "None or a number")
        tried("available()", file.available, _is_count, "a number of bytes")
        tried("close()", file.close, _is_none, "None")
        tried("close() again", file.close, _is_none, "None")


_BOTH = (OpenHow(read=True, write=True), OpenHow())


def _buffers(sizes: tuple[int, ...]) -> list[memoryview]:
    return [memoryview(bytearray(size)) for size in sizes]


def _shown(answer: object) -> str:
    try:
        return shorten(repr(answer), 60)
    except Exception:  # noqa: BLE001  # of anybody's class
        return with_article(type(answer).__name__)


def _is_none(answer: object) -> bool:
    return answer is None


def _is_text(answer: object) -> bool:
    return isinstance(answer, str)


def _is_count(answer: object) -> bool:
    return isinstance(answer, int) and not isinstance(answer, bool) and answer >= 0


def _is_at_most(most: int, answer: object) -> bool:
    return isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer <= most


def _is_stat(answer: object) -> bool:
    return (
        isinstance(answer, tuple)
        and len(answer) == len(Stat._fields)
        and all(isinstance(value, int) for value in answer)
        and all(value >= 0 for value in answer[:5])
        and answer[2] in list(FileType)
    )


def _is_opened(answer: object) -> bool:
    return isinstance(answer, File | Directory)


def _is_listing(answer: object) -> bool:
    return isinstance(answer, list) and all(
        isinstance(entry, Entry)
        and isinstance(entry.name, str)
        and entry.name not in ("", ".", "..")
        and not set(entry.name) & {"/", "\0"}
        for entry in answer
    )

