"""What was found out about a module, as a page without a script; every text of the module is escaped."""

from __future__ import annotations

from ...module.dwarf import debug_info
from ...module.module_words import DEBUG_WORDS, KIND_WORDS
from ...text.escape import html_text, shorten
from ...text.numbers import counted, size
from ..maps.graph_svg import graph_svg
from ..report import sections
from ..report.page import document, embedded
from ..report.report import timeline_words
from ..subject import Subject
from ..timeline.columns import Columns
from ..timeline.scene import scene
from ..timeline.svg import strip_html
from .exploration_text import exploration_text
from .explored import MOST_FOLDERS, MOST_PATHS, Explored

_NAMES, _EXPORTS, _LETTERS = 60, 60, 80


def exploration_body(found: Explored) -> str:
    """The page's contents."""
    parts = [_head(found), _asks(found), _never(found), _first_run(found)]
    if found.run is not None and found.ran:
        parts += [_looked_for(found), _said(found), _go_on(found), _more(found.run)]
    return "".join([*parts, _exports(found)])


def exploration_title(found: Explored) -> str:
    """The page's title, as HTML text."""
    return f"{html_text(shorten(found.module.name, _LETTERS))}: what does this module do?"


def exploration_page(found: Explored) -> str:
    """One self-contained HTML file, light and dark."""
    return document(exploration_title(found), exploration_body(found))


def exploration_bundle(found: Explored) -> dict[str, str]:
    """What IPython displays: the text, and the page in a frame."""
    text = exploration_text(found)
    height = min(900, 520 + 30 * len(found.asked) + 22 * len(found.paths))
    plain = f"<pre>{html_text(text, lines=True)}</pre>"
    page = embedded(exploration_title(found), exploration_body(found), plain, height)
    return {"text/plain": text, "text/html": page}


def _head(found: Explored) -> str:
    module = found.module
    rows = [("size", size(len(module.bytes))), ("SHA-256", f"<code>{_broken(module.sha256)}</code>")]
    if not module.is_component:
        rows.append(("debug", html_text(DEBUG_WORDS[debug_info(module)])))
        memory = module.memory
        if memory is not None:
            most = "no maximum" if memory.max_bytes is None else f"at most {size(memory.max_bytes)}"
            rows.append(("memory", f"{size(memory.min_bytes)} at the start, {most}"))
        if module.start is not None:
            rows.append(("start", "runs code as soon as it is instantiated"))
    if found.unprovided:
        rows.append(("missing", f"wasilab does not provide {_names(found.unprovided)}"))
    body = "".join(f"<tr><th scope=row>{name}</th><td class=words>{value}</td></tr>" for name, value in rows)
    name = html_text(shorten(module.name, _LETTERS))
    return (
        f"<h1><bdi>{name}</bdi>: what does this module do?</h1><p>{html_text(KIND_WORDS[module.kind])}</p>"
        f"<table>{body}</table>"
    )


def _asks(found: Explored) -> str:
    head = "<h2>What it can ask for</h2>"
    if not found.asked:
        return f"{head}<p>Nothing of WASI: it can compute, but touch nothing.</p>{_elsewhere(found)}"
    rows = [
        (
            html_text(each.family), html_text(each.words),
            (counted(each.used, "call") if each.used else "<span class=dim>unused</span>")
            + (f" <span class=no>✖ {each.refused:,} refused</span>" if each.refused else ""),
            f"<code>{_names(each.names)}</code>",
        )
        for each in found.asked
    ]  # fmt: skip
    shown = sections.table(("family", "in words", "first run", "imports"), rows, words={1, 3})
    return f"{head}<p class=dim>A module can never ask for what it does not import.</p>{shown}{_elsewhere(found)}"


def _elsewhere(found: Explored) -> str:
    if not found.elsewhere:
        return ""
    return f"<p>It also imports from {_names(found.elsewhere)}, which may act on its behalf.</p>"


def _never(found: Explored) -> str:
    if not found.never:
        return ""
    items = "".join(f"<li>{html_text(words)}</li>" for words in found.never)
    own = ", by itself" if found.elsewhere else ""
    return f"<h2>What it can never do{own}</h2><ul>{items}</ul>"


