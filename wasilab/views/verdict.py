"""How a run ended, in words: the verdict line, and the refusals grouped with the smallest grant for each.

Everything here is plain text with guest text already made visible (`escape.visible`); the report (`report.py`) puts
it into a terminal or a page.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from .columns import Columns
from .escape import visible
from .units import counted, duration


class RunLike(Protocol):
    """What a report reads of a run (`runner.Run` is one; a notebook may pass its own)."""

    @property
    def name(self) -> str: ...
    @property
    def exit_code(self) -> int: ...
    @property
    def outcome(self) -> Any: ...
    @property
    def stdout(self) -> Any: ...
    @property
    def stderr(self) -> Any: ...
    @property
    def trace(self) -> Any: ...
    @property
    def denied(self) -> Any: ...
    @property
    def grants(self) -> Any: ...
    @property
    def module(self) -> Any: ...


@dataclass(frozen=True)
class Refusal:
    """Calls that were refused for the same reason, as one thing to read."""

    sentence: str
    """What was asked and why it was refused."""
    remedy: str
    """The smallest grant that would have allowed it, as a flag; "" where no grant can."""
    calls: tuple[str, ...]
    """The names of the refused calls."""
    count: int
    where: str
    """The guest's source line of the first one, "" when it is not known."""
    first: int
    """`seq` of the first one; -1 when it is not known."""


ENDINGS = {"trap": "Trapped", "limit": "Stopped by a limit", "interrupt": "Stopped by you"}


def verdict(run: RunLike) -> str:
    """One sentence: how the run ended, after how many calls and how long, and how many were refused."""
    columns = Columns.of(run)
    outcome = run.outcome
    kind = getattr(outcome, "kind", "exit")
    message = visible(str(getattr(outcome, "message", "") or ""), lines=False).rstrip(".")
    seconds = float(getattr(outcome, "seconds", 0.0) or 0.0)
    after = f"after {counted(len(columns) + columns.dropped, 'WASI call')} in {duration(seconds * 1e9)}"
    if kind == "exit":
        head = "Ended well (exit status 0)" if run.exit_code == 0 else f"Ended with exit status {run.exit_code}"
    else:
        word = ENDINGS.get(kind, "Could not run")
        head = word if not message or kind == "interrupt" else f"{word}: {message}"
    refused = int(columns.refused.sum())
    if not refused:
        return f"{head}, {after}; nothing was refused." if len(columns) else f"{head}, {after}."
    return f"{head}, {after}; {counted(refused, 'call')} {'was' if refused == 1 else 'were'} refused."


def mood(run: RunLike) -> str:
    """ "good", "warn" (ended by itself, but something was refused or the status is not 0) or "bad"."""
    if getattr(run.outcome, "kind", "exit") != "exit":
        return "bad"
    return "good" if run.exit_code == 0 and not Columns.of(run).refused.any() else "warn"


def refusals(run: RunLike) -> list[Refusal]:
    """The refused calls of a run, grouped by sentence, the most frequent first."""
    groups: dict[tuple[str, str], list[Any]] = {}
    for denial in _items(run.denied):
        sentence = visible(str(_first(denial, "sentence", "reason")), lines=False)
        remedy = visible(str(_first(denial, "remedy", "grant", "flag") or ""), lines=False)
        groups.setdefault((sentence, remedy), []).append(denial)
    found = [
        Refusal(
            sentence, remedy,
            tuple(dict.fromkeys(str(_first(d, "call", "name")) for d in same)),
            sum(int(getattr(d, "count", 1)) for d in same),
            visible(str(_first(same[0], "where", "line") or ""), lines=False),
            int(_seq(same[0])),
        )
        for (sentence, remedy), same in groups.items()
    ]  # fmt: skip
    return sorted(found, key=lambda refusal: -refusal.count)


def _items(denied: Any) -> Iterable[Any]:
    return denied if denied is not None else ()


def _seq(denial: Any) -> int:
    value = _first(denial, "first", "seq", "seqs")
    if isinstance(value, (list, tuple)):
        value = value[0] if value else -1
    return -1 if value in ("", None) else int(value)


def _first(thing: Any, *names: str) -> Any:
    """The first attribute of these names that the thing has, "" when it has none."""
    for name in names:
        value = getattr(thing, name, None)
        if value is not None:
            return value
    return ""
