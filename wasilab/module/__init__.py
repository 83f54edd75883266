"""A module looked at, not run: what it imports and exports, its source lines, the names of its functions.

Source lines and names are imported on first use: a run that records no stacks reads neither.
"""

from __future__ import annotations

from ..lazy import attach

__getattr__ = attach(__name__, {"dwarf": "dwarf", "symbols": "symbols"})
