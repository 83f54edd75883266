"""One request in words that have been understood."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field

from .words import Values


@dataclass
class Request:
    """A command's name with its options."""

    command: str
    options: argparse.Namespace
    rest: list[str] = field(default_factory=list)
    """The guest's own arguments (`run`) or the compiler's flags (`compile`, a cell)."""
    values: Values = field(default_factory=Values)
    """The Python values that stood in braces in the line."""
