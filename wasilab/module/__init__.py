"""Inspects a module without running it: imports and exports, source lines, function names.

Source lines and names are imported on first use: a run that records no stacks reads neither.
"""

from __future__ import annotations

from ..lazy import attach

__getattr__ = attach(__name__, {"dwarf": "dwarf", "grow_traps": "grow_traps", "symbols": "symbols"})
