"""Commands that take a program: run, compile, inspect, demo, template.

Running a .wasm needs no compiler, and a run with nothing to show needs no view: both are imported on first use.
"""

from __future__ import annotations

from ...lazy import attach

__getattr__ = attach(__name__, {"after_run": "after_run", "compiling": "compiling", "repeats": "repeats"})
