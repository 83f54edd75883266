"""The panel's rows as a plain table: what a reader without a kernel sees, and the texts that the live panel shows.

Asked for, granted, used, refused: one row per capability. All guest text is escaped with `escape.html_text`.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from ..engine.limits import BOUNDS, Limits
from ..grants.advice.compare import Item, asked_by_family, items
from ..grants.forms.withheld import masks
from ..grants.grants import Grants
from ..module.module import Module
from ..runs.prepare import Isolate
from ..runs.run import Run
from ..text.escape import html_text
from ..text.numbers import counted
from ..trace.trace import Trace
from ..views.report.as_command import command_line
from ..views.report.refused import refusals
from ..views.subject import as_subject
from ..wasi.rights import INHERITING, names, of_read_only
from .isolation_label import LABELS, explanation

FAMILIES_OF_ROW = {"clock": ("clock", "poll")}
"""The families of calls that a row covers if not only its own: a timer is a poll."""
TITLES = {
    "args": "arguments", "environ": "environment", "clock": "clocks", "random": "randomness", "fd": "streams",
    "path": "directories", "sock": "sockets",
}  # fmt: skip
"""The sections of the panel by family, in their order."""
LIMITS_SHOWN = {name: bound for name, bound in BOUNDS.items() if bound.shown}
"""The limits that the panel shows."""
SHOWN = 4
OUTPUT_LINES, OUTPUT_CHARACTERS = 20, 4000
"""How much of the tail of stdout and stderr is shown."""
REVOKED = '<span class="wasilab-revoked">revoked: the next call is refused</span>'
WRITING_REVOKED = '<span class="wasilab-revoked">writing revoked: the next change is refused</span>'
CHANGED = '<span class="wasilab-good">changed: in force from the next call on</span>'
READ_ONCE = '<span class="wasilab-dim">most programs read this once, when they start</span>'


@cache
def css() -> str:
    """The panel's style sheet."""
    return files(__package__).joinpath("panel.css").read_text(encoding="utf-8")


def asked(module: Module | None, family: str) -> list[str]:
    """The calls of a family that the program imports."""
    found = asked_by_family(module)
    return [name for each in FAMILIES_OF_ROW.get(family, (family,)) for name in found.get(each, ())]


def asked_html(module: Module | None, family: str) -> str:
    """The cell "asked for": a few names, the rest in the tooltip."""
    names = asked(module, family)
    if not names:
        return '<span class="wasilab-dim">not asked for</span>'
    shown = ", ".join(html_text(name) for name in names[:SHOWN])
    more = f" <b>+{len(names) - SHOWN}</b>" if len(names) > SHOWN else ""
    return f'<span class="wasilab-names" title="{html_text(", ".join(names))}">{shown}{more}</span>'


def used_html(item: Item, known: bool) -> str:
    """The cell "used"; `known`: whether there was a run."""
    if not known:
        return '<span class="wasilab-dim">–</span>'
    if not item.used:
        return '<span class="wasilab-dim">unused</span>'
    return f'<span class="wasilab-good">✔</span> {counted(item.used, "call")}'


def refused_html(item: Item, *, spelled: bool = False) -> str:
    """The cell "refused": the count with the reasons in its tooltip, or below it if they are shown nowhere else."""
    reasons = "".join(f'<div class="wasilab-why">{html_text(reason)}</div>' for reason in item.reasons)
    return count_html(item.refused, "\n".join(item.reasons)) + (reasons if spelled else "")


def injected_html(trace: Trace | None) -> str:
    """How many calls got a fault, "" for none or without a run."""
    count = 0 if trace is None else len(trace.filter("injected"))
    return f'<span class="wasilab-fault">⚡ {counted(count, "call")}</span>' if count else ""


def faults_html(grants: Grants) -> str:
    """The faults, as code."""
    return " ".join(f'<code class="wasilab-fault">{html_text(str(fault))}</code>' for fault in grants.faults)


def count_html(refused: int, why: str = "") -> str:
    """How many calls were refused, "" for none."""
    title = f' title="{html_text(why, lines=True)}"' if why else ""
    return f'<span class="wasilab-bad"{title}>✖ {refused:,}</span>' if refused else ""


def rights_of(grants: Grants, guest: str, writable: bool) -> int:
    """The preview1 rights that a granted directory gives, on itself or on what is opened beneath it."""
    return INHERITING & ~(0 if writable else of_read_only()) & ~masks(grants).get(guest, 0)


def rights_words(has: int) -> str:
    """How many of the rights those are."""
    return f"{has.bit_count()} of {INHERITING.bit_count()} rights"


