"""What one or more runs requested and were refused: the missing grants.

Revoked grants and refusals by the host's operating system are not missing: no grant would help.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ...capabilities.refusal import DeniedBy
from ..remedy import Remedy, given_to, remedy
from .recorded import Recorded, grants_of, trace_of

_NOT_MISSING = (DeniedBy.REVOKED, DeniedBy.HOST)


@dataclass(frozen=True, slots=True)
class MissingGrant:
    """Something that was requested and not granted, summed over all calls that were refused because of it."""

    remedy: Remedy | None
    """The smallest grant that would allow it; None when no grant would."""
    why: str
    """What was asked, and why it was refused."""
    count: int
    """How many calls were refused because of it."""
    first: int
    """`seq` of the first of them, -1 if no call shows it."""
    line: str = ""
    """The source line of the first of them, `file:line`, where it is known."""

    @property
    def text(self) -> str:
        """The remedy as text, "" for none."""
        return "" if self.remedy is None else self.remedy.text

    @property
    def complete(self) -> bool:
        """Whether it can be granted as it stands."""
        return self.remedy is not None and self.remedy.complete

    @property
    def asks_for_a_folder(self) -> bool:
        """Whether it can be granted once the user has chosen a host folder."""
        return self.remedy is not None and self.remedy.asks_for_a_folder


def missing_grants(runs: Iterable[Recorded], *, every: bool = False) -> list[MissingGrant]:
    """What some runs or traces requested and were refused, the most frequent first.

    `every`: also revoked grants and refusals by the host's operating system.
    """
    found: dict[tuple[Remedy | None, str], MissingGrant] = {}
    for run in runs:
        trace = trace_of(run)
        given = given_to(trace, grants_of(run))
        for refusal in trace.denied:
            if refusal.denied_by in _NOT_MISSING and not every:
                continue
            met = remedy(refusal.need, given)
            key = met, "" if met is not None else refusal.sentence
            known = found.get(key)
            if known is None:
                found[key] = MissingGrant(met, refusal.sentence, refusal.count, refusal.seq, refusal.line)
            else:
                found[key] = replace(known, count=known.count + refusal.count)
    return sorted(found.values(), key=lambda missing: -missing.count)
