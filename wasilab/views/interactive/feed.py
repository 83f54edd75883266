"""What the timeline widget sends to the browser: binary columns, the saved snapshot, and answers to its questions.

Plain functions of a run or trace, without any widget, so that each can be tested by itself. Numbers are sent as
little-endian binary columns, decoded text only for displayed rows; all guest text is made visible before it is sent.
`widget.py` sends it, `js/data/store.js` reads it.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from ...capabilities.refusal import DeniedBy
from ...grants.advice.compare import describe, mode_of
from ...text.escape import shorten, visible
from ...trace.answers.event import CallEvent, data_of
from ...trace.columns.decode import ERRNO_NAMES
from ...trace.columns.merged import passed_on
from ...trace.columns.store import LIFE_BITS
from ...trace.formats.suffixes import TOOLS, WRITABLE
from ...trace.record.functions import BUILT_IN, Functions
from ...trace.record.tables import encodable
from ...trace.trace import Trace
from ...wasi.operations import Operation
from ...wasi.preview1 import spec
from ..endings import mark_of
from ..report.sources import source_lines
from ..subject import Subject, trace_of
from ..timeline.columns import COLOURS, LARGE, Columns, counted_in_bins, standard_stream
from ..timeline.passed import PassedArrow, forged_lanes, lane_name, lent_spans, passed_descriptors
from ..timeline.scene import SIGNS, headline
from .choices import examples_of, facets_of
from .export import file_stem
from .query_box import EXAMPLES

_LOG = logging.getLogger("wasilab")

Question = dict[str, str | int | float]
"""A request from the browser, with its parameters: numbers and texts by name."""
Answer = tuple[dict[str, object], list[bytes]]
"""What is sent to the browser: the message, and its binary buffers."""

SAVED_CALLS = 12_000
"""A run of at most this many calls is saved whole in the notebook; a larger one as an overview."""
BINS = 2048
"""Bins of the overview over the whole span."""
CALLS_A_MESSAGE = 1 << 18
WHOLE_CALLS = 2_000_000
"""The browser holds all calls of a run of at most this many; of a larger one, a window around the visible part."""
WINDOW_CALLS = 1_000_000
SAVED_DETAILS_BYTES = 150_000
MOST_NOTES, NOTE_CHARACTERS = 2000, 500
MOST_LIVES, MOST_OUTPUTS, MOST_LANES = 2000, 500, 400
MOST_PASSED = 2000
"""Passed descriptors that the browser draws: the first ones."""
LAYOUT = (
    ("start", "<f8"), ("dur", "<f4"), ("handle", "<u4"), ("call", "u1"), ("errno", "u1"), ("denied_by", "u1"),
    ("flags", "u1"),
)  # fmt: skip
"""The columns as sent, 20 bytes per call; js/data/store.js reads them in this order."""
REFUSED, FAILED, INJECTED = 1, 2, 4


class Feed:
    """Answers everything that the browser can ask about one run. Rows count from 0, in the order of start."""

    def __init__(self, run: Subject) -> None:
        self.run = run

    @property
    def trace(self) -> Trace:
        """The run's trace, which may have to be read back from a file: it is not held here."""
        return trace_of(self.run)

    @property
    def columns(self) -> Columns:
        """Its columns."""
        return Columns.of(self.run)

    # -- what is sent at once and saved -----------------------------------------------------------------------------

    def meta(self) -> dict[str, object]:
        """What is not a column (the typedef `Meta` of js/data/store.js); JSON."""
        columns = self.columns
        families = list(columns.families)
        return {
            "calls": len(columns),
            "dropped": columns.dropped,
            "span": columns.span,
            "ending": mark_of(self.run),
            "title": shorten(visible(headline(self.run, columns)), 200),
            "file": file_stem(self.run),
            **vocabulary(families, self.trace.functions),
            "instances": [shorten(visible(name), 60) for name in self.trace.store.instances],
            **self.lanes(),
            "output": list(self.outputs()),
            "live": False,
            "snapshots": self.run.snapshots,
            "thin": len(columns) > SAVED_CALLS,
            "bins": BINS,
            "window": WINDOW_CALLS if len(columns) > WHOLE_CALLS else 0,
            "exports": exports(),
            "tools": list(TOOLS),
            "questions": list(EXAMPLES),
            "facets": facets_of(self.trace, "") if len(columns) <= LARGE else [],  # requested when they are opened
        }

    def snapshot(self) -> bytes:
        """What a saved notebook holds of the calls: all columns of a small run, an overview of a large one."""
        if len(self.columns) <= SAVED_CALLS:
            return b"".join(self.calls(0, len(self.columns)))
        return self.overview()

    def calls(self, first: int, count: int = CALLS_A_MESSAGE) -> list[bytes]:
        """The columns of rows first to first + count, a buffer each, in the order that js/data/store.js reads them."""
        part = slice(first, first + count)
        return [packed(self._handles(part) if name == "handle" else getattr(self.columns, name)[part], kind)
                for name, kind in LAYOUT]  # fmt: skip

    def _handles(self, part: slice) -> npt.NDArray[np.uint32]:
        """The column "handle"; in a trace of several instances its upper bits name one even without a descriptor."""
        handles = self.columns.handle[part]
        if not self.trace.store.instances:
            return handles
        order = self.columns.order
        instances = self.trace.column("instance")[part if order is None else order[part]]
        return np.where(handles == 0, instances.astype(np.uint32) << np.uint32(LIFE_BITS), handles)

    def window(self, begin: float, end: float) -> tuple[int, int]:
        """(first row, rows) of up to `WINDOW_CALLS` calls with those from `begin` to `end` ns in their middle."""
        low, high = np.searchsorted(self.columns.start, (int(begin), int(end))).tolist()
        return self.around((low + high) // 2)

    def around(self, row: int) -> tuple[int, int]:
        """(first row, rows) of up to `WINDOW_CALLS` calls with `row` in their middle."""
        first = max(min(row, len(self.columns)) - WINDOW_CALLS // 2, 0)
        return first, min(WINDOW_CALLS, len(self.columns) - first)

    def overview(self) -> bytes:
        """BINS bins over the span for the guest and each family: busy part f4, calls u4, verdicts u1, a table each."""
        columns = self.columns
        edges = np.linspace(0.0, float(columns.span), BINS + 1)
        width = columns.span / BINS
        marked = ((REFUSED, columns.refused), (FAILED, columns.failed), (INJECTED, columns.injected))
        parts = [columns.guest_busy(edges) / width]
        counts = [np.zeros(BINS, np.int64)]
        flags = [np.zeros(BINS, np.uint8)]
        for family, calls in columns.by_family.items():
            parts.append(calls.cover.busy(edges) / width)
            counts.append(counted_in_bins(calls.start, columns.span, BINS))
            met = np.zeros(BINS, np.uint8)
            for bit, mask in marked:
                starts = columns.start[mask & columns.families[family]]
                met[counted_in_bins(starts, columns.span, BINS) > 0] |= bit
            flags.append(met)
        tables = (np.concatenate(parts).astype("<f4"), np.concatenate(counts).astype("<u4"), np.concatenate(flags))
        return b"".join(table.tobytes() for table in tables)

    def saved_details(self) -> dict[str, object]:
        """Details that can be opened without a kernel: the refused calls, the first, the slowest."""
        columns = self.columns
        if not len(columns):
            return {}
        chosen = [
            *np.flatnonzero(columns.refused)[:100].tolist(),
            *range(min(60, len(columns))),
            *columns.slowest(20),
        ]
        kept: dict[str, object] = {}
        room = SAVED_DETAILS_BYTES
        for row in dict.fromkeys(chosen):
            detail = self.detail(row)
            room -= len(json.dumps(detail))
            if room < 0:
                break
            kept[str(row)] = detail
        return kept

    def lanes(self) -> dict[str, object]:
        """The lanes of descriptors, and the arrows between those of descriptors that were passed (js/passed/arrows.js).

        The first `MOST_LANES` of `lives` have a lane each: with more openings, first those that were passed.
        """
        store = self.trace.store
        passed = passed_descriptors(store, self.columns, MOST_PASSED)
        forged, words = forged_lanes(passed), dict[str, int]()

        def word(text: str) -> int:
            return words.setdefault(shorten(text, 160), len(words))

        def lane(each: PassedArrow) -> int:
            refused = not each.receiver and each.sender in forged
            return -1 - forged.index(each.sender) if refused else each.data.sender_life

        rows = [
            (
                each.data.at, word(visible(each.data.call)), word(visible(each.data.sender)), word(each.sender),
                lane(each), word(visible(each.data.receiver)), word(each.receiver), each.data.receiver_life,
                word(visible(", ".join(each.data.withheld))), int(each.data.kept), each.row,
            )
            for each in passed
        ]  # fmt: skip
        ends = [life for each in passed for life in (each.data.sender_life, each.data.receiver_life)]
        found = {
            "words": list(words),
            "rows": rows,
            "more": len(passed_on(store)) - len(rows),
            "forged": [shorten(name, 120) for name in forged],
        }
        return {
            "lives": self.lives(dict.fromkeys(ends), lent_spans(passed)),
            "lanes": MOST_LANES,
            **({"passed": found} if passed else {}),
        }

    def lives(
        self, first: Iterable[int] = (), spans: Mapping[int, tuple[int, int]] = MappingProxyType({})
    ) -> list[dict[str, object]]:
        """The openings of descriptors as bars: life, label, from and to in ns (None: still open in a running run).

        `first`: lives that come before others where there are too many; `spans`: from and to of some.
        """
        columns, store = self.columns, self.trace.store
        end, going_on = columns.span, self.run.running
        known, wanted = list(store.lives.values())[:MOST_LIVES], list(first)
        if wanted:
            early = {life: place for place, life in enumerate(wanted)}
            known = sorted(store.lives.values(), key=lambda life: early.get(life.life, len(early)))[:MOST_LIVES]
            known[:MOST_LANES] = sorted(known[:MOST_LANES], key=lambda life: life.life)

        def at(seq: int, otherwise: int) -> int:
            row = self.row_of(seq)
            return otherwise if row is None else int(columns.start[row])

        return [
            {
                "life": life.life,
                "label": shorten(lane_name(store, life), 120),
                "from": spans[life.life][0] if life.life in spans else at(life.opened_seq, 0),
                "to": spans[life.life][1] if life.life in spans
                else (None if going_on else end) if life.closed_seq < 0 else at(life.closed_seq, end),
            }
            for life in known
        ]  # fmt: skip

    def outputs(self) -> Iterator[tuple[int, int, str, str]]:
        """(row, ns, stream, text) of the writes to stdout and stderr, the first `MOST_OUTPUTS` of them."""
        named = {life.life: standard_stream(life) for life in self.trace.store.lives.values()}
        streams = {life: name for life, name in named.items() if name in ("stdout", "stderr")}
        columns = self.columns
        operations = columns.functions.operations
        writes = [number for number in columns.numbers if operations[number] is Operation.WRITE]
        wanted = np.isin(columns.handle, list(streams)) & np.isin(columns.call, writes)
        rows = np.flatnonzero(wanted & (columns.errno == 0))[:MOST_OUTPUTS]
        written = data_of(self.trace, rows if columns.order is None else columns.order[rows])
        for row, data in zip(rows.tolist(), written, strict=True):
            text = visible(data, lines=True).strip().replace("\n", " ⏎ ")
            yield row, int(columns.start[row]), streams[int(columns.handle[row])], shorten(text, 120)

    # -- rows and calls ----------------------------------------------------------------------------------------------

    def seq_of(self, row: int) -> int:
        """The `seq` of the call of a row: calls are numbered as they ended, rows as they began. ValueError for none."""
        if not 0 <= row < len(self.columns):
            raise ValueError(f"there is no call {row:,}; the trace holds {len(self.columns):,}")
        return int(self.trace.column("seq")[row if self.columns.order is None else self.columns.order[row]])

    def row_of(self, seq: int) -> int | None:
        """The row of a call; None where the trace does not hold it."""
        seqs = self.trace.column("seq")
        at = int(np.searchsorted(seqs, seq))
        if seq < 0 or at >= len(seqs) or int(seqs[at]) != seq:
            return None
        return self._row_at(at)

    def _row_at(self, at: int) -> int:
        """The row of the call at a place of the trace."""
        return at if self.columns.order is None else int(np.flatnonzero(self.columns.order == at)[0])

    def notes(self) -> dict[str, str]:
        """The notes by row, "12", or by first and last row, "3-9"; several on the same calls are joined."""
        return {key: "; ".join(visible(text) for _, _, text in notes) for key, notes in self._noted().items() if key}

    def _noted(self) -> dict[str, list[tuple[int, int, str]]]:
        """The trace's notes by the key of their calls; "" for those on calls that it does not hold."""
        found: dict[str, list[tuple[int, int, str]]] = {}
        notes = self.trace.notes
        if not notes:
            return found
        seqs = self.trace.column("seq")
        for note in notes:
            low, high = int(np.searchsorted(seqs, note[0])), int(np.searchsorted(seqs, note[1], side="right")) - 1
            key = ""
            if low <= high:
                order = self.columns.order
                rows = (low, high)
                if order is not None:
                    rows = tuple(np.flatnonzero((order >= low) & (order <= high))[[0, -1]].tolist())
                key = f"{rows[0]}-{rows[1]}" if note[0] != note[1] else str(rows[0])
            found.setdefault(key, []).append(note)
        return found

    def take_notes(self, notes: Mapping[str, str]) -> None:
        """Make `notes`, written as `notes()` gives them, those of the trace; those on calls that it does not hold stay.

        A note that is what it was stays as it is. What is not a note on calls of the trace is ignored.
        """
        store, had, shown = self.trace.store, self._noted(), self.notes()
        new = list(had.get("", []))
        for key, text in list(notes.items())[:MOST_NOTES]:
            if shown.get(key) == text:
                new += had[key]
                continue
            rows = [int(part) for part in str(key).split("-") if part.isdecimal() and len(part) < 16]
            if "-".join(map(str, rows)) != str(key) or len(rows) not in (1, 2) or not str(text).strip():
                continue
            if max(rows) < len(self.columns) and rows[0] <= rows[-1]:
                part = slice(rows[0], rows[-1] + 1)
                order = self.columns.order
                seqs = self.trace.column("seq")[part if order is None else order[part]]
                new.append((int(seqs.min()), int(seqs.max()), encodable(str(text)[:NOTE_CHARACTERS])))
        store.notes[:] = new

    # -- requests ----------------------------------------------------------------------------------------------------

    def event(self, row: int) -> CallEvent:
        """The call of a row. Raises ValueError for a row that does not exist."""
        if not 0 <= row < len(self.columns):
            raise ValueError(f"there is no call {row:,}; the trace holds {len(self.columns):,}")
        return self.trace[row if self.columns.order is None else int(self.columns.order[row])]

    def rows(self, first: int, count: int) -> list[list[str]]:
        """Arguments and result of `count` rows as text, for the table."""
        last = min(first + min(count, 1000), len(self.columns))
        found = []
        for row in range(max(first, 0), last):
            event = self.event(row)
            args = ", ".join(f"{name}={value}" for name, value in arguments(event, 24))
            found.append([shorten(args, 300), shorten(result(event), 160)])
        return found

    def detail(self, row: int) -> dict[str, object]:
        """Everything about one call (the typedef `Detail` of js/inspector.js); JSON."""
        event = self.event(row)
        call = spec.SNAPSHOT1.get(event.name)
        errno = event.errno_name
        meaning = next((text for code, text in call.errors.items() if code == event.errno), "") if call else ""
        denied = event.denied_by
        stack = [(visible(f.function), visible(f.file or ""), f.line) for f in event.stack]
        data = event.data[:4096]
        return {
            "call": event.name,
            "args": [(name, shorten(value, 2000)) for name, value in arguments(event, 256)],
            "result": shorten(result(event), 2000),
            "errno": errno,
            "meaning": meaning,
            "reason": visible(event.reason),
            "deniedBy": denied.name.lower() if isinstance(denied, DeniedBy) else str(denied),
            "path": shorten(visible(event.path), 4200),
            "capability": capability(self.run, event),
            "moved": event.nbytes,
            "data": base64.b64encode(data).decode("ascii"),
            "cut": event.truncated or len(event.data) > len(data),
            "stack": stack[:64],
            "source": source_lines(self.run, event.stack),
            "note": "; ".join(visible(note) for note in event.notes),
            "examples": examples_of(event),
        }

    def matching(self, expression: str) -> bytes:
        """The calls that satisfy a filter expression, one bit per row, lowest first. Raises QueryError."""
        chosen = self.trace.filter(expression)
        mask = np.zeros(len(self.columns), bool)
        rows = chosen.rows
        if rows is None:
            mask[:] = True
        elif self.trace.rows is None:
            mask[rows] = True
        else:
            mask[np.searchsorted(self.trace.rows, rows)] = True
        if self.columns.order is not None:
            mask = mask[self.columns.order]
        return np.packbits(mask, bitorder="little").tobytes()

    def search(self, text: str, row: int, by: int) -> tuple[int, int, int] | None:
        """The next row after `row` (before it for a negative `by`) whose name, path, errno or reason holds `text`.

        (row, its place among all such rows from 1, how many there are); None where there is none.
        """
        needle = text.casefold().strip()
        trace, columns = self.trace, self.columns
        names = [number for number in range(256) if needle in columns.functions.names[number].casefold()]
        errnos = [number for number in range(256) if needle in ERRNO_NAMES[number].casefold()]
        wheres = [i for i, (full, _) in enumerate(trace.store.targets) if needle in full.casefold()]
        mask = np.isin(columns.call, names)
        if errnos and len(errnos) < 200:
            mask |= np.isin(columns.errno, errnos)
        target_ids = trace.target_ids if columns.order is None else trace.target_ids[columns.order]
        mask |= np.isin(target_ids, wheres)
        for refused in np.flatnonzero(columns.refused & ~mask)[:20_000].tolist():
            mask[refused] = needle in self.event(refused).reason.casefold()
        found = np.flatnonzero(mask)
        if not len(found):
            return None
        if by < 0:
            place = int(np.searchsorted(found, row) - 1) % len(found)
        else:
            place = int(np.searchsorted(found, row, side="right")) % len(found)
        return int(found[place]), place + 1, len(found)


def packed(column: npt.NDArray[np.integer], kind: str) -> bytes:
    """A column as the bytes of another dtype (flags beyond a byte are cut: the browser knows the low ones)."""
    data: bytes = (column & 0xFF if kind == "u1" else column).astype(kind).tobytes()
    return data


def vocabulary(families: list[str], functions: Functions) -> dict[str, object]:
    """The names for the numbers in the columns. `families` are the lanes, in order."""
    order = {family: index for index, family in enumerate(families)}
    return {
        "families": families,
        "names": [
            *([c.name, order.get(c.family, 0), c.url, c.summary] for c in BUILT_IN),
            *(
                [functions.names[n], order.get(functions.families[n], 0), "", _about(functions, n)]
                for n in range(len(BUILT_IN), len(functions) if functions.further else len(BUILT_IN))
            ),
        ],
        "errnos": [*ERRNO_NAMES[:77]],
        "deniedBy": [by.name.lower() for by in DeniedBy],
        "colours": dict(COLOURS),
        "signs": {verdict: asdict(sign) for verdict, sign in SIGNS.items()},
    }


def _about(functions: Functions, number: int) -> str:
    """A sentence about a function of the trace's own list: where it is declared, and its purpose."""
    found = functions.get(number)
    if found is None:
        return ""
    version = f"@{found.version}" if found.version else ""
    return f"{found.operation} ({found.module}{version})"


def arguments(event: CallEvent, limit: int) -> list[tuple[str, str]]:
    """(name, value as text) of each argument; of buffers at most `limit` bytes."""
    return event.argument_texts(strings=limit)


def result(event: CallEvent) -> str:
    """The result as text: the errno's name, or the values returned."""
    if event.errno_name:
        return "did not return" if event.errno_name == "?" else event.errno_name
    values = event.result_texts()
    if len(values) == 1:
        return values[0][1]
    return ", ".join(f"{name}={value}" for name, value in values) or "0"


def capability(run: Subject, event: CallEvent) -> str:
    """The grant that the call used, as text; "" if the run's grants are not available."""
    grants = run.grants
    if grants is None:
        return ""
    if event.family in ("path", "fd") and event.fd is not None:
        path = event.fd.path
        inside = [g for g in grants.dirs if path == g or path.startswith(g.rstrip("/") + "/")]
        if inside:
            guest = max(inside, key=len)
            return visible(f"directory {guest} ({mode_of(grants.dirs[guest])})")
        return visible(path.strip("<>"))
    words = describe(grants).get(event.family, "")
    return visible(f"{event.family}: {words}") if words else ""


def exports() -> list[tuple[str, str]]:
    """(suffix, description) of every format in which a trace can be written here."""
    pictures = [(".timeline.svg", "timeline (.svg)"), (".capabilities.svg", "capabilities (.svg)")]
    return [*((suffix, suffix.lstrip(".")) for suffix in WRITABLE), *pictures]


def answered(content: object, ask: Callable[[str, Question], Answer]) -> Answer | None:
    """The answer to a message from the browser, by `ask(question, content)`; None if the message is not a question.

    An error of `ask` is the answer, so that the browser shows it: a widget's callback has nowhere else to report it.
    """
    if not isinstance(content, dict) or "ask" not in content:
        return None
    number = {"id": content.get("id")}
    try:
        message, buffers = ask(str(content["ask"]), content)
    except Exception as error:  # noqa: BLE001  (see above)
        _LOG.debug("a question of the page failed: %s", content["ask"], exc_info=True)
        return number | {"error": str(error) or type(error).__name__}, []
    return number | message, buffers
