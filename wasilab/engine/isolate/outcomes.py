"""A run's outcome as a message: written by the confined process, read by its parent, which trusts none of it."""

from __future__ import annotations

from typing import Any, get_args

from ..outcome import Frame, Kind, Outcome
from .messages import BadMessage, Record

_MOST_FRAMES, _MOST_LINES, _LONGEST = 256, 1000, 1 << 16


def to_record(outcome: Outcome) -> Record:
    """The outcome as JSON values, without its files (core dump, profile)."""
    plain = all(type(value) in (int, float) for value in outcome.results)
    return {
        "kind": outcome.kind,
        "exit_code": outcome.exit_code,
        "message": outcome.message[:_LONGEST],
        "frames": [[f.function, f.file, f.line, f.offset, f.module] for f in outcome.frames[:_MOST_FRAMES]],
        "seconds": outcome.seconds,
        "compile_seconds": outcome.compile_seconds,
        "warnings": [text[:_LONGEST] for text in outcome.warnings[:_MOST_LINES]],
        "detail": outcome.detail[-_LONGEST:],
        "fuel_used": outcome.fuel_used,
        "results": [[type(v).__name__, v.hex() if isinstance(v, float) else str(v)] for v in outcome.results]
        if plain
        else [],
        "result_texts": [text[:_LONGEST] for text in outcome.result_texts[:_MOST_LINES]],
        "native_calls": outcome.native_calls,
    }


def from_record(found: Record) -> Outcome:
    """The inverse of `to_record`. Raises `BadMessage` for anything else."""
    kind: Kind = found["kind"] if found.get("kind") in get_args(Kind) else _bad("the kind of an end")
    return Outcome(
        kind,
        _count(found.get("exit_code"), (1 << 32) - 1),
        _text(found.get("message")),
        tuple(_frame(one) for one in _list(found.get("frames"), _MOST_FRAMES)),
        _seconds(found.get("seconds")),
        _seconds(found.get("compile_seconds")),
        tuple(_text(one) for one in _list(found.get("warnings"), _MOST_LINES)),
        _text(found.get("detail")),
        _optional_count(found.get("fuel_used")),
        tuple(_result(one) for one in _list(found.get("results"), _MOST_LINES)),
        tuple(_text(one) for one in _list(found.get("result_texts"), _MOST_LINES)),
        native_calls=_optional_count(found.get("native_calls")),
    )


def _bad(what: str) -> Any:
    raise BadMessage(f"{what} that is not one")


def _text(found: object) -> str:
    if not isinstance(found, str) or len(found) > _LONGEST:
        _bad("a text")
    return str(found).encode("utf-8", "backslashreplace").decode()


def _list(found: object, most: int) -> list[Any]:
    return found if isinstance(found, list) and len(found) <= most else list(_bad("a list"))


def _count(found: object, most: int = (1 << 63) - 1) -> int:
    return found if type(found) is int and 0 <= found <= most else int(_bad("a number"))


def _optional_count(found: object) -> int | None:
    return None if found is None else _count(found)


def _seconds(found: object) -> float:
    return float(found) if isinstance(found, (int, float)) and 0 <= found < 1e9 else float(_bad("a time"))


def _frame(found: object) -> Frame:
    function, file, line, offset, module = found if isinstance(found, list) and len(found) == 5 else _bad("a frame")
    return Frame(
        _text(function), None if file is None else _text(file), _optional_count(line), _count(offset), _text(module)
    )


def _result(found: object) -> int | float:
    kind, text = found if isinstance(found, list) and len(found) == 2 else _bad("a result")
    if kind not in ("int", "float") or not isinstance(text, str) or len(text) > 64:
        _bad("a result")
    try:
        return int(text) if kind == "int" else float.fromhex(text)
    except (ValueError, OverflowError):
        return int(_bad("a result"))
