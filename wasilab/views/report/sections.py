"""The parts of a report as HTML: verdict, refusals, output, asked/granted/used, summary, source lines.

Each function returns a fragment for both `page.document` and the widget. All text from guests and users is escaped
with `escape.html_text`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath

from ...grants.advice.compare import compare
from ...grants.remedy import Remedy
from ...text.escape import cut_lines, html_text, shorten, visible
from ...text.numbers import counted, duration, size
from ...trace.answers.source_lines import LineSummary
from ...trace.answers.summary import CallSummary
from ..subject import Subject, trace_of
from ..timeline.columns import summary_rows
from .refused import as_html, refusals
from .sources import source_of
from .verdict import frames_of, mood, verdict

MARKS = {"good": "✔", "warn": "▲", "bad": "✖", "busy": "…", "unknown": "•"}
OUTPUT_LINES, OUTPUT_CHARACTERS = 400, 40_000
REFUSALS_SHOWN, REFUSALS_OPEN = 30, 6
NOTES_SHOWN = 100


def verdict_html(run: Subject) -> str:
    """The verdict line with its glyph."""
    tone = mood(run)
    return (
        f'<div class="verdict {tone}" role="status"><span class="mark" aria-hidden="true">{MARKS[tone]}</span>'
        f"<bdi>{html_text(run.name or 'run')}</bdi>: {html_text(verdict(run))}</div>"
    )


def running_html(run: Subject) -> str:
    """The line shown instead of the verdict while it runs."""
    name = html_text(run.name or "run")
    return (
        f'<div class="verdict busy" role="status"><span class="mark" aria-hidden="true">{MARKS["busy"]}</span>'
        f"<bdi>{name}</bdi>: running; its calls appear as it makes them.</div>"
    )


def stack_html(run: Subject) -> str:
    """The guest's stack at a trap or limit, innermost frame first; "" when there is none."""
    frames = frames_of(run)
    if not frames:
        return ""
    more = f"\n… {counted(len(frames) - 40, 'more frame')}" if len(frames) > 40 else ""
    lines = "\n".join(html_text(str(frame)) for frame in frames[:40])
    return f"<h2>Where the guest was</h2><pre>{lines}{more}</pre>"


def refusals_html(run: Subject, *, buttons: Callable[[Remedy], bool] = lambda _: False) -> str:
    """The refusals, grouped, each with the smallest grant that would allow it; "" when there are none.

    `buttons(remedy)`: whether to put a button "grant and run again" there (for the widget, which knows them by number).
    """
    groups = refusals(run)
    if not groups:
        return ""
    items = []
    for index, group in enumerate(groups[:REFUSALS_SHOWN]):
        wanted = group.remedy is not None and buttons(group.remedy)
        button = f"<button data-grant={index}>grant and run again</button>" if wanted else ""
        items.append(f"<li{'' if group.sure else ' class=guess'}>{as_html(group, button)}</li>")
    rest = len(groups) - REFUSALS_SHOWN
    more = f"<p class=dim>… {counted(rest, 'more reason')}; all are in <code>run.denied</code></p>" if rest > 0 else ""
    head = "Refused by the program itself" if groups[0].inferred else "Refused"
    shown = f"<h2>{head}</h2><ul class=refusals>{''.join(items[:REFUSALS_OPEN])}</ul>"
    if len(items) <= REFUSALS_OPEN:
        return shown
    folded = f"<ul class=refusals>{''.join(items[REFUSALS_OPEN:])}</ul>{more}"
    return f"{shown}<details><summary>{counted(len(groups) - REFUSALS_OPEN, 'more reason')}</summary>{folded}</details>"


def output_html(run: Subject, head: str = "<h2>{}</h2>") -> str:
    """The guest's output, made visible and cut to a readable length; `head` is the markup of a stream's name."""
    parts = []
    for name in ("stdout", "stderr"):
        shown, left = output_start(run, name, OUTPUT_LINES, OUTPUT_CHARACTERS)
        if shown:
            more = f"<p class=dim>… {left}; all is in <code>run.{name}</code></p>" if left else ""
            parts.append(f'{head.format(name)}<pre dir="ltr">{html_text(shown, lines=True)}</pre>{more}')
    return "".join(parts)


def notes_html(run: Subject, head: str = "<h2>{}</h2>") -> str:
    """The user's notes on calls of the trace, in the order of the calls; "" when there are none."""
    notes = _notes(run)
    if not notes:
        return ""
    items = "".join(
        f"<li><span class=dim>{calls} <code>{html_text(name)}</code>:</span> <bdi>{html_text(text)}</bdi></li>"
        for calls, name, text in notes[:NOTES_SHOWN]
    )
    rest = len(notes) - NOTES_SHOWN
    more = (
        f"<p class=dim>… {counted(rest, 'more note')}; all are in <code>run.trace.notes</code></p>" if rest > 0 else ""
    )
    return f"{head.format('Notes')}<ul>{items}</ul>{more}"


def notes_text(run: Subject) -> list[str]:
    """The notes for a terminal, a line each."""
    notes = _notes(run)
    lines = [f"note on {calls} ({name}): {visible(text)}" for calls, name, text in notes[:10]]
    return lines + [f"... {counted(len(notes) - 10, 'more note')} in run.trace.notes"] * (len(notes) > 10)


