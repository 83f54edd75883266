"""A student's notebook and a new version of the lesson, merged by cells, from the version that the student began with.

The student's work is never changed: a cell that was edited or added stays as it is, one that was deleted stays away.
All other cells become those of the new version. A cell of the student is the lesson's cell with the same id. A cell of
the old version is that of the new one with the same text, or else with the same id: ids may be numbers of places. A
cell that the lesson has moved counts as removed and added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from ..notebook_file import NotebookCell


@dataclass(frozen=True, slots=True)
class Merged:
    """The cells of the merged notebook, and what became of the lesson's changes."""

    cells: list[NotebookCell]
    updated: int
    """Cells that the new version changed, added or removed."""
    kept: int
    """Cells of the student that the new version has changed as well: they stay as they are."""


def source_of(cell: NotebookCell) -> str:
    """The text of a cell."""
    source = cell.get("source", "")
    if isinstance(source, list):
        return "".join(line for line in source if isinstance(line, str))
    return source if isinstance(source, str) else ""


def merge(mine: Sequence[NotebookCell], base: Sequence[NotebookCell], new: Sequence[NotebookCell]) -> Merged:
    """The student's cells `mine`, which began as `base`, with what `new` changes."""
    successor = _successors(base, new)
    by_id = {str(cell.get("id")): at for at, cell in enumerate(base)}
    out: list[NotebookCell] = []
    places: dict[int, int] = {}
    """Of each cell of the new version that is in `out`, or whose place a cell of the student has: where."""
    seen: set[int] = set()
    updated = kept = 0
    for cell in mine:
        origin = by_id.get(str(cell.get("id")))
        if origin is None or origin in seen:
            out.append(cell)
            continue
        seen.add(origin)
        target = successor.get(origin)
        if target is not None:
            places[target] = len(out)
        if _same(cell, base[origin]):
            if target is None:
                updated += 1
                continue
            same = _same(base[origin], new[target])
            updated += not same
            out.append({**new[target], **_results(cell)} if same else dict(new[target]))
        else:
            kept += target is None or not _same(base[origin], new[target])
            out.append(cell)
    known = set(successor.values())
    for at in reversed(range(len(new))):
        if at in known:
            continue
        before = max((place for target, place in places.items() if target < at), default=-1)
        out.insert(before + 1, dict(new[at]))
        places = {target: place + (place > before) for target, place in places.items()}
        updated += 1
    return Merged(_with_ids(out), updated, kept)


def _successors(base: Sequence[NotebookCell], new: Sequence[NotebookCell]) -> dict[int, int]:
    """Of each cell of the old version the cell of the new one, by their places."""
    old, texts = ([f"{cell.get('cell_type')}\0{source_of(cell)}" for cell in cells] for cells in (base, new))
    found: dict[int, int] = {}
    for a, b, n in SequenceMatcher(None, old, texts, autojunk=False).get_matching_blocks():
        found.update((a + i, b + i) for i in range(n))
    by_id = {str(cell.get("id")): at for at, cell in enumerate(new)}
    latest = -1
    for at, cell in enumerate(base):
        if at not in found:
            target = by_id.get(str(cell.get("id")), -1)
            later = min((place for origin, place in found.items() if origin > at), default=len(new))
            if not latest < target < later:
                continue
            found[at] = target
        latest = found[at]
    return found


def _same(a: NotebookCell, b: NotebookCell) -> bool:
    return a.get("cell_type") == b.get("cell_type") and source_of(a).rstrip() == source_of(b).rstrip()


def _results(cell: NotebookCell) -> Mapping[str, object]:
    """What a cell's last execution left in it."""
    return {name: cell[name] for name in ("outputs", "execution_count") if name in cell}


def _with_ids(cells: list[NotebookCell]) -> list[NotebookCell]:
    """The cells with ids that differ: a later one that has an earlier one's id gets another."""
    used: set[str] = set()
    for at, cell in enumerate(cells):
        id = wanted = str(cell.get("id") or f"cell-{at}")
        number = 1
        while id in used:
            number += 1
            id = f"{wanted[:56]}-{number}"
        used.add(id)
        if id != cell.get("id"):
            cells[at] = {**cell, "id": id}
    return cells
