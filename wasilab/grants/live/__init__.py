"""Grants during a run: switches, other grants, ask mode. Imported on first use: most runs keep their initial grants."""

from __future__ import annotations

from ...lazy import attach

__getattr__ = attach(
    __name__,
    {
        "ask": "ask",
        "ask_paths": "ask_paths",
        "questions": "questions",
        "stand_ins": "stand_ins",
        "switches": "switches",
        "update": "update",
    },
)
