"""The register of exercises. An entry is described in `entries.py`; a part of the course has a file."""

from __future__ import annotations

from ..entries import Exercise
from .part_a import PART_A
from .part_b import PART_B
from .workshops import WORKSHOPS

EXERCISES: tuple[Exercise, ...] = (*PART_A, *PART_B, *WORKSHOPS)
"""All exercises, in the order of the lessons."""
