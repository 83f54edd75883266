"""The result of a check: a verdict for each claim, as text, as a table in a notebook, and as points."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from ..text.escape import html_text, visible
from ..text.numbers import counted
from .claim import ShownCall

State = Literal["holds", "fails", "open"]

SIGNS: dict[State, str] = {"holds": "✔", "fails": "✘", "open": "○"}
_WORDS: dict[State, str] = {"holds": "holds", "fails": "fails", "open": "not judged yet"}
_WIDTH = 100
_OPEN = "a program that does nothing does this, too: it counts once a claim about what the program does holds"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one claim. All texts but `sentence` and `hints`, which its author wrote, come from the run."""

    sentence: str
    state: State
    """"holds", "fails", or "open": not judged yet, because nothing shows so far that the program does anything."""
    points: float
    found: str = ""
    evidence: tuple[ShownCall, ...] = ()
    hints: tuple[str, ...] = ()
    """The hints to show, which are as many as there were failed attempts."""
    more_hints: int = 0
    """How many further hints there are."""
    trial: str = ""
    """The input of the exercise that it is about; "" if there is one only."""

    @property
    def claimed(self) -> str:
        """The sentence, after its trial."""
        return f"{self.trial}: {self.sentence}" if self.trial else self.sentence


class CheckFailed(AssertionError):
    """A claim of a check does not hold. Its text is that of `checked`, which a notebook shows in place of a stack."""

    def __init__(self, checked: Checked) -> None:
        super().__init__(str(checked))
        self.checked = checked

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of a stack."""
        return [str(self.checked)]


@dataclass(frozen=True)
class Checked:
    """The verdicts of a check: true if all claims hold. `points` of `out_of` are earned."""

    verdicts: tuple[Verdict, ...]
    exercise: str = ""
    attempt: int = 1
    """Which attempt at the exercise this was, counted in this kernel only."""

    def __bool__(self) -> bool:
        return all(each.state == "holds" for each in self.verdicts)

    @property
    def points(self) -> float:
        """The points of the claims that hold."""
        return float(sum(each.points for each in self.verdicts if each.state == "holds"))

    @property
    def out_of(self) -> float:
        """The points of all claims."""
        return float(sum(each.points for each in self.verdicts))

    @property
    def headline(self) -> str:
        """One sentence: how many claims hold, and the points."""
        held = sum(each.state == "holds" for each in self.verdicts)
        claims = counted(len(self.verdicts), "claim")
        if self:
            claims = f"all {claims} hold" if held > 1 else "the claim holds"
        else:
            claims = f"{held} of {claims} {'holds' if held == 1 else 'hold'}"
        name = f"Exercise {visible(self.exercise)}: " if self.exercise else ""
        text = f"{name}{claims}, {self.points:g} of {counted_points(self.out_of)}"
        return text[:1].upper() + text[1:]

    def require(self) -> Checked:
        """Itself, if all claims hold; raises `CheckFailed` otherwise."""
        if not self:
            raise CheckFailed(self)
        return self

    def __str__(self) -> str:
        lines = [f"{self.headline}."]
        for each in self.verdicts:
            lines += _filled(f"{SIGNS[each.state]} {_WORDS[each.state]}: ", visible(each.claimed), "  ")
            lines += _filled("found: ", each.found, "      ") if each.found else []
            for item in each.evidence:
                lines += _filled("", str(item), "        ")
            for number, hint in enumerate(each.hints, 1):
                name = f"hint {number}: " if len(each.hints) + each.more_hints > 1 else "hint: "
                lines += _filled(name, visible(hint), "      ")
        if any(each.state == "open" for each in self.verdicts):
            lines += _filled("Not judged yet: ", f"{_OPEN}.", "  ")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table_html()

    def table_html(self) -> str:
        """The table as HTML, with its style sheet."""
        rows = "".join(_row(each) for each in self.verdicts)
        state: State = "holds" if self else "fails"
        note = f"<p>Not judged yet: {_OPEN}.</p>" if any(each.state == "open" for each in self.verdicts) else ""
        return (
            f'<div class="wasilab-check" dir="ltr"><style>{_css()}</style>'
            f'<p class="{state}"><b>{SIGNS[state]}</b> {html_text(self.headline)}.</p>'
            "<table><thead><tr><th>claim</th><th>verdict</th><th>points</th></tr></thead>"
            f"<tbody>{rows}</tbody></table>{note}</div>"
        )


def counted_points(points: float) -> str:
    """A number of points in words: "1 point", "2.5 points"."""
    return f"{points:g} {'point' if points == 1 else 'points'}"


def _filled(head: str, text: str, indent: str) -> list[str]:
    further = indent + " " * min(len(head), 8)
    return textwrap.wrap(head + text, _WIDTH, initial_indent=indent, subsequent_indent=further, break_on_hyphens=False)


def _row(verdict: Verdict) -> str:
    parts = [html_text(verdict.claimed)]
    if verdict.found:
        parts.append(f'<div class="found">found: {html_text(verdict.found)}</div>')
    if verdict.evidence:
        items = "".join(f"<li><code>{html_text(item)}</code></li>" for item in verdict.evidence)
        parts.append(f"<ul>{items}</ul>")
    several = len(verdict.hints) + verdict.more_hints > 1
    for number, hint in enumerate(verdict.hints, 1):
        parts.append(f'<div class="hint">hint{f" {number}" if several else ""}: {html_text(hint)}</div>')
    earned = verdict.points if verdict.state == "holds" else 0
    return (
        f'<tr class="{verdict.state}"><td>{"".join(parts)}</td>'
        f"<td><b>{SIGNS[verdict.state]}</b> {_WORDS[verdict.state]}</td><td>{earned:g} of {verdict.points:g}</td></tr>"
    )


@cache
def _css() -> str:
    return files("wasilab.course").joinpath("checked.css").read_text(encoding="utf-8")
