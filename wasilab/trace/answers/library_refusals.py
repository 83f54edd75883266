"""What a program's own library refused without asking the host, as far as a run can show it.

Where directories are granted and a program names a path outside all of them, wasi-libc (and what stands on it, such as
Rust's standard library) compares the path with the directories' names and answers ENOTCAPABLE by itself: no call is
made. What a run does show: whether the library's words stand in stderr although the host never answered so; which
paths the program was given or complained of, that lie in no granted directory and that no call ever named; and whether
it looked its directories up only then. Each finding says on what it rests, and none of them says more.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ...capabilities.refusal import Need, NeedKind
from ...text.escape import visible
from ...wasi.preview1.spec import SNAPSHOT1
from ...wasi.types import Errno
from ..calls import Calls

_PHRASES = ("capabilities insufficient", "pre-opened file descriptor")
"""What wasi-libc and Rust's standard library say of ENOTCAPABLE, and of a path that no directory holds."""
_RUST = re.compile(r'pre-opened file descriptor through which "((?:[^"\\]|\\.){1,4096})" could be opened')
_PERROR = re.compile(r"^(?:[^\n:]{1,200}: )??([^\n:]{1,4096}): Capabilities insufficient", re.MULTILINE)
_NAMED = re.compile(r"""["'`]([^"'`\n]{2,4096})["'`]|(?<![\w:/.])(/[\w./+@-]{2,4096})""")
_ABSENT = "no such file"
_COMPLAINTS = (_ABSENT, "not found", "cannot", "can't", "could not", "unable", "fail", "denied", "error")
STDERR = "stderr"
ABSENT = "an error message"
MOST = 1 << 16
"""Characters of stderr that are looked through, from its end."""
_LOOKED_UP = SNAPSHOT1["fd_prestat_get"].number
_OPENING = frozenset(call.number for call in SNAPSHOT1.values() if call.family == "path")
_DISCOVERY = frozenset(SNAPSHOT1[name].number for name in ("fd_prestat_get", "fd_prestat_dir_name"))
_OF_MAIN = frozenset(SNAPSHOT1[name].number for name in ("fd_write", "fd_read", "path_open", "path_filestat_get"))


@dataclass(frozen=True, slots=True)
class LibraryRefusal:
    """A path that was, as far as the run shows, refused by the program's own library."""

    path: str
    """The path, safe to print; "" where only the library's words are known."""
    sure: bool
    """Whether nothing else explains it; else it is likely."""
    sentence: str
    """What happened, and on what that rests."""

    @property
    def need(self) -> Need:
        """What would have to be granted."""
        return Need(NeedKind.DIRECTORY, self.path)


def library_refusal(trace: Calls, stderr: str) -> LibraryRefusal | None:
    """What the program's library refused by itself in a run that failed, None where nothing points to it.

    `stderr`: what the program wrote to it. A trace that lost calls shows nothing, nor does one in which the host
    refused something: that is told elsewhere.
    """
    granted = _granted(trace)
    if not granted or trace.dropped or (trace.column("denied_by") != 0).any():
        return None
    said = any(words in stderr.lower() for words in _PHRASES)
    if (trace.column("errno") == int(Errno.NOTCAPABLE)).any():
        said = False  # the host did answer so: the words may be about that
    names = visible(", ".join(name.decode("utf-8", "backslashreplace") for name in granted))
    asked = {_normal(path.decode("utf-8", "replace")) for path in trace.store.paths}
    late = _looked_up_late(trace)
    for path, source in _candidates(trace, stderr):
        if not _held(path, granted) and _normal(path) not in asked:
            return _explain(visible(path), source, names, said, late)
    if not said:
        return None
    sentence = (
        f"No call was refused: a path outside the granted directories ({names}) is refused by the program's own "
        "library, which asks nobody, and its words are in stderr. Grant the folder that it is in, under the name that "
        "the program uses."
    )
    return LibraryRefusal("", False, sentence)


