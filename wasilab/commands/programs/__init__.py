"""Commands that take a program: run, compile, inspect, demo, template.

A run of a .wasm needs no compiler, and one that has nothing to show afterwards no view: both are imported on first use.
"""

from __future__ import annotations

from ...lazy import attach

__getattr__ = attach(__name__, {"after_run": "after_run", "compiling": "compiling", "repeats": "repeats"})
