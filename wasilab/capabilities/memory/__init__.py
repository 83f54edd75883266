"""Directories in memory, and what changed in them."""

from __future__ import annotations

from ...lazy import attach

__getattr__ = attach(__name__, {"Changes": "changes:Changes"})
