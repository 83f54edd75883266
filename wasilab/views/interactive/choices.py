"""Values to filter by, as the widget takes them (js/filter/): those of one call, and of all calls with counts."""

from __future__ import annotations

from ...trace.answers.event import CallEvent
from ...trace.filter.by_example import examples, facets
from ...trace.trace import Trace


def examples_of(event: CallEvent) -> list[tuple[str, str, str]]:
    """(kind, displayed value, filter term) of each value of a call."""
    return [(example.name, example.shown, example.term) for example in examples(event)]


def facets_of(trace: Trace, expression: str) -> list[dict[str, object]]:
    """The values of the calls that satisfy an expression ("" for all), with counts (the typedef `Facet`).

    Raises QueryError with a message for people.
    """
    chosen = trace.filter(expression) if expression.strip() else trace
    return [
        {
            "name": facet.name,
            "values": [(example.shown, example.term, count) for example, count in facet.values],
            "more": facet.more,
        }
        for facet in facets(chosen)
    ]
