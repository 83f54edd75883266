"""Describes refused calls, each with what was needed.

For: `Trace.denied`, the report, `--refused`. The sentence is the reason that the host or a capability gave (in the
payload), preceded by the call and the path. What was needed is a value (`Need`); `grants/remedy.py` tells how it is
granted.

Some refusals are derived from other calls, because no call was refused:

- A program that opens a file without any granted directory makes no call that could be refused. Its C library asks
  `fd_prestat_get` for each granted directory, gets EBADF at the first, and answers ENOENT or ENOTCAPABLE by itself.
- Go's library looks for directories at the start of every program, and asks for a file outside all of them relative to
  descriptor -1. There the search is not evidence, and those calls are the refusals.
- Zig's library uses descriptor 3 as the current folder without checking that it is one.
- A standard stream that was not granted is not open to the guest (EBADF).

A path outside all granted directories is refused by the program's own C library. Where the program reports it, it is in
the trace (`wasi/library.py`); otherwise `library_refusals.py` guesses. Not for: that guess.
"""

from __future__ import annotations

import html
import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ...capabilities.paths import ABSOLUTE
from ...capabilities.refusal import DeniedBy, Need, NeedKind
from ...text.escape import visible
from ...text.palette import PLAIN, Palette
from ...wasi.library import LIBRARY_LOOKUP
from ...wasi.preview1 import spec
from ...wasi.types import Errno
from ..calls import Calls
from ..columns.places import Places
from ..columns.records import Array
from .event import CallEvent
from .tabular import noted_lines, notes_html

