"""The grants panel, and the questions of ask mode in a cell."""

from __future__ import annotations

from ..lazy import attach

__getattr__ = attach(__name__, {"question": "question"})
