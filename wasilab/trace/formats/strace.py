"""`.strace`: the text of `text.py` as strace-reading tools take it: thread, epoch seconds, duration, no banner."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from ..text import Style, blocks

if TYPE_CHECKING:
    from ..trace import Trace


def write(trace: Trace, file: IO[bytes]) -> None:
    """Write one line a call."""
    for some in blocks(trace, Style()):
        file.write(some.encode())
