"""Semantics of environ_*: the granted environment variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .host import Host


def environ_get(host: Host) -> list[bytes]:
    """The variables as `NAME=value`, without NULs; the engine lays them out. Refused if they changed since their size
    was asked."""
    return host.environ.get()


def environ_sizes_get(host: Host) -> tuple[int, int]:
    """Their number, and their bytes with a NUL each."""
    return host.environ.sizes()
