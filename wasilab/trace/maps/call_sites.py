"""Which calls were made from where in one function: figures by the offset of the instruction in it.

For: the view of a function's code. A call counts where any frame of its recorded stack lies in the function: there it
was made, itself or by what that place called. Without recorded stacks there are none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...text.numbers import counted, size
from ..answers.tabular import totals
from ..calls import Calls
from ..record.layout import DID_NOT_RETURN


@dataclass(frozen=True, slots=True)
class CallSite:
    """The recorded calls below one instruction."""

    offset: int
    """The instruction's offset in the module."""
    calls: int
    errors: int
    """Calls that failed, refused ones included."""
    refused: int
    bytes: int
    """Bytes that they read or wrote."""
    names: tuple[tuple[str, int], ...]
    """(name, how often), the most frequent first."""

    def __str__(self) -> str:
        shown = ", ".join(f"{name} x{count:,}" if count > 1 else name for name, count in self.names[:3])
        parts = [shown + (", ..." if len(self.names) > 3 else "")]
        parts += [size(self.bytes)] * bool(self.bytes)
        parts += [f"{self.refused:,} refused"] * bool(self.refused)
        failed = self.errors - self.refused
        parts += [f"{failed:,} failed"] * bool(failed > 0)
        return "; ".join(parts)


@dataclass(frozen=True)
class CallSites:
    """The call sites of one function, by offset."""

    sites: dict[int, CallSite]
    with_stack: int
    """Calls of the trace whose stack was recorded."""
    total: int
    """All calls of the trace."""

    @property
    def calls(self) -> int:
        """Calls that were made through the function."""
        return sum(site.calls for site in self.sites.values())

    def __str__(self) -> str:
        if not self.with_stack:
            return "the run recorded no stacks, which say where a call was made: run it with stacks=True"
        bytes_ = sum(site.bytes for site in self.sites.values())
        refused = sum(site.refused for site in self.sites.values())
        parts = [f"{self.calls:,} of {counted(self.total, 'recorded call')} went through it"]
        parts += [size(bytes_)] * bool(bytes_)
        parts += [f"{refused:,} refused"] * bool(refused)
        if self.with_stack < self.total:
            parts.append(f"stacks are known of {counted(self.with_stack, 'call')} only")
        return ", ".join(parts)


def call_sites(trace: Calls, begin: int, end: int) -> CallSites:
    """The call sites in the function whose body lies at the offsets from `begin` up to `end` of the module."""
    store = trace.store
    place = [offset if begin <= offset < end else -1 for _, offset, *_ in store.raw_frames]
    of_stack = [-1]
    for frames in store.stacks:
        # Of a function that calls itself, the innermost place counts.
        of_stack.append(next((place[frame] for frame in frames if place[frame] >= 0), -1))
    stack = trace.column("stack")
    numbers = np.array(of_stack, "<i8")[np.where(stack < len(of_stack), stack, 0)]
    offsets, key = np.unique(numbers[numbers >= 0], return_inverse=True)
    here, n = numbers >= 0, len(offsets)
    call, errno = trace.column("call")[here], trace.column("errno")[here]
    refused = trace.column("denied_by")[here] != 0
    failed = refused | ((errno != 0) & (errno != DID_NOT_RETURN))
    calls, errors = totals(key, np.ones(len(key)), n), totals(key, failed, n)
    denied, moved = totals(key, refused, n), totals(key, trace.column("nbytes")[here], n)
    sites = {}
    for at, offset in enumerate(offsets.tolist()):
        numbered, counts = np.unique(call[key == at], return_counts=True)
        often = zip(numbered.tolist(), counts.tolist(), strict=True)
        named = [(trace.functions.names[one], count) for one, count in often]
        named.sort(key=lambda pair: (-pair[1], pair[0]))
        sites[offset] = CallSite(
            offset, int(calls[at]), int(errors[at]), int(denied[at]), int(moved[at]), tuple(named)
        )  # fmt: skip
    return CallSites(sites, int(np.count_nonzero(stack)), len(stack))
