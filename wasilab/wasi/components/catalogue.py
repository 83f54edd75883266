"""All interfaces of WASI 0.2 and 0.3 that wasilab provides."""

from __future__ import annotations

from . import command_line, filesystem, internet_sockets, io_streams
from .http import http_bodies2, http_fields, http_streams3
from .interfaces import Interface


def _gathered() -> dict[tuple[str, str], Interface]:
    found: dict[tuple[str, str], Interface] = {}
    for module in (io_streams, filesystem, command_line, internet_sockets, http_fields, http_bodies2, http_streams3):
        for thing in vars(module).values():
            several = thing if isinstance(thing, list) else [thing]
            for interface in several:
                if isinstance(interface, Interface):
                    found[interface.name, interface.version] = interface
    return found


INTERFACES: dict[tuple[str, str], Interface] = _gathered()
"""(name, version "0.2" or "0.3") -> interface."""

WORLDS = ("wasi:cli/run", "wasi:http/incoming-handler", "wasi:http/handler")
"""What a program exports to be run: a command, an HTTP handler of 0.2, one of 0.3."""
