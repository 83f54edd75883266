"""The longest common subsequence of two long sequences of numbers, quickly.

For: `diff.py`, which asks it of 100,000 calls against 100,000. One row of the dynamic programme is one Python integer,
a bit a column (the recurrence is Hyyro's, "Bit-parallel LCS-length computation revisited", 2004), and the rows that
would not fit in memory are found again by Hirschberg's halving. So the worst case, two long traces with nothing in
their favour, costs three seconds. Long sequences are first cut at runs that occur once in both.
Not for: what the numbers mean.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
LEAF = 1 << 22
"""Cells (length of a times length of b) below which all rows are kept and walked back."""
ANCHORED = 1 << 26
"""Cells above which the sequences are first cut where a run of eight numbers occurs once in both, as a person would:
then the result is a common subsequence that may be a little shorter than the longest."""
LIMIT = 1 << 35
"""Cells above which sequences without such runs are cut into windows."""
_WINDOW = 1 << 16
_GRAM = 8
_MASKS = 64 << 20


def align(a: Array, b: Array) -> tuple[Array, Array]:
    """Indices (into a, into b) of a longest common subsequence, ascending. `a` and `b` are integer arrays."""
    pairs: list[tuple[Array, Array]] = []
    work = [(0, len(a), 0, len(b))]
    while work:
        alo, ahi, blo, bhi = work.pop()
        alo, ahi, blo, bhi = _trim(a, b, alo, ahi, blo, bhi, pairs)
        cells = (ahi - alo) * (bhi - blo)
        if not cells:
            continue
        if cells <= LEAF:
            ia, ib = _leaf(a[alo:ahi], b[blo:bhi])
            pairs.append((ia + alo, ib + blo))
        elif cells > ANCHORED and (cuts := _cuts(a, b, alo, ahi, blo, bhi)):
            work += [(*x, *y) for x, y in cuts]
        elif bhi - blo == 1:
            found = np.flatnonzero(a[alo:ahi] == b[blo])[:1]
            pairs.append((found + alo, np.full(len(found), blo)))
        else:
            middle = (blo + bhi) // 2
            split = alo + _split(a[alo:ahi], b[blo:middle], b[middle:bhi])
            work += [(alo, split, blo, middle), (split, ahi, middle, bhi)]
    if not pairs:
        empty = np.zeros(0, "<i8")
        return empty, empty
    ia, ib = (np.concatenate(side) for side in zip(*pairs, strict=True))
    order = np.argsort(ia, kind="stable")
    return ia[order], ib[order]


def _trim(
    a: Array, b: Array, alo: int, ahi: int, blo: int, bhi: int, pairs: list[tuple[Array, Array]]
) -> tuple[int, int, int, int]:
    """Match what the ranges have in common at both ends; return what is left."""
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


class _Masks:
    """For each number, an integer with a bit set at every place where it stands in a sequence."""

    def __init__(self, a: Array) -> None:
        order = np.argsort(a, kind="stable")
        values, starts = np.unique(a[order], return_index=True)
        ends = np.append(starts[1:], len(a))
        self._places = dict(zip(values.tolist(), zip(starts.tolist(), ends.tolist(), strict=True), strict=True))
        self._order = order
        self._size = len(a) // 8 + 1
        self._made: dict[int, int] = {}

    def __getitem__(self, value: int) -> int:
        mask = self._made.get(value)
        if mask is None:
            where = self._places.get(value)
            if where is None:
                return 0
            places = self._order[where[0] : where[1]]
            if len(places) <= 4:
                mask = sum(1 << place for place in places.tolist())
            else:
                bits = np.zeros(self._size * 8, "u1")
                bits[places] = 1
                mask = int.from_bytes(np.packbits(bits, bitorder="little").tobytes(), "little")
            if len(self._made) * self._size > _MASKS:
                self._made.clear()
            self._made[value] = mask
        return mask


def _last_row(a: Array, b: Array) -> int:
    """The last row of the programme: bit j is 0 where the LCS of b and a[: j + 1] is longer than that of a[:j]."""
    masks = _Masks(a)
    full = (1 << len(a)) - 1
    row = full
    for i, value in enumerate(b.tolist()):
        hits = row & masks[value]
        if hits:
            row = (row + hits) | (row ^ hits)
            if not i & 63:  # a carry makes the row at most a bit longer: it need not be cut each time
                row &= full
    return row & full


def _lengths(row: int, n: int) -> Array:
    """LCS length for every prefix of a, from a row of bits."""
    bits = np.unpackbits(np.frombuffer(row.to_bytes(n // 8 + 1, "little"), "u1"), bitorder="little")[:n]
    return np.concatenate(([0], np.cumsum(1 - bits.astype("<i8"))))


def _split(a: Array, first: Array, second: Array) -> int:
    """Where to cut a so that the LCS of both halves together is longest (Hirschberg 1975)."""
    n = len(a)
    forward = _lengths(_last_row(a, first), n)
    backward = _lengths(_last_row(a[::-1], second[::-1]), n)[::-1]
    return int(np.argmax(forward + backward))


def _leaf(a: Array, b: Array) -> tuple[Array, Array]:
    masks = _Masks(a)
    full = (1 << len(a)) - 1
    row = full
    rows = [row]
    left, right = a.tolist(), b.tolist()
    for value in right:
        hits = row & masks[value]
        row = ((row + hits) | (row ^ hits)) & full
        rows.append(row)
    i, j = len(right), len(left)
    found: list[tuple[int, int]] = []
    while i and j:
        if left[j - 1] == right[i - 1]:
            i -= 1
            j -= 1
            found.append((j, i))
        elif rows[i] >> (j - 1) & 1:
            j -= 1
        else:
            i -= 1
    pairs = np.array(found[::-1], "<i8").reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


Ranges = list[tuple[tuple[int, int], tuple[int, int]]]


def _cuts(a: Array, b: Array, alo: int, ahi: int, blo: int, bhi: int) -> Ranges:
    """Smaller ranges of both, [] when there is no need and no good place to cut."""
    points = [(alo + i, blo + j) for i, j in _anchors(a[alo:ahi], b[blo:bhi])]
    if not points and (ahi - alo) * (bhi - blo) > LIMIT:
        count = max((ahi - alo) // _WINDOW, (bhi - blo) // _WINDOW, 2)
        points = [(alo + (ahi - alo) * k // count, blo + (bhi - blo) * k // count) for k in range(1, count)]
    if not points:
        return []
    points = [(alo, blo), *points, (ahi, bhi)]
    return [((p[0], q[0]), (p[1], q[1])) for p, q in pairwise(points)]


def _anchors(a: Array, b: Array) -> list[tuple[int, int]]:
    """Places of runs that occur once in a and once in b, as a longest ascending chain (patience)."""
    if min(len(a), len(b)) < 2 * _GRAM:
        return []
    grams_a, grams_b = _grams(a), _grams(b)
    once_a = {g for g, n in Counter(grams_a).items() if n == 1}
    once = {g for g, n in Counter(grams_b).items() if n == 1} & once_a
    where = {g: i for i, g in enumerate(grams_b) if g in once}
    chain = _ascending([(i, where[g]) for i, g in enumerate(grams_a) if g in once])
    if 8 * len(chain) < min(len(a), len(b)):  # a few coincidences in otherwise different sequences: no place to cut
        return []
    return [(i, j) for i, j in chain if i or j]  # one at both starts would cut nothing off


def _grams(a: Array) -> list[int]:
    mixed = np.zeros(len(a) - _GRAM + 1, "<u8")
    for k in range(_GRAM):
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + a[k : len(a) - _GRAM + 1 + k].astype("<u8") + np.uint64(1)
    return mixed.tolist()


def _ascending(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest chain of pairs (sorted by the first) in which the second ascends."""
    tops: list[int] = []
    at: list[int] = []
    before = [-1] * len(pairs)
    for i, (_, j) in enumerate(pairs):
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
        chain.append(pairs[i])
        i = before[i]
    return chain[::-1]
