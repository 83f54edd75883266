"""From the bytes of a module to machine code: engines, their pool, proposals, limits of compiling."""

from __future__ import annotations

from ...lazy import attach

__getattr__ = attach(__name__, {"ahead_of_time": "ahead_of_time", "bounded": "bounded"})
