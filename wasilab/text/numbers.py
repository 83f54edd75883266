"""Numbers for people: durations, sizes, counts, each with its unit. Escaping of guest text is in `escape.py`."""

from __future__ import annotations


def duration(ns: float) -> str:
    """A duration in ns as text of three figures: "830 ns", "1.24 ms", "2.50 s", "3 min 20 s"."""
    if ns < 0:
        return "-" + duration(-ns)
    if ns < 999.5:
        return f"{ns:.0f} ns"
    for unit, size in (("µs", 1e3), ("ms", 1e6), ("s", 1e9)):
        value = ns / size
        if value < (119.5 if unit == "s" else 999.5):
            return f"{value:.{0 if value >= 99.5 else 1 if value >= 9.995 else 2}f} {unit}"
    seconds = round(ns / 1e9)
    if seconds < 7200:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def time_unit(span_ns: float) -> tuple[float, str]:
    """The unit in which an axis of `span_ns` reads best: (nanoseconds in one unit, its name)."""
    for size, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
        if span_ns >= 2 * size:
            return size, unit
    return 1.0, "ns"


def size(count: float) -> str:
    """A number of bytes: "16 B", "4.0 KiB", "1.5 GiB" (1024-based)."""
    if count < 1024:
        return f"{count:.0f} B"
    value = float(count)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        value /= 1024
        if value < 1023.95 or unit == "TiB":
            break
    return f"{value:.1f} {unit}"


def size_unit(most: float) -> tuple[float, str]:
    """The unit in which an axis up to `most` bytes reads best: (bytes in one unit, its name)."""
    for factor, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if most >= 2 * factor:
            return float(factor), unit
    return 1.0, "bytes"


def counted(count: int, noun: str, plural: str = "") -> str:
    """`1 call`, `12 calls`, `1,000,000 calls`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