def path_in_output(trace: Calls, stderr: str) -> str:
    """A path that the program was given or speaks of and that no granted directory holds; "" where there is none."""
    granted = _granted(trace)
    return next((visible(path) for path, _ in _candidates(trace, stderr) if not _held(path, granted)), "")


def _granted(trace: Calls) -> list[bytes]:
    return [life.preopen for life in trace.lives.values() if life.preopen is not None]


def _explain(path: str, source: str, granted: str, said: bool, late: bool) -> LibraryRefusal:
    none = f"no granted directory ({granted}) holds it, and no call asked for it"
    sure = late or source == ABSENT or (said and source == STDERR)
    if source == ABSENT:
        sentence = (
            f"No call was refused: {path} is outside the granted directories ({granted}), and the program's own "
            "library found nothing there without asking. Grant the folder that it is in, or an empty one in memory."
        )
    elif late:
        sentence = (
            f"The program's own library refused {path!r}: {none}, though the directories were looked up then, which it "
            f"does at the first use of a path."
        )
    elif sure:
        sentence = (
            f"The program's own library refused {path!r}: it says so in stderr, {none}, and the host gave no such "
            f"answer."
        )
    elif said:
        sentence = (
            f"The program's own library refused a path, by what stderr says: most likely {path!r}, which {source} "
            f"names; {none}."
        )
    else:
        sentence = (
            f"No call was refused, but {source} names {path!r}: {none}. A program's own library refuses such a path "
            f"without asking; that is likely here, not certain."
        )
    return LibraryRefusal(path, sure, sentence)


def _candidates(trace: Calls, stderr: str) -> Iterator[tuple[str, str]]:
    """(path, where it was found) of the paths that the program spoke of or was given, the surest first."""
    stderr = stderr[-MOST:]
    for match in _RUST.finditer(stderr):
        yield match[1], STDERR
    for match in _PERROR.finditer(stderr):
        if _is_a_path(match[1].strip()):  # else it is a label of the program's own
            yield match[1].strip(), STDERR
    args = trace.meta.get("args")
    for text in args if isinstance(args, list) else ():
        # An option may hold it: --config=/etc/app.conf
        path = text.rpartition("=")[2] if isinstance(text, str) and text.startswith("-") else text
        if isinstance(path, str) and _is_a_path(path):
            yield path, "an argument"
    for line in stderr.splitlines():
        if not any(words in line.lower() for words in _COMPLAINTS):
            continue
        for match in _NAMED.finditer(line):
            path = match[1] or match[2].rstrip(".,:;")
            if _is_a_path(path):
                yield path, ABSENT if _ABSENT in line.lower() else STDERR


def _is_a_path(text: str) -> bool:
    return "/" in text.strip("/") or (text.startswith("/") and len(text) > 1) or bool(
        re.fullmatch(r"[\w+-][\w.+ -]*\.[A-Za-z]\w{0,5}", text)
    )


def _normal(path: str) -> str:
    """A path as wasi-libc compares it: without what stands for the place where everything begins."""
    normal = posixpath.normpath("/" + path.lstrip("/"))
    return normal.lstrip("/")


def _held(path: str, granted: list[bytes]) -> bool:
    """Whether the name of a granted directory is the beginning of the path, as wasi-libc finds it."""
    wanted = _normal(path)
    for name in granted:
        prefix = _normal(name.decode("utf-8", "replace"))
        if not prefix or wanted == prefix or wanted.startswith(prefix + "/"):
            return True
    return False


def _looked_up_late(trace: Calls) -> bool:
    """Whether the directories were looked up after the program had begun, and no path was asked for then.

    Newer libraries do so at the first use of a path, older ones always at the start, which tells nothing.
    """
    calls = trace.column("call").tolist()
    if _LOOKED_UP not in calls:
        return False
    first = calls.index(_LOOKED_UP)
    after = [call for call in calls[first:] if call not in _DISCOVERY]
    return bool(_OF_MAIN.intersection(calls[:first])) and not _OPENING.intersection(after)
