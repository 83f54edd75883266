"""Converters for option values: the accepted syntax and the resulting value.

Each raises `argparse.ArgumentTypeError` with a one-line message for invalid text.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from ...engine.limits import BOUNDS
from ...grants.forms.flags import size
from ...text.numbers import parse_count


def count(text: str) -> int:
    """A whole number of at least 1, such as 1000 or 10M (`text.numbers.parse_count`)."""
    try:
        return parse_count(text, least=1)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def exit_status(text: str) -> int:
    """The exit status of a program."""
    if not re.fullmatch("[0-9]{1,3}", text) or int(text) > 255:
        raise argparse.ArgumentTypeError(f"{text!r} is not an exit status: write a number from 0 to 255, such as 134")
    return int(text)


def seconds(text: str) -> float:
    """A time in seconds, such as 2.5 or 500ms."""
    try:
        found = BOUNDS["seconds"].parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if found is None:
        raise argparse.ArgumentTypeError("there must be a limit: write for example 10, or 500ms")
    return found


def snaplen(text: str) -> int | None:
    """Bytes, or `all` (None)."""
    return None if text == "all" else size(text)


def pair(text: str) -> tuple[str, str]:
    """`NAME=FILE` as a pair."""
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=FILE")
    return name, value


def linked(text: str) -> tuple[str, str]:
    """`FOLDER/lib.wasm` as (`lib`, itself); `NAME=FILE` as for --preload."""
    if "=" in text:
        return pair(text)
    name = Path(text).stem
    if not name:
        raise argparse.ArgumentTypeError("name a module, such as lib.wasm")
    return name, text


def noted(text: str) -> tuple[int, int, str]:
    """`7=here it leaks` or `7-12=...` as (first, last, text)."""
    found = re.fullmatch(r"([0-9]{1,18})(?:-([0-9]{1,18}))?=(.+)", text, re.DOTALL)
    if not found or int(found[2] or found[1]) < int(found[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form CALL=TEXT or FIRST-LAST=TEXT")
    return int(found[1]), int(found[2] or found[1]), found[3]


def address(text: str) -> int:
    """An address in a memory: 4096 or 0x1000."""
    try:
        found = int(text, 0) if len(text) <= 20 else -1
    except ValueError:
        found = -1
    if found < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address, such as 0x1000 or 4096")
    return found


def call_number(text: str) -> int:
    """The number of a call, as `trace` counts them from 0."""
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise argparse.ArgumentTypeError(f"{text!r} is not a call number, such as 17")
    return int(text)


def names(text: str) -> list[str]:
    """`a,b` as a list."""
    return [name.strip() for name in text.split(",") if name.strip()]


def calls(text: str) -> str:
    """A specification of calls, without strace's `trace=`."""
    return text.removeprefix("trace=")
