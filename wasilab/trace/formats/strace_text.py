"""`.strace`: strace text for tools that read it: thread, epoch seconds, duration, no banner.

Perfetto's importer treats the first `)` before an equals sign as the end of the arguments, and `<unfinished ...>`
anywhere in a line as a call that did not return (src/trace_processor/plugins/strace/strace_trace_tokenizer.cc). So if a
guest's path or data contain such text, one character of it is written as an escape. Not for: loading again.
"""

from __future__ import annotations

from typing import IO

from ..calls import Calls
from ..strace.lines import blocks
from ..strace.style import Style

_UNFINISHED = "<unfinished ...>"


def write(trace: Calls, file: IO[bytes]) -> None:
    """Write one line per call."""
    for some in blocks(trace, Style(), guarded=True):
        file.write(some.replace(_UNFINISHED, f"\\x3c{_UNFINISHED[1:]}").encode())
