"""The exercises of the workshops, W1 to W4."""

from __future__ import annotations

from ..entries import Exercise

WORKSHOPS: tuple[Exercise, ...] = ()
