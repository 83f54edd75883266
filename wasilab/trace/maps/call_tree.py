"""The recorded guest stacks as a tree, with the host time, calls and bytes of each function.

For: the flame graph, speedscope and folded stacks. Calls without a stack are children of the root. Recursion deeper
than `DEEPEST` frames is cut; the innermost frames are kept. Not for: source lines (`answers/source_lines.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal

import numpy as np

from ...text.escape import shorten, visible
from ...text.numbers import duration
from ..calls import Calls
from ..filter.by_example import call_term, function_term

Weight = Literal["time", "calls", "bytes"]
"""The weight of a node: ns in the host, calls, or bytes read and written."""
DEEPEST = 200


@dataclass(slots=True)
class CallNode:
    """A function of the guest or, as a leaf, a call. Figures include its callees. Times in ns."""

    name: str
    """Not safe to print (`text.escape.visible`)."""
    place: str = ""
    """"copy.c", the file of the function, if known."""
    leaf: bool = False
    calls: int = 0
    time: int = 0
    bytes: int = 0
    refused: int = 0
    children: dict[tuple[str, bool], CallNode] = field(default_factory=dict)

    @property
    def term(self) -> str:
        """The filter for its calls: those with the function anywhere on their stack."""
        return call_term(self.name) if self.leaf else function_term(self.name)


@dataclass(frozen=True)
class CallTree:
    """The stacks of some calls as a tree. `without` counts the calls whose stack was not taken."""

    root: CallNode
    without: int

    @classmethod
    def from_calls(cls, calls: Calls) -> CallTree:
        """The tree of these calls."""
        return _tree(calls)

    def __iter__(self) -> Iterator[tuple[int, CallNode]]:
        """(depth, node), the most expensive first, each before its callees."""
        todo = [(0, self.root)]
        while todo:
            depth, node = todo.pop()
            if node is not self.root:
                yield depth - 1, node
            todo += [(depth + 1, child) for child in sorted(node.children.values(), key=lambda one: one.time)]

    def stacks(self) -> Iterator[tuple[list[CallNode], CallNode]]:
        """(frames from the outermost, leaf) of each distinct stack of a call."""
        above: list[CallNode] = []
        for depth, node in self:
            del above[depth:]
            if node.leaf:
                yield list(above), node
            above.append(node)

    def folded(self, weight: Weight = "time") -> str:
        """One line per stack, `main;copy;fd_read 1234`, for flame graph tools."""
        lines = (f"{';'.join(frame_name(one) for one in [*frames, leaf])} {getattr(leaf, weight)}"
                 for frames, leaf in self.stacks())  # fmt: skip
        return "".join(f"{line}\n" for line in lines)

    def __str__(self) -> str:
        lines = [
            f"{duration(node.time):>9} {node.calls:>9,}  {'  ' * depth}{shorten(visible(node.name), 80)}"
            for depth, node in self
        ]
        more = [f"... {len(lines) - 400:,} more"] if len(lines) > 400 else []
        return "\n".join([f"{'time':>9} {'calls':>9}  function", *lines[:400], *more])

    __repr__ = __str__


def frame_name(node: CallNode) -> str:
    """The name of a frame in folded stacks: safe to print, without separators."""
    return visible(node.name).replace(";", ":").replace("\n", " ") or "?"


def _tree(calls: Calls) -> CallTree:
    stack, call = calls.column("stack").astype(np.int64), calls.column("call")
    keys, inverse = np.unique(stack * 256 + call, return_inverse=True)

    def total(weights: object) -> list[int]:
        found = np.bincount(inverse, weights=np.asarray(weights, np.float64), minlength=len(keys))
        return list(np.minimum(found, 2.0**62).astype(np.int64).tolist())

    figures = zip(
        keys.tolist(), np.bincount(inverse, minlength=len(keys)).tolist(), total(calls.column("dur")),
        total(np.minimum(calls.column("nbytes"), np.uint64(1 << 50))), total(calls.column("denied_by") != 0),
        strict=True,
    )  # fmt: skip
    root, names, without = CallNode(""), calls.functions.names, 0
    for key, count, time, moved, refused in figures:
        frames = calls.store.stack(key >> 8)[:DEEPEST]
        without += 0 if frames else count
        here = root
        path = [root]
        for function, _, file, _ in reversed(frames):
            place = PurePosixPath(file).name if file else ""
            here = here.children.setdefault((function, False), CallNode(function, place))
            path.append(here)
        name = names[key & 255]
        path.append(here.children.setdefault((name, True), CallNode(name, leaf=True)))
        for node in path:
            node.calls += count
            node.time += time
            node.bytes += moved
            node.refused += refused
    return CallTree(root, without)
