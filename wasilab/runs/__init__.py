"""One run from end to end: prepare, run, hold the result."""

from __future__ import annotations

from ..lazy import attach

__getattr__ = attach(__name__, {"RunChanges": "run_changes:RunChanges"})
