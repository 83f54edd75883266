"""The ways back to Python in turbo.c, by line, and which of them the random programs cannot take, with the reason."""

from __future__ import annotations

from pathlib import Path

SOURCE = Path(__file__).parents[2] / "wasilab" / "engine" / "native" / "turbo.c"
IN_C = "fuzz.c takes it"
RARE = {
    "fill_randomly": "a kernel without entropy, early at its start",
    "fd == t->nslots": IN_C,
    "SYSTEM(close, s->host)": IN_C,
}
"""Part of a line -> why no program takes it: the table of descriptors is never full before the limit of open ones is
reached, and a close of a file on a disk that is there does not fail."""


def ways() -> dict[int, str]:
    """Number and text of each line from which a call goes back to Python."""
    lines = enumerate(SOURCE.read_text().splitlines(), 1)
    return {number: line.strip() for number, line in lines if "PYTHON;" in line}


def rare(line: str) -> str:
    """Why no random program takes the way in this line; "" where some must."""
    return next((why for part, why in RARE.items() if part in line), "")
