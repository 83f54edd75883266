"""How two runs differ: a `Diff` of their traces that knows the runs, and shows both on one axis."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Self

from .. import views
from ..trace.answers.diff import Diff
from ..trace.trace import Trace
from ..views.subject import Subject, as_subject, trace_of

Difference = Diff[Trace]


class RunDiff(Diff[Trace]):
    """The differences of two runs or traces. In a notebook it shows both on one axis, with the differences marked."""

    sides: tuple[Subject, Subject] | None = None
    """The runs; None for those of bare traces."""

    @classmethod
    def from_runs(
        cls, first: Subject | Trace, second: Subject | Trace, ignore: Sequence[str] = (), by: str | None = None
    ) -> Self:
        """Compare two runs or traces; `ignore` and `by` are those of `Trace.diff`."""
        sides = as_subject(first), as_subject(second)
        found = cls.from_calls(trace_of(sides[0]), trace_of(sides[1]), ignore, by)
        assert isinstance(found, cls)
        found.sides = sides
        return found

    @property
    def on_one_axis(self) -> views.static.Compared:
        """Both runs on one axis, as the views draw them."""
        if self.sides is None:
            return views.static.Compared.of(self)
        return views.static.Compared(self, *self.sides)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write both runs on one axis, and every difference, as one self-contained HTML file."""
        views.static.write_comparison(self.on_one_axis, path)

    def _ipython_display_(self) -> None:
        views.display.show_comparison(self.on_one_axis)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return views.static.comparison_bundle(self.on_one_axis)
