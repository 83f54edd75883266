"""A run in a confined process: `outside.py` is our end, `inside.py` the process, `shipping.py` what it is given."""

from __future__ import annotations

from ...lazy import attach

__getattr__ = attach(__name__, {"outside": "outside"})
