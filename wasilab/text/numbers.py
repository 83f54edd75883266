"""Numbers with units, as people write and read them: durations, sizes, counts, and the parsing of what they type.

Escaping of guest text is in `escape.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

SIZE_UNITS = {
    "": 1, "b": 1,
    "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40,
    "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
    "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
}  # fmt: skip
"""Unit of a size in lower case -> bytes. The rule of GNU coreutils: k and KiB are 1024 bytes, kB is 1000 bytes."""
DURATION_UNITS = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip
"""Unit of a duration -> nanoseconds. "u" and both Unicode letters for micro are accepted."""


# -- numbers as text ---------------------------------------------------------------------------------------------------


def duration(ns: float) -> str:
    """A duration in nanoseconds as text with three significant digits: "830 ns", "1.24 ms", "2.50 s", "3 min 20 s".

    >>> duration(1_240_000), duration(200e9)
    ('1.24 ms', '3 min 20 s')
    """
    if ns < 0:
        return "-" + duration(-ns)
    if ns < 999.5:
        return f"{ns:.0f} ns"
    for unit, unit_ns in (("µs", 1e3), ("ms", 1e6), ("s", 1e9)):
        value = ns / unit_ns
        if value < (119.5 if unit == "s" else 999.5):
            return f"{value:.{0 if value >= 99.5 else 1 if value >= 9.995 else 2}f} {unit}"
    seconds = round(ns / 1e9)
    if seconds < 7200:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def size(count: float) -> str:
    """A number of bytes as text: "16 B", "4.0 KiB", "1.5 GiB" (1 KiB is 1024 bytes).

    >>> size(1023), size(1_048_575)
    ('1023 B', '1.0 MiB')
    """
    if count < 1024:
        return f"{count:.0f} B"
    value = float(count)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        value /= 1024
        if value < 1023.95 or unit == "TiB":
            break
    return f"{value:.1f} {unit}"


def exact_size(count: int) -> str:
    """The shortest text that `parse_size` reads back as `count`: "64m", "1000".

    >>> exact_size(64 << 20), exact_size(1000)
    ('64m', '1000')
    """
    for unit in ("g", "m", "k"):
        if count and count % SIZE_UNITS[unit] == 0:
            return f"{count // SIZE_UNITS[unit]}{unit}"
    return str(count)


def counted(count: int, noun: str, plural: str = "") -> str:
    """A count with its noun: "1 call", "12 calls", "1,000,000 calls"."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


_SPOKEN_AN = re.compile(r"[aeioAEIO]|[uU](?![0-9A-Z]|ni|se)|[fhlmnrsx][0-9]|8|11\b|18\b")
"""Beginnings of words and of names of types that are spoken with a vowel: "an s32", but "a u8", "a unit"."""


def with_article(noun: str) -> str:
    """The noun with "a" or "an", by how it is spoken: "an s32", "a list<u8>", "an int"."""
    return f"an {noun}" if _SPOKEN_AN.match(noun) and not noun.startswith(("one", "eu")) else f"a {noun}"


def listed(words: Iterable[str], most: int = 8) -> str:
    """The first words, and how many more there are: "a, b and 1,200 more"; "nothing" for none."""
    found = list(words)
    more = f" and {len(found) - most:,} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more if found else "nothing"


def time_unit(span_ns: float) -> tuple[float, str]:
    """The best unit for an axis of `span_ns` nanoseconds: (nanoseconds in one unit, its name)."""
    for unit_ns, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
        if span_ns >= 2 * unit_ns:
            return unit_ns, unit
    return 1.0, "ns"


def size_unit(most: float) -> tuple[float, str]:
    """The best unit for an axis of up to `most` bytes: (bytes in one unit, its name)."""
    for factor, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if most >= 2 * factor:
            return float(factor), unit
    return 1.0, "bytes"


# -- text as numbers ---------------------------------------------------------------------------------------------------


def parse_size(text: str) -> int:
    """Bytes from text such as "64m", "64 MiB", "1.5GiB" or "1000" (units: `SIZE_UNITS`, in any case).

    Raises `ValueError`; the message shows a valid form. The result is a whole number of bytes: "1.5" is an error.

    >>> parse_size("64m"), parse_size("1.5 KiB"), parse_size("2kB")
    (67108864, 1536, 2000)
    """
    match = re.fullmatch(r"\s*([0-9]{1,18})(?:\.([0-9]{1,9}))?\s*([A-Za-z]*)\s*", text)
    unit = SIZE_UNITS.get(match[3].lower()) if match else None
    if match is None or unit is None:
        raise ValueError(f"{text!r} is not a size: write a number and k, m or g, such as 64m")
    fraction = match[2] or ""
    count, rest = divmod(int(match[1] + fraction) * unit, int("1" + "0" * len(fraction)))
    if rest:
        raise ValueError(f"{text!r} is not a size: it is not a whole number of bytes")
    return count


def parse_duration(text: str, *, bare: str = "") -> float:
    """Nanoseconds from text such as "1ms", "2.5 s" or "3min" (units: `DURATION_UNITS`).

    A number without a unit has the unit `bare`; without `bare`, only 0 needs no unit. Raises `ValueError`; the message
    shows a valid form.

    >>> parse_duration("1.5ms"), parse_duration("2", bare="s")
    (1500000.0, 2000000000)
    """
    match = re.fullmatch(r"\s*([0-9]+)?(\.[0-9]*)?(e-?[0-9]{1,3})?\s*([a-zµμ]*)\s*", text)
    if match and (match[1] or (match[2] or ".") != "."):
        number = "".join(part or "" for part in match.group(1, 2, 3))
        value = int(number) if number.isdecimal() else float(number)
        unit = match[4] or bare or ("s" if value == 0 else "")
        if unit in DURATION_UNITS:
            return value * DURATION_UNITS[unit]
    raise ValueError(f"{text!r} is not a duration: write a number and ns, us, ms, s, min or h, such as 1.5ms")


def parse_count(text: str, *, least: int = 0) -> int:
    """A whole number of at least `least`; "_" between digits and a factor k, M or G (of 1000) are accepted: "10M".

    Raises `ValueError`; the message shows a valid form.

    >>> parse_count("1_000"), parse_count("10M")
    (1000, 10000000)
    """
    match = re.fullmatch(r"([0-9][0-9_]{0,30})([kKmMgG]?)", text.strip())
    number = int(match[1].replace("_", "")) * 1000 ** " kmg".index(match[2].lower() or " ") if match else -1
    if number < least:
        above = f" of at least {least}" if least else ""
        raise ValueError(f"{text!r} is not a whole number{above}: write digits, such as 1000 or 10M")
    return number
