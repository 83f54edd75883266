"""Files, directories and sockets of the host.

Copies of folders and sockets are imported on first use: most runs use neither.
"""

from __future__ import annotations

from ...lazy import attach

__getattr__ = attach(
    __name__,
    {
        "channel": "local.channel", "copydir": "copies.copydir", "internet": "internet", "network": "network",
        "pipes": "local.pipes", "plainfolder": "copies.plainfolder", "sockets": "sockets",
    },
)
