"""The layout of a capability graph: one column per step from the program, one row per thing, and the texts.

Shared by the SVG and the matplotlib figure. Nothing here draws.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...text.escape import shorten, visible
from ...text.numbers import counted
from ...trace.maps.origins import Origin, Origins
from ..subject import Subject, trace_of

ROW, BOX = 40, 28
"""Height of a row and of a box in it."""
LETTER = 6.7
"""Width of a letter of the boxes' text."""
COLUMN_GAP = 150
"""The gap between two columns, for the labels of edges."""
MARGIN = 8
LABEL, EDGE = 30, 23
"""The most letters in a box and on an edge."""


@dataclass(frozen=True, slots=True)
class GraphBox:
    """A placed thing. Pixels from the top left."""

    origin: Origin
    label: str
    told: str
    """A sentence with everything known about it."""
    x: float
    y: float
    width: float

    @property
    def middle(self) -> float:
        return self.y + BOX / 2


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """An edge from a node to one that originates from it."""

    start: GraphBox
    end: GraphBox
    words: str
    refused: bool


@dataclass(frozen=True)
class Arranged:
    """The whole picture."""

    boxes: tuple[GraphBox, ...]
    lines: tuple[GraphEdge, ...]
    width: float
    height: float
    more: int
    words: str
    """A description of the picture for screen readers."""


def arranged(run: Subject) -> Arranged:
    """The capability graph of a run."""
    origins = Origins.from_calls(trace_of(run), run.name or "program")
    columns: dict[int, float] = {}
    rows = _rows(origins)
    for one, (depth, _) in rows.items():
        columns[depth] = max(columns.get(depth, 0.0), _width(one, depth))
    left = {depth: MARGIN + sum(columns[d] + COLUMN_GAP for d in range(depth)) for depth in columns}
    boxes = {
        one: GraphBox(one, _label(one), _told(one), left[depth], MARGIN + row * ROW, _width(one, depth))
        for one, (depth, row) in rows.items()
    }
    lines = tuple(
        GraphEdge(boxes[one], boxes[child], shorten(visible(child.edge), EDGE), child.kind == "refused")
        for one in boxes
        for child in one.children
    )
    width = max(box.x + box.width for box in boxes.values()) + MARGIN
    height = max(box.y for box in boxes.values()) + BOX + MARGIN
    refused = sum(box.origin.kind == "refused" for box in boxes.values())
    words = f"Capabilities of {visible(run.name or 'the program')}: {counted(len(boxes) - 1, 'thing')}" + (
        f", {refused:,} refused" if refused else ""
    )
    return Arranged(tuple(boxes.values()), lines, width, height, origins.more, words)


def _rows(origins: Origins) -> dict[Origin, tuple[int, float]]:
    """Thing -> (column, row): leaves below each other, every other thing centred on what came from it."""
    order = list(origins.all())
    depth = {origins.program: 0}
    for one in order:
        for child in one.children:
            depth[child] = depth[one] + 1
    rows: dict[Origin, float] = {}
    leaf = 0
    for one in order:
        if not one.children:
            rows[one] = leaf
            leaf += 1
    for one in reversed(order):
        if one.children:
            rows[one] = (rows[one.children[0]] + rows[one.children[-1]]) / 2
    return {one: (depth[one], rows[one]) for one in order}


def _width(one: Origin, depth: int) -> float:
    """Pixels of a box; the program's text is bold."""
    return len(_label(one)) * LETTER * (1.0 if depth else 1.12) + 22


def _label(one: Origin) -> str:
    times = f" ×{one.openings}" if one.openings > 1 else ""
    return shorten(visible(one.label), LABEL) + times


def _told(one: Origin) -> str:
    edge = f"may {visible(one.edge)}" if one.edge else ""
    parts = [visible(one.label), "refused" if one.kind == "refused" else "granted" if one.kind == "grant" else "",
             visible(one.edge) if one.kind == "refused" else edge, "" if one.kind == "refused" else one.use,
             counted(one.calls, "call") if one.calls else ""]  # fmt: skip
    return ", ".join(part for part in parts if part)