def _first_run(found: Explored) -> str:
    head = "<h2>A first run</h2>"
    if found.run is None:
        return f'{head}<div class="verdict bad"><b>Not run.</b> {html_text(found.problem)}</div>'
    given = (
        "<p class=dim>In a process of its own, in a sandbox of the kernel, without a grant: an empty folder in memory, "
        "no environment, no input, no network, a clock that stands still, the same random bytes each time.</p>"
    )
    problem = f"<p class=dim>{html_text(found.problem)}</p>" if found.problem else ""
    return (
        f"{head}{given}{sections.verdict_html(found.run)}{problem}{sections.stack_html(found.run)}"
        f"{sections.refusals_html(found.run)}{sections.output_html(found.run)}"
    )


def _looked_for(found: Explored) -> str:
    if not found.paths:
        return "<h2>What it looked for</h2><p>No file or folder.</p>"
    rows = [
        (f"<code dir=ltr>{html_text(shorten(path, 160))}</code>", html_text(words)) for path, words in found.paths
    ]
    more = f"<p class=dim>… the first {MOST_PATHS} are shown</p>" if len(rows) == MOST_PATHS else ""
    return f"<h2>What it looked for</h2>{sections.table(('path', 'what it did'), rows, words={0, 1})}{more}"


def _said(found: Explored) -> str:
    rows = "".join(
        f"<tr><th scope=row>{subject}</th><td class=words>{html_text(sentence)}</td></tr>"
        for subject, sentence in found.said()
    )
    return f"<h2>Time, entropy, network</h2><table>{rows}</table>"


def _go_on(found: Explored) -> str:
    folders = "".join(
        f"<li><code dir=ltr>{html_text(' '.join(folder.flag))}</code>: choose the folder that holds "
        f"<code dir=ltr>{html_text(shorten(folder.paths[0], 120))}</code>"
        f"{' and may be changed' if folder.changes else ''}</li>"
        for folder in found.folders[:MOST_FOLDERS]
    )
    toml = found.toml()
    policy = f"<details><summary>As a policy file</summary><pre dir=ltr>{html_text(toml, lines=True)}</pre></details>"
    return (
        f"<h2>The least to go on with</h2><pre dir=ltr>{html_text(found.command())}</pre>"
        f"{f'<ul>{folders}</ul>' if folders else ''}"
        "<p class=dim>From one run, which is a lower bound: with other input, or once it finds what it looks for, it "
        "may need more. <code>--learn</code> and <code>wasilab advise</code> go on from here.</p>"
        f"{policy if toml else ''}"
    )


def _more(run: Subject) -> str:
    columns = Columns.of(run)
    return (
        f'<h2>Its capabilities</h2><div class="wide">{graph_svg(run)}</div>'
        f"<h2>Its calls</h2>{strip_html(scene(run), timeline_words(run, columns))}"
        f"<details><summary>Calls by name</summary>{sections.summary_html(run)}</details>"
    )


def _exports(found: Explored) -> str:
    exports = found.module.exports
    if not exports:
        return ""
    items = "".join(
        f"<li><code>{html_text(shorten(export.name, _LETTERS))}</code> "
        f"<span class=dim>{html_text(export.kind)}</span></li>"
        for export in exports[:_EXPORTS]
    )
    rest = len(exports) - _EXPORTS
    more = f"<p class=dim>… {counted(rest, 'more export')}; wasilab inspect --json lists all</p>" if rest > 0 else ""
    return f"<details><summary>Exports ({len(exports):,})</summary><ul>{items}</ul>{more}</details>"


def _broken(digits: str) -> str:
    """A long number that may be broken after each eight digits."""
    return "<wbr>".join(digits[at : at + 8] for at in range(0, len(digits), 8))


def _names(names: list[str] | tuple[str, ...]) -> str:
    shown = ", ".join(html_text(shorten(name, _LETTERS)) for name in names[:_NAMES])
    return shown + (f" and {len(names) - _NAMES:,} more" if len(names) > _NAMES else "")
