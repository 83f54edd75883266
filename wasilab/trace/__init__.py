"""The recorded calls of a run, and the analyses of them.

Recording needs only `record/`. `Trace`, and with it NumPy and everything that reads columns, is imported on first use.
"""

from __future__ import annotations

from ..lazy import attach

__getattr__ = attach(
    __name__,
    {
        "CallEvent": "answers.event:CallEvent", "History": "moments.history:History", "Moment": "moments.moment:Moment",
        "Refusals": "answers.refusals:Refusals", "Trace": "trace:Trace",
    },
)  # fmt: skip
