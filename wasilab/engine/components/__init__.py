"""Runs components without Wasmtime's component API: their core modules are linked by our own canonical ABI.

Core modules do not need this package: other packages import from it on first use.
"""

from __future__ import annotations

from ...lazy import attach

__getattr__ = attach(__name__, {
    "call_answers": "replayed.call_answers",
    "component_session": "component_session",
    "recordable": "replayed.recordable",
    "world": "world",
})