def _notes(run: Subject) -> list[tuple[str, str, str]]:
    """(calls, name of the first, text) of each note."""
    trace = trace_of(run)
    seqs = trace.column("seq")
    found = []
    for first, last, text in trace.notes:
        at = int(seqs.searchsorted(first))
        if at < len(seqs) and int(seqs[at]) <= last:
            calls = f"call {first:,}" if first == last else f"calls {first:,} to {last:,}"
            found.append((calls, trace[at].name, text))
    return found


def grants_html(run: Subject) -> str:
    """Asked for, granted, used, refused: one row per family; "" if only the trace is available."""
    if run.grants is None:
        return ""
    rows = []
    for row in compare(run.module, run.grants, trace_of(run)):
        rows.append(
            (
                html_text(row.family),
                html_text(", ".join(row.asked)) or "<span class=dim>not asked for</span>",
                html_text(row.granted) or "<span class=dim>nothing</span>",
                counted(sum(row.used.values()), "call") if row.used else "<span class=dim>unused</span>",
                f"<span class=no>✖ {sum(row.refused.values()):,}</span>" if row.refused else "",
            )
        )
    head = ("family", "asked for (imports)", "granted", "used", "refused")
    return table(head, rows, words={1, 2}) if rows else "<p class=dim>The module asks for nothing of WASI.</p>"


def summary_html(run: Subject) -> str:
    """One row per call name: calls, refusals, errors, time, bytes."""
    rows = summary_rows(run)
    if not rows:
        return "<p class=dim>No WASI call was made.</p>"
    return table(SUMMARY_HEAD, [summary_cells(row) for row in rows], numbers=set(range(1, 9)))


def lines_html(run: Subject, most: int = 8) -> str:
    """The source lines whose calls took the most time; "" if no line is known."""
    rows = sorted(trace_of(run).by_line().rows, key=lambda row: -row.time)[:most]
    if not rows:
        return ""
    name, text = source_of(run)
    source = text.splitlines()

    def code(row: LineSummary) -> str:
        own = name and PurePosixPath(row.file).name == PurePosixPath(name).name and row.line <= len(source)
        return f"<code>{html_text(shorten(source[row.line - 1].strip(), 90))}</code>" if own else ""

    cells = [
        (
            html_text(f"{PurePosixPath(row.file).name}:{row.line}"), code(row), f"{row.calls:,}",
            f"<span class=no>✖ {row.refused:,}</span>" if row.refused else "", duration(row.time),
            size(row.bytes) if row.bytes else "", html_text(", ".join(row.names[:3])),
        )
        for row in rows
    ]  # fmt: skip
    head = ("line", "source", "calls", "refused", "time", "bytes", "by")
    return table(head, cells, numbers={2, 3, 4, 5}, words={1, 6})


SUMMARY_HEAD = ("call", "calls", "refused", "errors", "total", "median", "p99", "longest", "bytes")


def summary_cells(row: CallSummary) -> tuple[str, ...]:
    """The cells of one summary row, as HTML."""
    return (
        f"<code>{html_text(row.call)}</code>", f"{row.calls:,}",
        f"<span class=no>✖ {row.refused:,}</span>" if row.refused else "",
        f"{row.errors:,}" if row.errors else "",
        duration(row.total), duration(row.median), duration(row.p99), duration(row.max),
        size(row.bytes) if row.bytes else "",
    )  # fmt: skip


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Iterable[int] = (), words: Iterable[int] = ()
) -> str:
    """A table of HTML cells; columns in `numbers` are right-aligned, those in `words` may break anywhere."""
    kind = dict.fromkeys(numbers, " class=n") | dict.fromkeys(words, " class=words")
    top = "".join(f"<th scope=col{kind.get(i, '')}>{html_text(name)}</th>" for i, name in enumerate(head))
    body = "".join(
        "<tr>" + "".join(f"<td{kind.get(i, '')}>{cell}</td>" for i, cell in enumerate(row)) + "</tr>" for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def image_html(png: bytes, alt: str) -> str:
    """A PNG inline."""
    data = base64.b64encode(png).decode("ascii")
    return f'<img alt="{html_text(alt)}" src="data:image/png;base64,{data}">'


def output_start(run: Subject, name: str, lines: int, characters: int) -> tuple[str, str]:
    """The beginning of the guest's output to a stream, made visible, and a note on what is omitted ("" for nothing).

    Only what is shown is decoded: the output may be as long as the run's limit allows.
    """
    whole = run.stdout_bytes if name == "stdout" else run.stderr_bytes
    shown, left = cut_lines(visible(whole[: 4 * characters], lines=True), lines=lines, characters=characters)
    if len(whole) > 4 * characters:
        left = whole.count(b"\n") + (not whole.endswith(b"\n")) - shown.count("\n") - (not shown.endswith("\n"))
    if left > 0:
        return shown, counted(left, "more line")
    rest = len(whole) - len(shown.encode())
    return shown, f"{counted(rest, 'more byte')} of this line" if rest > 0 and len(shown) == characters else ""