def rights_html(grants: Grants, guest: str) -> str:
    """The preview1 rights that a granted directory gives, as an unfoldable list."""
    directory = grants.dirs.get(guest)
    if directory is None:
        return ""
    has = rights_of(grants, guest, directory.writable)
    without = f"; without {names(INHERITING & ~has)}" if has != INHERITING else ""
    return (
        f'<details class="wasilab-dim"><summary>{rights_words(has)}</summary>'
        f'<span class="wasilab-names">{names(has)}{without}</span></details>'
    )


def limits_words(limits: Limits) -> str:
    """All limits with their units."""
    given = ((bound, getattr(limits, name)) for name, bound in LIMITS_SHOWN.items())
    return ", ".join(f"{bound.words} {bound.text(value)}" for bound, value in given if value is not None)


def fixed_html(why: str) -> str:
    """Why something waits for the next run."""
    return f'<span class="wasilab-dim">not while it runs: {html_text(why)}</span>'


def waits_html(why: str) -> str:
    """A change that applies only to the next run."""
    return f'<span class="wasilab-waits">from the next run on: {html_text(why)}</span>'


def rights_revoked_html(names: str) -> str:
    """Rights that were revoked while it runs."""
    return f'<span class="wasilab-revoked">revoked: {html_text(names)}; the next such call is refused</span>'


def warning_html(text: str) -> str:
    """A warning beside a grant."""
    return f'<div class="wasilab-warning" role="note">▲ {html_text(text)}</div>' if text else ""


def static_html(module: Module | None, grants: Grants, run: Run | None, isolate: Isolate = False) -> str:
    """The whole panel as a table, with the grants as a command line below it; `isolate`: as `panel`'s."""
    trace = run.trace if run is not None and run.traced else None
    rows = []
    before = ""
    for item in [*items(grants, trace), *_ungranted(module, grants, trace)]:
        first = item.family != before
        before = item.family
        granted = html_text(item.granted) or '<span class="wasilab-dim">nothing</span>'
        rows.append(
            f"<tr><th scope=row>{html_text(TITLES[item.family]) if first else ''}</th>"
            f"<td>{html_text(item.name)}</td>"
            f"<td>{asked_html(module, item.family) if first else ''}</td>"
            f"<td>{granted}{rights_html(grants, item.name)}{warning_html(item.warning)}</td>"
            f"<td>{used_html(item, trace is not None)}</td><td>{refused_html(item, spelled=True)}</td></tr>"
        )
    if grants.faults or injected_html(trace):
        rows.append(
            f"<tr><th scope=row>faults</th><td></td><td></td><td>{faults_html(grants)}</td>"
            f"<td>{injected_html(trace)}</td><td></td></tr>"
        )
    heads = "".join(f"<th scope=col>{name}</th>" for name in ("", "grant", "asked for", "granted", "used", "refused"))
    title = f"Grants of <b>{html_text(module.name)}</b>, {LABELS[isolate]}" if module is not None else "Grants"
    apart = f'<p class="wasilab-dim">{LABELS[isolate]}: {explanation(isolate, run)}</p>' if module is not None else ""
    return (
        f'<style>{css()}</style><div class="wasilab-panel wasilab-static" dir="ltr"><p>{title}</p>'
        f'<div class="wasilab-wide"><table><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
        f'<p class="wasilab-dim">limits: {html_text(limits_words(grants.limits))}</p>{apart}'
        f"<p><code>{html_text(command_line(grants, module))}</code></p></div>"
    )


def _ungranted(module: Module | None, grants: Grants, trace: Trace | None) -> list[Item]:
    """A row for directories and one for sockets if the program asks for them and none is granted."""
    found = []
    if not grants.dirs and asked(module, "path"):
        groups = [] if trace is None else refusals(as_subject(trace), by_remedy=True)
        outside = [group for group in groups if group.remedy is not None and group.remedy.asks_for_a_folder]
        reasons = tuple(group.sentence for group in outside)
        found.append(Item("path", "", "", 0, sum(group.count for group in outside), reasons=reasons))
    if not grants.sockets and asked(module, "sock"):
        found.append(Item("sock", "", "", 0, 0))
    return found


def output_html(run: Run | None) -> str:
    """The tail of the guest's output to stdout and stderr, in the order written."""
    shown: list[str] = []
    characters, lines = OUTPUT_CHARACTERS, OUTPUT_LINES
    for stream, data in reversed(run.output if run is not None else []):
        text = "".join(data.decode("utf-8", "replace")[-characters:].splitlines(keepends=True)[-lines:])
        shown.insert(0, f'<span class="wasilab-{stream}" title="{stream}">{html_text(text, lines=True)}</span>')
        characters, lines = characters - len(text), lines - text.count("\n")
        if characters <= 0 or lines <= 0:
            break
    return f'<pre class="wasilab-out" dir="ltr">{"".join(shown)}</pre>' if shown else ""
