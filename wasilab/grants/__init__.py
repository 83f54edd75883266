"""What a guest is given: the grants, their forms, changes during a run, advice.

Code that reads traces is imported on first use, so that a plain run does not pay for it.
"""

from __future__ import annotations

from ..lazy import attach

__getattr__ = attach(
    __name__,
    {"code_folders": "code_folders", "compare": "advice.compare", "denied": "remedy:denied", "learn": "advice.learn"},
)