_PRESTAT = spec.SNAPSHOT1["fd_prestat_get"].number
_BADF = int(Errno.BADF)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused call, or several of the same kind (`count`). All texts are safe to print."""

    call: str
    asked: str
    """What the guest tried to do: `path_open('/etc/passwd')`."""
    denied_by: DeniedBy
    sentence: str
    need: Need | None
    """What would have to be granted for it to succeed; None if no grant would help, or if unknown."""
    seq: int
    """The (first) call."""
    line: str = ""
    """The source line of the call, `file:line`, if known."""
    count: int = 1
    remedy: str = ""
    """The smallest grant that would allow it, as text; set by `Refusals.with_remedies`."""

    def text(self, palette: Palette = PLAIN) -> str:
        """The refusal as one line."""
        times = f" ({self.count:,} times)" if self.count > 1 else ""
        where = f" [{palette('place', self.line)}]" if self.line else ""
        remedy = f" To allow it: {palette('good', self.remedy)}" if self.remedy else ""
        return f"{palette('error', self.sentence)}{times}{where}.{remedy}"

    def __str__(self) -> str:
        return self.text()


class Refusals:
    """The refused calls of a trace in order; equal ones (same call, path and reason) are one entry with a count."""

    def __init__(self, entries: list[Refusal], notes: tuple[str, ...] = ()) -> None:
        self.entries = entries
        self.notes = notes
        """The notes that a person made on calls, a line each."""

    @classmethod
    def from_calls(cls, trace: Calls) -> Refusals:
        """The refusals among the calls of `trace`."""
        rows = np.flatnonzero(trace.column("denied_by"))
        groups: dict[tuple[object, ...], list[int]] = {}
        calls = trace.column("call")[rows].tolist()
        targets = trace.target_ids[rows].tolist() if len(rows) else []
        numbers = rows if trace.rows is None else trace.rows[rows]
        for row, call, target in zip(numbers.tolist(), calls, targets, strict=True):
            groups.setdefault((call, target, trace.store.reason(row)), []).append(row)
        lines = Places(trace.store)
        entries = [_refusal(trace, same, lines) for same in groups.values()]
        derived = _searched_in_vain(trace)
        if derived is not None:
            entries.append(derived)
        entries += _outside_every_directory(trace, lines)
        entries += _streams_missed(trace, lines)
        return cls(sorted(entries, key=lambda entry: entry.seq), noted_lines(trace))

    def with_remedies(self, text: Callable[[Need], str]) -> Refusals:
        """The same, each with `text(need)` as its remedy: a trace does not know how grants are written."""
        entries = [each if each.need is None else replace(each, remedy=text(each.need)) for each in self.entries]
        return Refusals(entries, self.notes)

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Refusal]:
        return iter(self.entries)

    def __getitem__(self, index: int) -> Refusal:
        return self.entries[index]

    def __eq__(self, other: object) -> bool:
        return self.entries == (other.entries if isinstance(other, Refusals) else other)

    __hash__ = None  # type: ignore[assignment]

    def text(self, palette: Palette = PLAIN) -> str:
        """A line for each entry."""
        lines = [entry.text(palette) for entry in self.entries] or ["nothing was refused"]
        return "\n".join([*lines, *self.notes])

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        if not self.entries:
            return f"<p>Nothing was refused.</p>{notes_html(self.notes)}"
        items = "".join(
            f"<li>{html.escape(e.sentence)}{f' ({e.count:,} times)' if e.count > 1 else ''}"
            + (f" [{html.escape(e.line)}]" if e.line else "")
            + (f"<br>To allow it: <code>{html.escape(e.remedy)}</code>" if e.remedy else "")
            + "</li>"
            for e in self.entries
        )
        return f"<ul>{items}</ul>{notes_html(self.notes)}"


def _refusal(trace: Calls, rows: list[int], lines: Places) -> Refusal:
    event = CallEvent(trace, rows[0])
    asked = _asked(event)
    by = event.denied_by if isinstance(event.denied_by, DeniedBy) else DeniedBy.POLICY
    reason = visible(event.reason).rstrip(".")
    if event.family == LIBRARY_LOOKUP.family and reason:
        sentence = reason[:1].upper() + reason[1:]
    else:
        sentence = f"{asked} was refused: {reason or _WHY[by]}"
    return Refusal(event.name, asked, by, sentence, event.need, event.seq, _line(event, lines), len(rows))


_WHY = {
    DeniedBy.NONE: "the trace does not say why",
    DeniedBy.GRANT: "no grant allows it",
    DeniedBy.RIGHT: "the descriptor does not have the right",
    DeniedBy.PATH: "the path leaves the granted directory",
    DeniedBy.HOST: "the host's operating system does not allow it",
    DeniedBy.REVOKED: "the grant was revoked",
    DeniedBy.QUOTA: "a limit of the grants was reached",
    DeniedBy.POLICY: "a rule forbids it",
    DeniedBy.ASK: "the user was asked and denied it",
}


def _asked(event: CallEvent) -> str:
    args = event.args
    paths = [value for name, value in args.items() if isinstance(value, str) and _names_a_path(name)]
    if len(paths) == 1 and event.path:
        return f"{event.name}({_quoted(event.path)})"
    if paths:
        return f"{event.name}({', '.join(_quoted(path) for path in paths)})"
    fd = event.fd
    if fd is not None:
        return f"{event.name}({fd!r})"
    first = next(iter(args.values()), "")
    return f"{event.name}({getattr(first, 'name', '') if isinstance(first, int) else ''})"


def _names_a_path(name: str) -> bool:
    """Whether a parameter of this name is a path: "old_path" and "old-path" are, "path-flags" is not."""
    return "path" in name and not name.endswith("flags")


def _quoted(path: str) -> str:
    return "'" + visible(path).replace("'", "\\'") + "'"


def _line(event: CallEvent, lines: Places) -> str:
    place = lines.get(event.stack_id)
    return f"{visible(place[0])}:{place[1]}" if place else ""


_NO_DIRECTORY, _FIRST_DIRECTORY = 0xFFFFFFFF, 3


def _with_first_word(trace: Calls, mask: Array, *words: int) -> Array:
    """The rows of the masked calls whose first argument is one of these. Reads the arguments only if there are any."""
    rows = np.flatnonzero(mask)
    return rows[np.isin(trace.column("args")[rows, 0], words)] if len(rows) else rows


def _searched_in_vain(trace: Calls) -> Refusal | None:
    """A C library's search for granted directories that found none, as a refusal; None if there was no such search.
    """
    if any(life.preopen is not None for life in trace.lives.values()) or trace.dropped:
        return None
    calls = trace.column("call")
    if (calls == LIBRARY_LOOKUP.number).any():
        return None  # the program reports what its library refused, with the path
    rows = _with_first_word(trace, (calls == _PRESTAT) & (trace.column("errno") == _BADF), _FIRST_DIRECTORY)
    if not len(rows) or trace.meta.get("lang") == "go" or (calls == spec.SNAPSHOT1["path_open"].number).any():
        return None
    event = CallEvent(trace, trace.row(int(rows[0])))
    if (calls[: int(rows[0])] == _PRESTAT).any():
        return None
    sentence = (
        "the program looked for granted directories and found none, so it can open no file: its C library answers "
        "ENOENT or ENOTCAPABLE by itself, without a call"
    )
    need = Need(NeedKind.DIRECTORY)
    # No source line: the C library searches before main.
    return Refusal("fd_prestat_get", "a granted directory", DeniedBy.GRANT, sentence, need, event.seq)


_PATH_CALLS = [call.number for call in spec.SNAPSHOT1.values() if call.family == "path"]


def _outside_every_directory(trace: Calls, lines: Places) -> Iterator[Refusal]:
    """Paths relative to descriptor -1 (Go), or to the first directory although none was granted (Zig)."""
    nowhere = [_NO_DIRECTORY]
    granted_none = not trace.dropped and all(life.preopen is None for life in trace.lives.values())
    if granted_none and not any(life.fd == _FIRST_DIRECTORY for life in trace.lives.values()):
        nowhere.append(_FIRST_DIRECTORY)
    failed = trace.column("errno") == _BADF
    rows = _with_first_word(trace, failed & np.isin(trace.column("call"), _PATH_CALLS), *nowhere)
    if not len(rows):
        return
    groups: dict[tuple[int, int], list[int]] = {}
    for row, call, target in zip(rows.tolist(), trace.column("call")[rows], trace.target_ids[rows], strict=True):
        groups.setdefault((int(call), int(target)), []).append(row)
    for same in groups.values():
        event = CallEvent(trace, trace.row(same[0]))
        asked = _asked(event)
        absolute = event.path.startswith("/")
        if event.fd == _FIRST_DIRECTORY:
            why = "no directory is granted, and the program uses the first one as its current folder"
            sentence = f"{asked} failed: {why}{f', and the path is absolute; {ABSOLUTE}' if absolute else ''}"
            need = None if absolute else Need(NeedKind.DIRECTORY, posixpath.basename(event.path))
        else:
            sentence = f"{asked} failed: no granted directory holds this path"
            need = Need(NeedKind.DIRECTORY, event.path if absolute else "")
        line = _line(event, lines)
        yield Refusal(event.name, asked, DeniedBy.GRANT, sentence, need, event.seq, line, len(same))


_STREAMS = ((0, NeedKind.STDIN, "fd_read"), (1, NeedKind.STDOUT, "fd_write"), (2, NeedKind.STDERR, "fd_write"))


def missed_streams(trace: Calls) -> Iterator[tuple[NeedKind, str, Array]]:
    """(stream, call, rows) of each standard stream that was used and was never open."""
    if trace.dropped:
        return
    calls, failed = trace.column("call"), trace.column("errno") == _BADF
    known = {life.fd for life in trace.lives.values()} | {life.path for life in trace.lives.values()}
    for fd, name, call in _STREAMS:
        if fd in known or f"<{name}>".encode() in known:
            continue  # it was granted, and closed by the guest
        rows = _with_first_word(trace, failed & (calls == spec.SNAPSHOT1[call].number), fd)
        if len(rows):
            yield name, call, rows


def _streams_missed(trace: Calls, lines: Places) -> Iterator[Refusal]:
    for stream, call, rows in missed_streams(trace):
        event = CallEvent(trace, trace.row(int(rows[0])))
        asked = f"{call}({int(trace.column('args')[rows[0], 0])})"
        sentence = f"{asked} failed: {stream} is not granted"
        yield Refusal(call, asked, DeniedBy.GRANT, sentence, Need(stream), event.seq, _line(event, lines), len(rows))
