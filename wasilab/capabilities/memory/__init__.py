"""Directories in memory, and their changes."""

from __future__ import annotations

from ...lazy import attach

__getattr__ = attach(__name__, {"Changes": "changes:Changes"})
