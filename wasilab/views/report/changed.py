"""What a run changed in its `copy` directories, for the report: names and short differences, as text and as HTML.

The folders themselves are unchanged until the changes are applied; both forms say so, and how to apply them.
`run.changes` has all of them. A guest chooses how much it changes, so the work here is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...capabilities.memory.changes import (
    DIFF_BYTES,
    DIFF_LINES,
    DIFFS_SHOWN,
    LINES_SHOWN,
    NAMES_SHOWN,
    Changes,
    Modified,
)
from ...text.escape import cut_lines, html_text, shorten, visible
from ...text.numbers import counted, size
from ..subject import Subject, outcome_of

KEPT = "the folder itself is unchanged"


@dataclass(frozen=True, slots=True)
class ChangedEntry:
    """One thing that changed."""

    how: str
    """"created", "modified", "deleted" or "renamed"."""
    name: str
    """Its path below the directory, made visible; for a renamed one the old and the new path."""
    diff: str
    """The difference line by line, made visible; "" where there is none to show."""


def copies(run: Subject) -> dict[str, Changes]:
    """The copied directories of an ended run in which something changed: guest path -> changes."""
    if outcome_of(run) is None:
        return {}
    return {guest: changes for guest, changes in run.changes.items() if changes}


def text(run: Subject) -> list[str]:
    """The changes as lines for a terminal; none if nothing changed."""
    lines = []
    for guest, changes in copies(run).items():
        lines.append(f"changed in the copy of {visible(guest)}: {count(changes)}; {KEPT}")
        for entry in list(entries(changes))[:NAMES_SHOWN]:
            lines.append(f"  {entry.how:<8} {entry.name}")
            shown, left = cut_lines(entry.diff, lines=LINES_SHOWN, characters=LINES_SHOWN * 200)
            lines += [f"    {line}" for line in shown.splitlines()]
            if left:
                lines.append(f"    ... {counted(left, 'more line')}")
        if number(changes) > NAMES_SHOWN:
            lines.append(f"  ... {counted(number(changes) - NAMES_SHOWN, 'more change')} in run.changes")
    return lines


def html(run: Subject) -> str:
    """The changes as an HTML fragment; "" if nothing changed."""
    parts = []
    for guest, changes in copies(run).items():
        items = []
        for entry in list(entries(changes))[:NAMES_SHOWN]:
            line = f"{entry.how} <code><bdi>{html_text(entry.name)}</bdi></code>"
            shown, left = cut_lines(entry.diff, lines=LINES_SHOWN, characters=LINES_SHOWN * 200)
            more = f"\n… {counted(left, 'more line')}" if left else ""
            pre = f'<pre dir="ltr">{html_text(shown, lines=True)}{more}</pre>'
            items.append(f"<li>{line}{pre if entry.diff else ''}</li>")
        rest = number(changes) - NAMES_SHOWN
        last = f"<li class=dim>… {counted(rest, 'more change')} in <code>run.changes</code></li>" if rest > 0 else ""
        parts.append(
            f"<h2>Changed in the copy of <bdi>{html_text(guest)}</bdi></h2><ul>{''.join(items)}{last}</ul>"
            f"<p class=dim>{count(changes)}; {KEPT}. <code>run.changes.apply()</code> writes this to it.</p>"
        )
    return "".join(parts)


def count(changes: Changes) -> str:
    """How many things changed, by kind: "2 created, 1 modified"."""
    found = {
        "created": changes.created, "modified": changes.modified, "deleted": changes.deleted,
        "renamed": changes.renamed,
    }  # fmt: skip
    return ", ".join(f"{len(things):,} {how}" for how, things in found.items() if things)


def number(changes: Changes) -> int:
    """How many things changed."""
    return len(changes.created) + len(changes.modified) + len(changes.deleted) + len(changes.renamed)


def entries(changes: Changes) -> Iterator[ChangedEntry]:
    """What changed, renamed and deleted first; differences for the first modified files only."""
    for old, new in changes.renamed:
        yield ChangedEntry("renamed", f"{_name(old)} -> {_name(new)}", "")
    for path in changes.deleted:
        yield ChangedEntry("deleted", _name(path), "")
    for path in changes.created:
        yield ChangedEntry("created", _name(path), "")
    for at, file in enumerate(changes.modified):
        difference = _difference(file) if at < DIFFS_SHOWN else ""
        yield ChangedEntry("modified", f"{_name(file.path)} ({_sizes(file)})", difference)


def _name(path: str) -> str:
    return shorten(visible(path), 120)


def _sizes(file: Modified) -> str:
    return f"{size(len(file.before))} -> {size(len(file.after))}"


def _difference(file: Modified) -> str:
    """The lines of a unified diff below its two heading lines; "" for large files and files that are not text."""
    sides = (file.before, file.after)
    if any(len(side) > DIFF_BYTES or side.count(b"\n") > DIFF_LINES or b"\0" in side for side in sides):
        return ""
    lines = file.diff.splitlines()
    return visible("\n".join(lines[2:]), lines=True) if lines and lines[0].startswith("--- ") else ""
