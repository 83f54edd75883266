"""The filters in claims: checked when the claim is made, and put into words."""

from __future__ import annotations

from ...trace.errors import QueryError
from ...trace.filter.english import in_english
from ...trace.filter.query import matching
from ...trace.record.recorder import Recorder
from ...trace.trace import Trace
from ..claim import CourseError


def in_words(name: str, what: str) -> tuple[str, str]:
    """A filter in English, for one call and for several. Raises `CourseError` for one that is wrong."""
    if not isinstance(what, str):
        raise CourseError(f"{name}(...): {what!r} is not a filter: write for example 'call=path_open errno!=0'")
    try:
        matching(Trace.from_recorder(Recorder()), what)
        return in_english(what), in_english(what, plural=True)
    except QueryError as error:
        raise CourseError(f"{name}(...): {error}") from None
