"""Claims about how a run ended and what it wrote."""

from __future__ import annotations

from typing import Literal

from ...capabilities.memory.memdir import MemDir
from ...capabilities.protocols import Directory, OpenHow
from ...text.escape import visible
from ..claim import Claim, CourseError, Finding, Judged, quoted

Stream = Literal["stdout", "stderr"]
End = Literal["exit", "trap", "limit", "interrupt"]

_ENDS: dict[End, str] = {
    "exit": "the program ends by itself",
    "trap": "the program traps",
    "limit": "a limit ends the program",
    "interrupt": "the program is interrupted",
}
_LARGEST = 1 << 20
"""Bytes of a file that `writes` reads."""


def exits(code: int = 0) -> Claim:
    """The program ends by itself with this exit status.

    A program that does nothing exits with 0, so `exits(0)` needs a claim beside it that says what the program does.
    """
    if isinstance(code, bool) or not isinstance(code, int) or not 0 <= code < 1 << 32:
        raise CourseError(f"exits({code!r}): an exit status is a number from 0, such as exits(0)")

    def judge(run: Judged) -> Finding:
        outcome = run.outcome
        if outcome.kind == "exit" and outcome.exit_code == code:
            return Finding(True)
        return Finding(False, _ended(run))

    return Claim(f"the program ends with exit status {code}", judge, holds_for_nothing=code == 0)


def ends(how: End) -> Claim:
    """The program's end is of this kind: "exit" (by itself), "trap", "limit" or "interrupt"."""
    if how not in _ENDS:
        raise CourseError(f"ends({how!r}): a program ends by one of {', '.join(map(repr, _ENDS))}")

    def judge(run: Judged) -> Finding:
        holds = run.outcome.kind == how
        return Finding(holds, "" if holds else _ended(run))

    return Claim(_ENDS[how], judge, holds_for_nothing=how == "exit")


def _ended(run: Judged) -> str:
    """How a run ended, and the last line that it wrote to stderr."""
    outcome = run.outcome
    if outcome.kind == "exit":
        end = f"it ended with exit status {outcome.exit_code}"
    else:
        end = f"its end is {outcome.kind}: {visible(outcome.message)}"
    lines = run.stderr.strip().splitlines()
    return f"{end}; the last line on stderr is {quoted(lines[-1])}" if lines else end


def prints(text: str, *, stream: Stream = "stdout") -> Claim:
    """The text occurs in what the program wrote to stdout (or stderr)."""
    _check_text("prints", text)
    _check_stream(stream)

    def judge(run: Judged) -> Finding:
        written = _written(run, stream)
        if text in written:
            return Finding(True)
        return Finding(False, f"it prints {quoted(written)}" if written else "it prints nothing")

    where = "" if stream == "stdout" else f" on {stream}"
    return Claim(f"it prints {quoted(text)}{where}", judge, holds_for_nothing=False)


def prints_nothing(*, stream: Stream = "stdout") -> Claim:
    """The program writes nothing to stdout (or stderr)."""
    _check_stream(stream)

    def judge(run: Judged) -> Finding:
        written = _written(run, stream)
        return Finding(not written, f"it prints {quoted(written)}" if written else "")

    return Claim(f"it prints nothing on {stream}", judge, holds_for_nothing=True)


def writes(guest: str, path: str, text: str) -> Claim:
    """The file `path` of the folder granted at `guest` holds the text at the end, and the run wrote to that folder.

    The folder is looked at when the check is made: give each run a folder of its own.
    """
    _check_text("writes", text)

    def judge(run: Judged) -> Finding:
        folder = run.directories.get(guest)
        if folder is None:
            return Finding(False, f"no folder is granted at {quoted(guest)}")
        data = _contents(folder, path)
        if data is None:
            return Finding(False, f"there is no file {quoted(path)} in {quoted(guest)}")
        written = data.decode("utf-8", "replace")
        if text not in written:
            return Finding(False, f"it holds {quoted(written)}" if written else "it is empty")
        changed = run.trace.filter("ok operation=write,rename,link").count("path")
        if not any(name.startswith(guest.rstrip("/") + "/") for name in changed):
            return Finding(False, "it holds the text, but this run wrote nothing there")
        return Finding(True)

    where = f"{guest.rstrip('/')}/{path}"
    return Claim(f"it writes {quoted(text)} to {quoted(where)}", judge, holds_for_nothing=False)


def _contents(folder: Directory, path: str) -> bytes | None:
    """The first bytes of a file of a folder; None if there is no such file."""
    try:
        if isinstance(folder, MemDir):
            return folder.read_bytes(path)[:_LARGEST]
        file = folder.open(path, OpenHow(nonblock=True))
    except OSError:
        return None
    try:
        buffer = bytearray(_LARGEST)
        return bytes(buffer[: file.read([memoryview(buffer)])]) if not isinstance(file, Directory) else None
    except OSError:
        return None
    finally:
        file.close()


def _written(run: Judged, stream: Stream) -> str:
    return run.stdout if stream == "stdout" else run.stderr


def _check_stream(stream: object) -> None:
    if stream not in ("stdout", "stderr"):
        raise CourseError(f"stream={stream!r}: a program prints on 'stdout' or 'stderr'")


def _check_text(name: str, text: object) -> None:
    if not isinstance(text, str) or not text:
        raise CourseError(f"{name}: the text is a str that is not empty, not {text!r} (or claim prints_nothing())")
