"""Prepares and runs programs, and holds the results."""

from __future__ import annotations

from ..lazy import attach

__getattr__ = attach(__name__, {"RunChanges": "run_changes:RunChanges", "RunDiff": "run_diff:RunDiff"})
