"""What a guest is given: the grants, their forms, changes during a run, advice.

What reads a trace is imported on first use: a run that nobody asks about does not pay for it.
"""

from __future__ import annotations

from ..lazy import attach

__getattr__ = attach(
    __name__,
    {"code_folders": "code_folders", "compare": "advice.compare", "denied": "remedy:denied", "learn": "advice.learn"},
)
