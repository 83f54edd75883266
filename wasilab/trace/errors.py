"""The errors of the trace: a file that cannot be read or written, a question that cannot be understood.

They stand apart from what raises them, so that a front end can catch them without loading a reader of traces.
"""

from __future__ import annotations


class TraceError(ValueError):
    """A trace that cannot be read or written. The message names the file, what is wrong and what to do."""


class QueryError(ValueError):
    """A filter or an SQL statement that cannot be understood. The message says what is wrong and what is valid."""
