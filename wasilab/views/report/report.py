"""The report of a run: in a cell, in a terminal, and as a self-contained file.

`text` is for a terminal, `html` for a notebook (isolated, with a plain form for readers that strip frames), `page`
for a file, `mimebundle` for IPython's display machinery. The sentences are in `verdict.py` and `refused.py`, the HTML
fragments in `sections.py`, the timeline of the page in `timeline/svg.py`, the picture for readers that strip pages in
`timeline/png.py`.
"""

from __future__ import annotations

import textwrap
from os import PathLike
from pathlib import Path

from ...text.escape import html_text, visible
from ...text.numbers import counted, duration, size
from ..ipython import shows_html
from ..subject import Subject, snapshot
from ..timeline.columns import Columns, summary_rows
from ..timeline.png import picture as drawn_picture
from ..timeline.scene import Scene, headline, scene
from ..timeline.svg import strip_html
from . import changed, sections
from .page import document, embedded
from .refused import as_lines, refusals
from .verdict import frames_of, verdict

TEXT_WIDTH = 100


def text(run: Subject, width: int = TEXT_WIDTH, *, output: bool = True) -> str:
    """The report for a terminal: verdict, stack, refusals with their remedies, output, the costliest calls.

    `output=False` omits stdout and stderr (if they were shown while the guest ran).
    """
    run = snapshot(run)
    lines = textwrap.wrap(f"{visible(run.name) or 'run'}: {verdict(run)}", width, subsequent_indent="  ")
    for frame in frames_of(run)[:10]:
        lines.append(f"    {visible(str(frame))}")
    for group in refusals(run)[:10]:
        sentence, *remedy = as_lines(group)
        lines += [*textwrap.wrap(sentence, width, subsequent_indent="  ", break_on_hyphens=False), *remedy]
    for name in ("stdout", "stderr") if output else ():
        shown, left = sections.output_start(run, name, 12, 12 * width)
        if shown:
            lines += [f"{name}:", *(f"  {line}" for line in shown.rstrip("\n").split("\n"))]
            if left:
                lines.append(f"  ... {left}: run.{name}")
    lines += changed.text(run)
    lines += sections.notes_text(run)
    rows = summary_rows(run)
    if rows:
        wide = max(24, 1 + max(len(row.call) for row in rows[:10]))
        lines.append(f"{'call':<{wide}}{'calls':>9}{'refused':>9}{'errors':>8}{'total':>11}{'median':>11}{'bytes':>11}")
    for row in rows[:10]:
        lines.append(
            f"{row.call:<{wide}}{row.calls:>9,}{row.refused or '':>9}{row.errors or '':>8}{duration(row.total):>11}"
            f"{duration(row.median):>11}{size(row.bytes) if row.bytes else '':>11}"
        )
    if len(rows) > 10:
        lines.append(f"... {counted(len(rows) - 10, 'more call name')} in run.trace.summary()")
    return "\n".join(lines)


def body(run: Subject, drawn: Scene | None = None, *, output: bool = True) -> str:
    """The whole report as an HTML fragment: everything that a reader without a kernel needs.

    `drawn` is its timeline, if it is already computed.
    """
    columns = Columns.of(run)
    lines, grants = sections.lines_html(run), sections.grants_html(run)
    return "".join(
        (
            sections.verdict_html(run),
            sections.stack_html(run),
            sections.refusals_html(run),
            sections.output_html(run) if output else "",
            changed.html(run),
            "<h2>Timeline</h2>",
            strip_html(drawn or scene(run), timeline_words(run, columns)),
            sections.notes_html(run),
            f"<details open><summary>Asked for, granted, used</summary>{grants}</details>" if grants else "",
            "<details open><summary>Calls</summary>", sections.summary_html(run), "</details>",
            f"<details open><summary>Lines of the source</summary>{lines}</details>" if lines else "",
        )
    )  # fmt: skip


def plain(run: Subject, picture: bytes, *, output: bool = True) -> str:
    """The report in the few tags that every sanitiser allows."""
    columns = Columns.of(run)
    items = "".join(
        f"<li>{'<br>'.join(map(html_text, as_lines(group)))}</li>" for group in refusals(run)[: sections.REFUSALS_SHOWN]
    )
    return (
        f"<p><b>{html_text(run.name or 'run')}</b>: {html_text(verdict(run))}</p>"
        + (f"<ul>{items}</ul>" if items else "")
        + (sections.output_html(run, "<p><b>{}</b></p>") if output else "")
        + changed.html(run)
        + sections.image_html(picture, timeline_words(run, columns))
        + sections.notes_html(run, "<p><b>{}</b></p>")
        + sections.summary_html(run)
    )


def html(run: Subject, *, output: bool = True) -> str:
    """The report for a notebook's output."""
    run = snapshot(run)
    drawn = scene(run)
    whole, simple = body(run, drawn, output=output), plain(run, drawn_picture(drawn), output=output)
    return embedded(title(run), whole, simple, _height(run, output))


def page(run: Subject) -> str:
    """The report as one HTML file: complete, self-contained, without scripts; light and dark."""
    return document(title(run), body(snapshot(run)))


def to_html(run: Subject, path: str | PathLike[str]) -> None:
    """Write `page(run)` to a file."""
    Path(path).write_text(page(run), encoding="utf-8")


def mimebundle(run: Subject) -> dict[str, str]:
    """What IPython displays for a run without widgets: `text/plain` and `text/html`, with the same content.

    If `run.streamed` is True, the cell already showed its output, which is not repeated.
    """
    output = not run.streamed
    bundle: dict[str, str] = {"text/plain": text(run, output=output)}
    if shows_html():
        bundle["text/html"] = html(run, output=output)
    return bundle


def title(run: Subject) -> str:
    """The page's title, as HTML text."""
    return f"{html_text(run.name or 'run')}: WASI report"


def timeline_words(run: Subject, columns: Columns) -> str:
    """A description of the timeline picture for screen readers."""
    times = {"guest": columns.guest_ns, **{name: calls.total for name, calls in columns.by_family.items()}}
    parts = [f"{name} {duration(ns)}" for name, ns in times.items()]
    return f"Timeline: {headline(run, columns)}. Time by lane: {', '.join(parts)}."


def _height(run: Subject, output: bool) -> int:
    """A guess at the height in pixels of the embedded page (a frame without script cannot measure itself)."""
    columns = Columns.of(run)
    lanes = 1 + len(columns.families)
    refused = min(len(refusals(run)), sections.REFUSALS_SHOWN)
    height = 390 + 50 * lanes + 22 * len(summary_rows(run)) + (41 + 58 * refused if refused else 0)
    for name in ("stdout", "stderr") if output else ():
        lines = sections.output_start(run, name, 20, 2000)[0].count("\n")
        height += 0 if not lines else min(50 + 19 * lines, 350)
    height += 60 * min(len(changed.copies(run)), 4)
    height += 19 * min(len(frames_of(run)), 14)
    return min(height, 900)
