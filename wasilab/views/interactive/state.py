"""The state of a run at one of its calls, as the widget's panel takes it (js/travel/): JSON, all text made visible."""

from __future__ import annotations

import base64

import numpy as np

from ...text.escape import shorten, visible
from ...text.numbers import counted, size
from ...trace.moments.moment import FileThen, Moment, OutputThen, offset_words, rights_words, size_words
from ..report.sources import source_lines
from ..subject import Subject

MOST_DESCRIPTORS, MOST_FILES, MOST_CONTENTS = 200, 100, 24
CONTENT_CHARACTERS, OUTPUT_CHARACTERS = 1500, 2000
MOST_PARTS, PART_BYTES, NEAR = 40, 64, 16
"""Changed parts of memory that are shown, bytes of each, and how near two changes belong to one part."""


def state_of(run: Subject, seq: int) -> dict[str, object]:
    """The state when call `seq` had returned (the typedef `State` of js/travel/state.js).

    Raises IndexError, with a message, for a call that does not exist.
    """
    moment = run.history.at(seq)
    files = sorted(moment.files, key=lambda file: (file.change == "", file.path))
    return {
        "seq": seq,
        "time": moment.time,
        "call": shorten(visible(moment.call), 400),
        "source": source_lines(run, run.history.stack(seq)),
        "descriptors": [_descriptor(moment, at) for at in range(min(len(moment.descriptors), MOST_DESCRIPTORS))],
        "grants": [(visible(grant.name), shorten(visible(grant.words), 160), grant.state) for grant in moment.grants],
        "files": [_file(file, at < MOST_CONTENTS) for at, file in enumerate(files[:MOST_FILES])],
        "more": {
            "descriptors": max(len(moment.descriptors) - MOST_DESCRIPTORS, 0),
            "files": max(len(files) - MOST_FILES, 0),
        },
        "stdout": _output(moment.stdout),
        "stderr": _output(moment.stderr),
    }


def memory_of(run: Subject, seq: int, since: int) -> dict[str, object]:
    """What changed in linear memory from call `since` to call `seq` (`MemoryChange` of js/travel/memory.js).

    The memory is rebuilt by replays. Raises ValueError (`CannotReplay`) where the run does not hold what they need.
    """
    now = run.history.at(seq).memory
    before = now if since == seq else run.history.at(since).memory
    parts, changed = _changed(before, now)
    more = len(now) - len(before)
    return {
        "seq": seq,
        "since": since,
        "size": size(len(now)),
        "grown": f"{size(abs(more))} {'more' if more > 0 else 'less'}" if more else "",
        "changed": counted(changed, "byte"),
        "parts": [
            (start, end, _sent(before[start : start + PART_BYTES]), _sent(now[start : start + PART_BYTES]))
            for start, end in parts[:MOST_PARTS]
        ],
        "more": max(len(parts) - MOST_PARTS, 0),
    }


def _sent(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _changed(before: bytes, now: bytes) -> tuple[list[tuple[int, int]], int]:
    """([(start, end) of each changed part], how many bytes changed); new memory counts where it is not zero."""
    length = min(len(before), len(now))
    first, second = np.frombuffer(before, np.uint8)[:length], np.frombuffer(now, np.uint8)
    places = np.concatenate((np.flatnonzero(first != second[:length]), length + np.flatnonzero(second[length:])))
    if not len(places):
        return [], 0
    breaks = np.flatnonzero(np.diff(places) > NEAR)
    starts = places[np.concatenate(([0], breaks + 1))]
    ends = places[np.concatenate((breaks, [len(places) - 1]))] + 1
    return list(zip(starts.tolist(), ends.tolist(), strict=True)), len(places)


def _descriptor(moment: Moment, at: int) -> tuple[object, ...]:
    one = moment.descriptors[at]
    return (
        one.life, str(one.fd), shorten(visible(one.path), 200), one.kind, offset_words(one),
        shorten(rights_words(one), 300), shorten(visible(one.instance), 40),
    )  # fmt: skip


def _file(file: FileThen, with_content: bool) -> tuple[str, str, str, str]:
    return shorten(visible(file.path), 200), size_words(file), file.change, _content(file) if with_content else ""


def _content(file: FileThen) -> str:
    """The beginning of a file as text, with missing bytes counted in brackets; "" if nothing is known."""
    content = file.content if not file.directory and file.change != "deleted" else None
    if content is None:
        return ""
    text = ""
    for piece in content.pieces():
        text += f"[{counted(piece, 'byte')} not kept]" if isinstance(piece, int) else visible(piece, lines=True)
        if len(text) > CONTENT_CHARACTERS:
            return f"{text[:CONTENT_CHARACTERS]}…"
    return text


def _output(output: OutputThen) -> tuple[str, str]:
    """(size, end of the text)."""
    if not output.length:
        return "", ""
    text = visible(output.data[-OUTPUT_CHARACTERS:], lines=True)
    cut = len(output.data) > OUTPUT_CHARACTERS or not output.whole
    return size(output.length), ("…" if cut else "") + text
