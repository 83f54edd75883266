"""What a cell shows while a guest runs: its output as it comes, capped, and a line of progress.

All writing happens on the thread that executes the cell (the main thread), so that it lands in the right cell: a
write from a worker thread would land in whichever cell ran last. Reports are not drawn here (`views/report.py`).
"""

from __future__ import annotations

import codecs
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

LINES_SHOWN = 2_000
"""The most lines of one stream that a cell shows; a page with a million lines freezes."""
CHARACTERS_SHOWN = 400_000
"""The same in characters, for lines without end."""
TAIL_LINES = 5
"""Lines shown from the end of a stream that was cut."""


class CellStream:
    """One of the guest's output streams, shown in the cell.

    Bytes are decoded as UTF-8; the rest of a character split between two writes is awaited, and invalid bytes
    become U+FFFD. Beyond the caps, lines are counted instead of shown; `close` says how many.
    """

    def __init__(self, name: str, stream: TextIO, lines: int = LINES_SHOWN, characters: int = CHARACTERS_SHOWN) -> None:
        self.name = name
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._lines_left = lines
        self._characters_left = characters
        self._cut = False
        self.lines_hidden = 0
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._partial = ""
        self._at_line_start = True

    def __call__(self, data: bytes) -> None:
        """Show `data`, or count it when the cell has shown enough."""
        self._take(self._decoder.decode(data))

    def _take(self, text: str) -> None:
        if not text:
            return
        if not self._cut:
            text = self._show(text)
            if not text:
                return
            self._cut = True
        self.lines_hidden += text.count("\n")
        head, newline, last = (self._partial + text[-8192:]).rpartition("\n")
        if newline:
            self._tail.extend(head.split("\n")[-TAIL_LINES:])
        self._partial = last[-4096:]

    def _show(self, text: str) -> str:
        """Write what still fits; returns what does not."""
        shown = text
        lines = text.count("\n")
        if lines > self._lines_left:
            shown = "\n".join([*text.split("\n", self._lines_left)[:-1], ""])
        shown = shown[: self._characters_left]
        if shown:
            self._stream.write(shown)
            self._stream.flush()
            self._at_line_start = shown.endswith("\n")
        self._lines_left -= shown.count("\n")
        self._characters_left -= len(shown)
        return text[len(shown) :]

    def close(self) -> None:
        """The guest has ended: write a pending partial character, and how much was not shown."""
        self._take(self._decoder.decode(b"", final=True))
        if self._cut:
            hidden = self.lines_hidden + bool(self._partial)
            tail = [*self._tail, *([self._partial] if self._partial else [])][-TAIL_LINES:]
            shown_at_end = min(len(tail), hidden)
            start = "" if self._at_line_start else "\n"
            between = hidden - shown_at_end
            note = f"{between:,} more line{'s' if between != 1 else ''} not shown; all of it is in run.{self.name}"
            self._stream.write(f"{start}[... {note}]\n" + "\n".join(line[:500] for line in tail) + "\n")
        self._stream.flush()


class Progress:
    """A line such as `compiling C ... 3 s`, shown if something takes longer than a second, then removed.

    In a notebook it is one display that is updated and finally emptied; in a terminal it is one line on stderr.
    The waiting code calls `tick` many times a second on the main thread.
    """

    def __init__(self, what: str, quiet: bool = False, after: float = 1.0) -> None:
        self.what = what
        self._quiet = quiet
        self._start = time.monotonic()
        self._next = self._start + after
        self._handle: Any = None
        self._terminal = False

    def tick(self, what: str | None = None) -> None:
        """Show the elapsed time, at most twice a second; `what` names the current activity."""
        if what is not None:
            self.what = what
        now = time.monotonic()
        if self._quiet or now < self._next:
            return
        self._next = now + 0.5
        text = f"{self.what} ... {now - self._start:.0f} s"
        if self._handle is None and not self._terminal:
            self._terminal = not in_kernel()
        if self._terminal:
            sys.stderr.write(f"\r{text}\x1b[K")
            sys.stderr.flush()
            return
        data = {"text/plain": text}
        if self._handle is None:
            from IPython.display import display

            self._handle = display(data, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(data, raw=True)

    def close(self) -> None:
        """Remove the line."""
        if self._terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
        elif self._handle is not None:
            self._handle.update({"text/plain": ""}, raw=True)


@contextmanager
def progress(what: str, quiet: bool = False) -> Iterator[Progress]:
    """A `Progress` for a `with` block."""
    shown = Progress(what, quiet)
    try:
        yield shown
    finally:
        shown.close()


def in_kernel() -> bool:
    """Whether this process is a Jupyter kernel (rather than the IPython terminal or a script)."""
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None
