"""The display of a program that was run again with one more grant: what was added, and how to go back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...grants.remedy import Remedy
from ...text.escape import html_text
from ..comparison.compared import compare
from ..comparison.pair_html import lanes_html, legend_html
from ..subject import Subject
from .as_command import command_line


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of the program that a timeline shows."""

    run: Subject
    added: Remedy | None = None
    """What it was granted in addition to the previous attempt; None for the first one."""


def attempts_html(attempts: Sequence[Attempt], current: int) -> str:
    """Which attempt is shown, what it was granted in addition, and buttons to the others; "" for a single one."""
    if len(attempts) < 2:
        return ""
    attempt = attempts[current]
    added = f": granted in addition <code dir=ltr>{html_text(attempt.added.text)}</code>" if attempt.added else ""
    buttons = "".join(
        f" <button data-show={index}>{'back to' if index < current else 'to'} run {index + 1}</button>"
        for index in range(len(attempts))
        if index != current
    )
    if current and not attempt.run.running:
        buttons += f" <button data-compare={current - 1}>compare with run {current}</button>"
    command = ""
    if attempt.run.grants is not None:
        text = html_text(command_line(attempt.run.grants, attempt.run.module, attempt.run.args))
        command = f"<details><summary>the same as a command</summary><pre dir=ltr>{text}</pre></details>"
    return f'<div class=attempt role=status><b>Run {current + 1}</b>{added}{buttons}{command}</div>'


def attempt_line(attempts: Sequence[Attempt], current: int) -> tuple[str, str]:
    """The same in one line as (text, HTML), for the output that is saved; "" for the first attempt."""
    added = attempts[current].added
    if added is None:
        return "", ""
    flag = html_text(added.text)
    return (
        f"run {current + 1} of this program, granted in addition: {added.text}\n",
        f"<p>Run {current + 1} of this program, granted in addition: <code dir=ltr>{flag}</code></p>",
    )


def comparison_html(first: Attempt, second: Attempt, numbers: tuple[int, int]) -> str:
    """How two attempts differ, call by call."""
    left, right = numbers
    compared = compare(first.run, second.run, (f"run {left}", f"run {right}"))
    difference = compared.difference
    return (
        f"<h2>Run {left} compared with run {right}</h2>{legend_html(compared)}{lanes_html(compared, 'time')}"
        f"<pre dir=ltr class=comparison>{html_text(difference.text(width=120), lines=True)}</pre>"
    )
