"""Semantics of args_*: the program's arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .host import Host


def args_get(host: Host) -> list[bytes]:
    """The arguments, without NULs; the engine lays them out. Refused if they changed since their size was asked."""
    return host.args.get()


def args_sizes_get(host: Host) -> tuple[int, int]:
    """Their number, and their bytes with a NUL each."""
    return host.args.sizes()
