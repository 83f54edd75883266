"""The work of a cell: from its text to a command, and to its output."""

from __future__ import annotations

from ...lazy import attach

__getattr__ = attach(__name__, {"deferred": "deferred"})
