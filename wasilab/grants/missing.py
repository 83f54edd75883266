"""Asked for, and missing: what runs were refused, as the grants that would have allowed it.

The sentences and remedies are the trace's own (`trace/refusals.py`); here equal ones are put together over several
runs, and a remedy that names everything can be added to grants. Not everything can be allowed by a grant: what was
revoked, what the host's system refuses, and rules that nothing switches off are not "missing".
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from ..capabilities.refusal import DeniedBy
from .forms.flags import add_options, from_options
from .grants import Grants

_PLACES = ("HOST", "GUEST", "BYTES", " N")
_NOT_MISSING = (DeniedBy.REVOKED, DeniedBy.HOST)


@dataclass(frozen=True, slots=True)
class Missing:
    """One grant that was asked for and was not there."""

    flag: str
    """The smallest grant that would allow it, as a flag; "" when no grant would. HOST stands for a folder to choose."""
    why: str
    """What was asked, and why it was refused."""
    count: int
    """How many calls were refused for want of it."""
    first: int
    """`seq` of the first of them."""
    line: str = ""
    """The source line of the first of them, `file:line`, where it is known."""

    @property
    def complete(self) -> bool:
        """Whether the flag names everything, so that it can be added as it stands."""
        return bool(self.flag) and not any(place in self.flag for place in _PLACES)

    def added_to(self, grants: Grants) -> Grants:
        """`grants` with it; unchanged unless it is `complete`."""
        if not self.complete:
            return grants
        parser = argparse.ArgumentParser()
        add_options(parser)
        return from_options(parser.parse_args(shlex.split(self.flag)), grants)


def missing(runs: Iterable[Any], *, every: bool = False) -> list[Missing]:
    """What some runs or traces asked for and were refused, the most frequent first.

    `every`: also what is not missing but was refused (revoked, or by the host's system), without a flag.
    """
    found: dict[tuple[str, str], Missing] = {}
    for run in runs:
        for refusal in getattr(run, "trace", run).denied:
            if refusal.denied_by in _NOT_MISSING and not every:
                continue
            flag = "" if refusal.denied_by in _NOT_MISSING else refusal.remedy
            key = (flag, "" if flag else refusal.sentence)
            known = found.get(key)
            if known is None:
                found[key] = Missing(flag, refusal.sentence, refusal.count, refusal.seq, refusal.line)
            else:
                found[key] = replace(known, count=known.count + refusal.count)
    return sorted(found.values(), key=lambda lack: -lack.count)
