"""Folded stacks, for flame graph tools: one line per stack, with the ns that its calls took in the host."""

from __future__ import annotations

from typing import IO

from ...calls import Calls
from ...maps.call_tree import CallTree


def write(trace: Calls, file: IO[bytes]) -> None:
    """Write the stacks of a trace."""
    file.write(CallTree.from_calls(trace).folded().encode())
