"""The optional libraries (extra `arrow`), each imported here and only when it is needed.

They take up to a second to import, and the core works without them.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from .errors import TraceError


def pyarrow() -> Any:
    """The pyarrow module; TraceError naming the command that installs it."""
    try:
        import pyarrow
    except ImportError:
        raise TraceError("this needs pyarrow: install it with: pip install pyarrow") from None
    return pyarrow


def parquet() -> Any:
    """The pyarrow.parquet module; TraceError naming the command that installs it."""
    pyarrow()
    from pyarrow import compute as _  # noqa: F401  makes it an attribute of pyarrow
    from pyarrow import parquet

    return parquet


def need_duckdb() -> None:
    """Raise a TraceError with the install command if DuckDB is missing.

    It is imported in a separate process (`sql/duckdb_process.py`).
    """
    try:
        missing = find_spec("duckdb") is None
    except ImportError:
        missing = True
    if missing:
        raise TraceError("this needs DuckDB: install it with: pip install duckdb pyarrow")
    pyarrow()


def pandas() -> Any:
    """The pandas module; TraceError naming the command that installs it."""
    try:
        import pandas
    except ImportError:
        raise TraceError("this needs pandas: install it with: pip install pandas pyarrow") from None
    return pandas
