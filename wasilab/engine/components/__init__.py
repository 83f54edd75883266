"""Components run without Wasmtime's component API: taken apart, their core modules linked by our own canonical ABI.

A core module is run without any of it: what others need of it is imported on first use.
"""

from __future__ import annotations

from ...lazy import attach

__getattr__ = attach(__name__, {"world": "world"})
