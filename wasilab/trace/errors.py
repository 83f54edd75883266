"""The exceptions of the trace: a file that cannot be read or written, an invalid filter or SQL statement.

They are in a separate file so that a front end can catch them without loading a reader of traces.
"""

from __future__ import annotations


class TraceError(ValueError):
    """A trace that cannot be read or written. The message names the file, what is wrong and what to do."""


class QueryError(ValueError):
    """An invalid filter or SQL statement. The message says what is wrong and what is valid."""
