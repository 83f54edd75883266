"""Two runs on one axis as a widget: a thin link between `comparison/compared.py` and `js/pair/pair.js`.

A notebook saves what is needed to look at the difference without a kernel: the calls of two small runs, the first
differences as text, the details of some. The rest is requested by custom messages, as by the timeline. Callbacks never
print: an error is sent as an answer.
"""

from __future__ import annotations

import json
import secrets

import anywidget
import numpy as np
import traitlets

from ...text.escape import shorten, visible
from ...trace.answers.diff import ChangeKind
from ..comparison.compared import SIGN, WORDS, Compared
from ..comparison.pair_html import CALL_LETTERS, PAIRS_SAVED, comparison_bundle
from ..ipython import shell
from ..report.page import unless_alive
from ..timeline.scene import headline
from .cells import remember
from .feed import CALLS_A_MESSAGE, Answer, Feed, Question, answered, vocabulary
from .module_js import module, style

SAVED_CALLS = 9_000
"""The calls of two runs are saved in the notebook if they are at most this many together."""
SAVED_BYTES = 80_000
"""Bytes of details saved."""
MOST_CALLS = 1_000_000
"""The calls of each run that the browser holds: of a longer run, the first."""


class PairWidget(anywidget.AnyWidget):
    """Two runs on one axis, with their differences marked. In a notebook, a difference as the value of a cell shows it.

    `self.compared` is what is shown.
    """

    _esm = traitlets.Unicode().tag(sync=True)
    _key = traitlets.Unicode().tag(sync=True)
    _style = traitlets.Unicode().tag(sync=True)
    _meta = traitlets.Dict().tag(sync=True)
    _columns = traitlets.List(traitlets.Bytes()).tag(sync=True)
    _rows = traitlets.List(traitlets.Tuple()).tag(sync=True)
    _details = traitlets.Dict().tag(sync=True)

    def __init__(self, compared: Compared) -> None:
        self.compared = compared
        self.feeds = Feed(compared.first), Feed(compared.second)
        small = sum(len(feed.columns) for feed in self.feeds) <= SAVED_CALLS
        super().__init__(
            _esm=module("pair"), _style=style(), _key=secrets.token_hex(8), _meta=self._described(),
            _columns=[b"".join(self.calls(side, 0, MOST_CALLS)) for side in (0, 1)] if small else [],
            _rows=self.pairs(PAIRS_SAVED), _details=self._saved_details(),
        )  # fmt: skip
        self.on_msg(self._answer)

    def display(self) -> None:
        """Show the widget in the cell, after the static form, which is visible where the widget is not connected."""
        from IPython.display import display

        remember(shell(), self.close)
        bundle = comparison_bundle(self.compared)
        saved = {**bundle, "text/html": unless_alive(self._key, bundle["text/html"])}
        display(saved, raw=True)  # type: ignore[no-untyped-call]
        kind = "application/vnd.jupyter.widget-view+json"
        view = {kind: {"version_major": 2, "version_minor": 0, "model_id": self.model_id}}
        display(view, raw=True)  # type: ignore[no-untyped-call]

    def _described(self) -> dict[str, object]:
        """What is not a column (the typedef `Pairing` of js/pair/pair.js)."""
        compared, families = self.compared, self.compared.families
        sides = [
            {
                "calls": min(len(feed.columns), MOST_CALLS), "whole": len(feed.columns),
                "dropped": feed.columns.dropped, "span": feed.columns.span,
                "title": shorten(visible(headline(feed.run, feed.columns)), 200),
                **vocabulary(families, feed.trace.functions),
            }
            for feed in self.feeds
        ]  # fmt: skip
        difference = compared.difference
        return {
            "sides": sides,
            "names": compared.names,
            "headline": visible(difference.headline()),
            "remarks": [visible(line) for line in difference.remarks()],
            "rows": len(difference.kinds),
            "differences": len(difference),
            "signs": {kind.name.lower(): [SIGN.get(kind, ""), WORDS[kind]] for kind in ChangeKind},
            "most": MOST_CALLS,
        }

    def calls(self, side: int, first: int, count: int) -> list[bytes]:
        """The columns of calls, and the row in the difference (u4) and kind (u1) of each."""
        part = slice(first, first + count)
        rows = self.compared.rows[side][part]
        kinds = self.compared.difference.kinds[rows]
        return [*self.feeds[side].calls(first, count), rows.astype("<u4").tobytes(), kinds.astype("u1").tobytes()]

    def pairs(self, most: int) -> list[tuple[int, str, str, str, str]]:
        """(row, kind, words, first call, second call) of the first differences."""
        compared, rows = self.compared, self.compared.differing(most)
        return [
            (
                row, compared.kind(row).name.lower(), compared.words(row), shorten(visible(first), CALL_LETTERS),
                shorten(visible(second), CALL_LETTERS),
            )
            for row, (_, first, second) in zip(rows, compared.difference.lines(rows), strict=True)
        ]  # fmt: skip

    def pair(self, row: int) -> dict[str, object]:
        """Both calls of a row in full (the typedef `Pair` of js/pair/pair.js)."""
        kind = self.compared.kind(row)
        places = [int(side[row]) for side in self.compared.places]
        return {
            "row": row,
            "kind": kind.name.lower(),
            "words": self.compared.words(row),
            "sides": [None if at < 0 else feed.detail(at) for feed, at in zip(self.feeds, places, strict=True)],
            "places": places,
        }

    def _saved_details(self) -> dict[str, object]:
        kept: dict[str, object] = {}
        room = SAVED_BYTES
        for row in self.compared.differing(60):
            detail = self.pair(row)
            room -= len(json.dumps(detail))
            if room < 0:
                break
            kept[str(row)] = detail
        return kept

    def _next(self, row: int, by: int) -> int:
        """The next row after `row` that differs (before it for a negative `by`), -1 for none."""
        rows = np.flatnonzero(self.compared.difference.kinds)
        at = int(np.searchsorted(rows, row, side="right")) if by > 0 else int(np.searchsorted(rows, row)) - 1
        return int(rows[at]) if 0 <= at < len(rows) else -1

    def _answer(self, _widget: object, content: object, _buffers: object) -> None:
        """Answer one request from the browser; any error is shown there, never lost."""
        found = answered(content, self._ask)
        if found is not None:
            self.send(*found)

    def _ask(self, ask: str, content: Question) -> Answer:
        match ask:
            case "calls":
                side, first = int(bool(content["side"])), max(int(content["first"]), 0)
                held = min(len(self.feeds[side].columns), MOST_CALLS)
                count = max(min(CALLS_A_MESSAGE, held - first), 0)
                return {"first": first, "count": count}, self.calls(side, first, count)
            case "pair":
                return {"pair": self.pair(int(content["row"]))}, []
            case "next":
                return {"row": self._next(int(content["row"]), int(content["by"]))}, []
            case _:
                raise ValueError(f"the comparison does not know the question {ask!r}")
