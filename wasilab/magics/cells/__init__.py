"""What a cell needs: from its text to a command and back to what it shows."""

from __future__ import annotations

from ...lazy import attach

__getattr__ = attach(__name__, {"deferred": "deferred"})
