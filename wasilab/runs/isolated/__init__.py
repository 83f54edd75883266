"""Runs in a confined process: `outside.py` is the parent's side, `inside.py` the process, `shipping.py` the data
sent; in ask mode `requests.py` the process's requests, `performing.py` the parent's side of them."""

from __future__ import annotations

from ...lazy import attach

__getattr__ = attach(__name__, {"outside": "outside"})
