"""One parsed request."""

from __future__ import annotations

import argparse
from typing import NamedTuple

from .words import Values


class Request(NamedTuple):
    """A command's name with its options."""

    command: str
    options: argparse.Namespace
    rest: list[str]
    """The guest's own arguments (`run`) or the compiler's flags (`compile`, a cell)."""
    values: Values
    """The Python values that were in braces in the line."""
