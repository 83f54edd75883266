"""The longest common subsequence of two long sequences of numbers.

For: `diff.py`, which compares 100,000 calls with 100,000. The steps: common prefixes and suffixes are matched. Numbers
that occur in only one sequence are left out, since they match nothing. Long sequences are cut at runs that occur once
in both. Each part between cuts is aligned in a band around the diagonal, which is widened until no better alignment can
lie outside it (Ukkonen 1985). A row of the dynamic programme is one Python integer, a bit for each column (Hyyro,
"Bit-parallel LCS-length computation revisited", 2004). So the time depends on the number of differences, not on the
product of the lengths.

A part that would need a band of more than `CELLS` is aligned within a band of that size: the result is a common
subsequence, but perhaps not a longest one. Not for: the meaning of the numbers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from ..columns.records import Array

Pairs = list[tuple[Array, Array]]
Block = tuple[int, int, int, int]
"""A block of a band: (first row, row after the last, first column, column after the last)."""

ANCHORED = 1 << 24
"""Cells (length of a times length of b) above which the sequences are first cut where a run of eight numbers occurs
once in both: then the result may be a little shorter than the longest."""
CELLS = 1 << 30
"""Cells of the widest band: about 0.2 s."""
SLACK = 1 << 16
"""A part whose lengths differ by more than this is cut into several of the same proportion."""
BAND = 1 << 9
ROWS = 1 << 11
"""Rows whose bits are kept at a time for backtracking."""
_SPARSE = 12
"""Masks with fewer bits are set bit by bit, which is faster."""
_PIECE = 256
"""The minimum number of calls between two cuts."""
_GRAM = 8


def align(a: Array, b: Array) -> tuple[Array, Array]:
    """Indices (into a, into b) of a longest common subsequence, ascending. `a` and `b` are integer arrays."""
    pairs: Pairs = []
    work = [(0, len(a), 0, len(b))]
    while work:
        alo, ahi, blo, bhi = _trim(a, b, *work.pop(), pairs)
        cells = (ahi - alo) * (bhi - blo)
        if not cells:
            continue
        if cells > ANCHORED and (cuts := _cuts(a, b, alo, ahi, blo, bhi)):
            work += cuts
            continue
        # Only numbers that both have can match.
        ia, ib = _common(a[alo:ahi], b[blo:bhi])
        x, y = a[alo:ahi][ia], b[blo:bhi][ib]
        pieces = abs(len(x) - len(y)) // SLACK + 1
        for k in range(pieces):
            xlo, xhi, ylo, yhi = (len(z) * n // pieces for z in (x, y) for n in (k, k + 1))
            i, j = _banded(x[xlo:xhi], y[ylo:yhi])
            pairs.append((ia[i + xlo] + alo, ib[j + ylo] + blo))
    if not pairs:
        empty = np.zeros(0, "<i8")
        return empty, empty
    ia, ib = (np.concatenate(side) for side in zip(*pairs, strict=True))
    order = np.argsort(ia, kind="stable")
    return ia[order], ib[order]


def _trim(a: Array, b: Array, alo: int, ahi: int, blo: int, bhi: int, pairs: Pairs) -> tuple[int, int, int, int]:
    """Match the common prefix and suffix of the ranges; return the remaining ranges."""
    n = min(ahi - alo, bhi - blo)
    differ = np.flatnonzero(a[alo : alo + n] != b[blo : blo + n])
    same = int(differ[0]) if len(differ) else n
    if same:
        pairs.append((np.arange(alo, alo + same), np.arange(blo, blo + same)))
        alo, blo, n = alo + same, blo + same, n - same
    differ = np.flatnonzero(a[ahi - n : ahi] != b[bhi - n : bhi])
    same = n - 1 - int(differ[-1]) if len(differ) else n
    if same:
        pairs.append((np.arange(ahi - same, ahi), np.arange(bhi - same, bhi)))
        ahi, bhi = ahi - same, bhi - same
    return alo, ahi, blo, bhi


def _common(a: Array, b: Array) -> tuple[Array, Array]:
    """The positions in each of numbers that the other also has."""
    return np.flatnonzero(np.isin(a, b)), np.flatnonzero(np.isin(b, a))


# -- a band around the diagonal ----------------------------------------------------------------------------------------


def _banded(a: Array, b: Array) -> tuple[Array, Array]:
    """Align `a` with `b` in a band that is widened until no better alignment can lie outside it.

    For a no shorter than b, the band holds the cells (i, j) of b and a with -t <= j - i <= len(a) - len(b) + t. An
    alignment that leaves it has at least len(a) - len(b) + 2 * t + 2 calls without a partner.
    """
    if len(a) < len(b):
        ib, ia = _banded(b, a)
        return ia, ib
    n, m = len(a), len(b)
    t = BAND
    while True:
        band = _Band(a, b, t)
        needed = m - band.length()  # no better alignment lies outside this band
        if t >= min(needed, m) or m * (n - m + 8 * t + ROWS) > CELLS:
            return band.aligned()
        t = min(4 * t, needed)


class _Band:
    """The dynamic programme of `a` against `b`, of which the cells in a band may match.

    Rows of bits are kept for some thousands of rows at a time: in a first pass only the row before each such block, in
    a second, from the last block to the first, the rows of the block that is walked back through. A block's window is
    as many columns of `a` as the band crosses in it.
    """

    def __init__(self, a: Array, b: Array, t: int) -> None:
        self.a, self.b = a, b
        self.blocks: list[Block] = []
        slack = len(a) - len(b)
        for row in range(0, len(b), ROWS):
            end = min(row + ROWS, len(b))
            self.blocks.append((row, end, max(row - t, 0), min(end + slack + t, len(a))))
        self.before: list[int] = []
        """The row of bits before each block."""

    def length(self) -> int:
        """The length of the longest common subsequence within the band."""
        row, start, end = 0, 0, 0
        zeros = 0
        for block in self.blocks:
            _, _, low, high = block
            zeros += (low - start) - (row & ((1 << (low - start)) - 1)).bit_count()
            # Columns new to the window have no matches yet: their bits are 1.
            row = row >> (low - start) | ((1 << (high - end)) - 1) << (end - low)
            self.before.append(row)
            row = deque(self._rows(block, row), maxlen=1).pop()
            start, end = low, high
        return zeros + (end - start) - row.bit_count()

    def aligned(self) -> tuple[Array, Array]:
        """Indices (into a, into b) of a longest common subsequence within the band, once its length was asked for."""
        i, j = len(self.b), len(self.a)
        found: list[tuple[int, int]] = []
        for block, row in zip(reversed(self.blocks), reversed(self.before), strict=True):
            i, j = self._walk(block, row, i, j, found)
        pairs = np.array(found[::-1], "<i8").reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]

    def _rows(self, block: Block, row: int) -> Iterator[int]:
        """The row of bits after each row of a block: bit j is 0 where a match makes the subsequence longer."""
        first, last, low, high = block
        full = (1 << (high - low)) - 1
        masks = self._masks(block)
        for value in self.b[first:last].tolist():
            hits = row & masks[value]
            if hits:
                row = ((row + hits) | (row ^ hits)) & full
            yield row

    def _masks(self, block: Block) -> dict[int, int]:
        """For each number in the rows of a block, an integer with a bit set where the window holds it."""
        first, last, low, high = block
        window = self.a[low:high]
        order = np.argsort(window, kind="stable")
        values = np.unique(self.b[first:last])
        starts = np.searchsorted(window[order], values).tolist()
        ends = np.searchsorted(window[order], values, "right").tolist()
        places = order.tolist()
        masks: dict[int, int] = {}
        for value, start, end in zip(values.tolist(), starts, ends, strict=True):
            if end - start <= _SPARSE:
                mask = 0
                for place in places[start:end]:
                    mask |= 1 << place
            else:
                bits = np.zeros(len(window) + -len(window) % 8, "u1")
                bits[order[start:end]] = 1
                mask = int.from_bytes(np.packbits(bits, bitorder="little").tobytes(), "little")
            masks[value] = mask
        return masks

    def _walk(
        self, block: Block, row: int, i: int, j: int, found: list[tuple[int, int]]
    ) -> tuple[int, int]:
        """Walk back through a block from (row i, column j), noting the matches; where that ends."""
        first, _, low, high = block
        size = (high - low + 7) // 8
        rows = [one.to_bytes(size, "little") for one in self._rows(block, row)]
        left, right = self.a[low:high].tolist(), self.b[first:i].tolist()
        i, j = i - first, min(j, high) - low  # beyond the window nothing matches
        while i and j:
            if left[j - 1] == right[i - 1]:
                i, j = i - 1, j - 1
                found.append((j + low, i + first))
            elif rows[i - 1][(j - 1) >> 3] >> ((j - 1) & 7) & 1:
                j -= 1
            else:
                i -= 1
        return first, j + low


# -- places to cut -----------------------------------------------------------------------------------------------------


def _cuts(a: Array, b: Array, alo: int, ahi: int, blo: int, bhi: int) -> list[tuple[int, int, int, int]]:
    """Smaller ranges of both; [] if there is no good place to cut."""
    points = [(alo + i, blo + j) for i, j in _anchors(a[alo:ahi], b[blo:bhi])]
    if not points:
        return []
    return [(p[0], q[0], p[1], q[1]) for p, q in pairwise([(alo, blo), *points, (ahi, bhi)])]


def _anchors(a: Array, b: Array) -> list[tuple[int, int]]:
    """Places of runs that occur once in a and once in b, as a longest ascending chain (patience)."""
    if min(len(a), len(b)) < 2 * _GRAM:
        return []
    values_a, places_a = _once(_grams(a))
    values_b, places_b = _once(_grams(b))
    _, ia, ib = np.intersect1d(values_a, values_b, assume_unique=True, return_indices=True)
    order = np.argsort(places_a[ia])
    chain = _ascending(places_a[ia][order].tolist(), places_b[ib][order].tolist())
    if 8 * len(chain) < min(len(a), len(b)):  # a few coincidences in otherwise different sequences
        return []
    return _spread(chain)


def _spread(chain: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """A selection of the places, such that the ranges are quick to align, with both sides of each jump."""
    found = [(0, 0)]
    before = found[0]
    for i, j in chain:
        if i - found[-1][0] >= _PIECE or j - found[-1][1] >= _PIECE:
            if before != found[-1]:
                found.append(before)
            if (i, j) != found[-1]:
                found.append((i, j))
        before = i, j
    return found[1:]


def _once(grams: Array) -> tuple[Array, Array]:
    """The runs that occur once, and their positions."""
    values, places, counts = np.unique(grams, return_index=True, return_counts=True)
    return values[counts == 1], places[counts == 1]


def _grams(a: Array) -> Array:
    mixed = np.zeros(len(a) - _GRAM + 1, "<u8")
    for k in range(_GRAM):
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + a[k : len(a) - _GRAM + 1 + k].astype("<u8") + np.uint64(1)
    return mixed


def _ascending(first: list[int], second: list[int]) -> list[tuple[int, int]]:
    """The longest chain of pairs (the first ascends) in which the second ascends, too."""
    tops: list[int] = []
    at: list[int] = []
    before = [-1] * len(first)
    for i, j in enumerate(second):
        k = bisect_left(tops, j)
        if k == len(tops):
            tops.append(j)
            at.append(i)
        else:
            tops[k], at[k] = j, i
        before[i] = at[k - 1] if k else -1
    chain = []
    i = at[-1] if at else -1
    while i >= 0:
        chain.append((first[i], second[i]))
        i = before[i]
    return chain[::-1]
