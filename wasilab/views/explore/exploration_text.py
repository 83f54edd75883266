"""What was found out about a module, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from ...module.module_words import KIND_WORDS
from ...text.escape import shorten, visible
from ...text.numbers import counted, size
from ..report.refused import as_lines, refusals
from ..report.sections import output_start
from ..report.verdict import verdict
from .explored import MOST_FOLDERS, Explored

WIDTH = 100
_PATHS, _NAMES, _REFUSALS = 30, 400, 10


def exploration_text(found: Explored) -> str:
    """Every part as lines; safe to print."""
    return "\n".join(_lines(found))


def _lines(found: Explored) -> Iterator[str]:
    module = found.module
    yield f"{visible(shorten(module.name, 80))}: {KIND_WORDS[module.kind]}"
    yield f"  {size(len(module.bytes))}, SHA-256 {module.sha256}"
    yield "it can ask for" if found.asked else "it can ask for nothing of WASI"
    for each in found.asked:
        count = f" ({counted(each.used, 'call')} in the first run)" if each.used else ""
        yield f"  {each.family:9} {each.words}{count}"
        names = visible(shorten(", ".join(each.names[:60]), _NAMES))
        yield from wrap(names, WIDTH, initial_indent=" " * 12, subsequent_indent=" " * 12)
    if found.elsewhere:
        yield f"it imports from elsewhere: {visible(shorten(', '.join(found.elsewhere[:20]), _NAMES))}"
    if found.never:
        yield "it can never" + (", by itself," if found.elsewhere else "")
        yield from (f"  {visible(shorten(words, 200))}" for words in found.never)
    if found.unprovided:
        yield f"wasilab does not provide {visible(shorten(', '.join(found.unprovided[:20]), _NAMES))}"
    if found.run is None:
        yield f"it was not run: {visible(found.problem)}"
        return
    yield "the first run, isolated, without a grant: an empty folder, a clock that stands still, the same random bytes"
    yield from wrap(shorten(verdict(found.run), _NAMES * 2), WIDTH, initial_indent="  ", subsequent_indent="  ")
    if found.problem:
        yield f"  {visible(found.problem)}"
    if not found.ran:
        return
    for name in ("stdout", "stderr"):
        shown, left = output_start(found.run, name, 8, 800)
        if shown:
            yield f"  {name}:"
            yield from (f"    {line}" for line in shown.rstrip("\n").split("\n"))
            if left:
                yield f"    ... {left}"
    for group in refusals(found.run)[:_REFUSALS]:
        yield from (f"  {line}" for line in as_lines(group))
    yield "what it looked for" if found.paths else "it looked for no file"
    for path, words in found.paths[:_PATHS]:
        yield f"  {shorten(visible(path), 90)}  {words}"
    if len(found.paths) > _PATHS:
        yield f"  ... and {counted(len(found.paths) - _PATHS, 'more path')}"
    for subject, sentence in found.said():
        yield f"{subject:12}{sentence}"
    yield "the least to go on with (a first run is a lower bound: with other input it may need more)"
    yield f"  {found.command()}"
    for folder in found.folders[:MOST_FOLDERS]:
        held = visible(shorten(folder.paths[0], 80))
        yield f"  {visible(' '.join(folder.flag))}: choose the folder that holds {held}"
