"""Semantics of args_*: the program's arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .host import Host


def args_get(host: Host) -> list[bytes]:
    """The arguments, without NULs; the engine lays them out."""
    return host.args


def args_sizes_get(host: Host) -> tuple[int, int]:
    """Their number, and their bytes with a NUL each."""
    return len(host.args), sum(map(len, host.args)) + len(host.args)
