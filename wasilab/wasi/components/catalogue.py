"""All interfaces of WASI 0.2 and 0.3 that wasilab provides."""

from __future__ import annotations

from . import command_line, io_streams
from .files import file_attributes, file_bytes, file_common, file_names
from .http import http_bodies2, http_fields, http_streams3
from .interfaces import Interface
from .sockets import name_lookup, socket_common, tcp_calls, udp_calls

_MODULES = (
    io_streams, file_common, file_attributes, file_names, file_bytes, command_line, socket_common, name_lookup,
    tcp_calls, udp_calls, http_fields, http_bodies2, http_streams3,
)  # fmt: skip


def _gathered() -> dict[tuple[str, str], Interface]:
    found: dict[tuple[str, str], Interface] = {}
    for module in _MODULES:
        for thing in vars(module).values():
            several = thing if isinstance(thing, list) else [thing]
            for interface in several:
                if isinstance(interface, Interface):
                    found[interface.name, interface.version] = interface
    return found


INTERFACES: dict[tuple[str, str], Interface] = _gathered()
"""(name, version "0.2" or "0.3") -> interface."""

WORLDS = ("wasi:cli/run", "wasi:http/incoming-handler", "wasi:http/handler")
"""The interfaces that a runnable program exports: a command, an HTTP handler of 0.2, or one of 0.3."""
