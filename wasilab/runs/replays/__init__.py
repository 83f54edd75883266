"""Replays recorded runs."""

from __future__ import annotations

from ...lazy import attach

__getattr__ = attach(__name__, {"memories": "memories", "replaying": "replaying"})
