"""The file tree, the call tree and the capability graph as the widget takes them, all text made visible or escaped."""

from __future__ import annotations

from ...text.escape import shorten, visible
from ...trace.maps.call_tree import CallTree
from ...trace.maps.file_tree import FileTree, FileUse
from ..maps.graph_svg import graph_svg
from ..subject import Subject, trace_of

SAVED_CALLS = 12_000
"""The maps of a run of at most this many calls are saved in the notebook; those of a larger one are requested."""
SAVED_PATHS = 300


def maps_of(run: Subject, paths: int = 3000) -> dict[str, object]:
    """{"files": the tree as rows, "more": paths left out, "graph": SVG}."""
    tree = FileTree.from_calls(trace_of(run))
    rows: list[tuple[int, str, str, str, int, int, int, int, int, bool]] = []
    for depth, use in tree:
        if len(rows) == paths:
            break
        rows.append(_row(depth, use))
    total = sum(1 for _ in tree) + tree.more
    return {"files": rows, "more": total - len(rows), "graph": graph_svg(run), "stacks": _stacks(run, paths)}


def _stacks(run: Subject, most: int) -> dict[str, object]:
    """The call tree as rows (the typedef `Frame` of js/flame/layout.js)."""
    tree = CallTree.from_calls(trace_of(run))
    frames: list[tuple[int, str, str, str, bool, int, int, int, int]] = []
    for depth, node in tree:
        if len(frames) == most:
            break
        frames.append((
            depth, shorten(visible(node.name), 120), shorten(visible(node.place), 80), node.term, not node.leaf,
            node.time, node.calls, node.bytes, node.refused,
        ))  # fmt: skip
    return {"frames": frames, "without": tree.without}


def saved_maps(run: Subject) -> dict[str, object]:
    """The maps saved in a notebook; {} for a large run."""
    if run.running or len(trace_of(run)) > SAVED_CALLS:
        return {}
    return maps_of(run, SAVED_PATHS)


def _row(depth: int, use: FileUse) -> tuple[int, str, str, str, int, int, int, int, int, bool]:
    """The typedef `Row` of js/maps/files.js."""
    return (
        depth, shorten(visible(use.name), 120), use.words, use.term, use.calls, use.bytes_read, use.bytes_written,
        use.refused, use.failed, bool(use.children),
    )  # fmt: skip
