"""The record of a run and what can be asked of it.

Recording needs nothing but `record/`. `Trace`, and with it numpy and all that reads columns, is imported on first use.
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
