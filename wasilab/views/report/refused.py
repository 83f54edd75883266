"""A run's refusals, grouped for reading, and each group as text and as HTML.

Every display of refusals (report, timeline, panel, command line) uses these groups and texts. `grants/remedy.py`
decides which grant would help. NumPy is imported only when a trace is read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary, ref

from ...grants.remedy import Remedy, given_to, remedy
from ...text.escape import html_text, shorten, visible
from ...text.palette import PLAIN, Palette
from ...trace.answers.library_refusals import library_refusal
from ...trace.trace import Trace
from ..subject import Subject, outcome_of, trace_of

LONG = 600
"""Sentences longer than this many characters are shown in a scrolling box."""


@dataclass(frozen=True, slots=True)
class RefusedCalls:
    """Calls that were refused for the same reason. All texts are safe to print."""

    sentence: str
    """What was asked and why it was refused."""
    remedy: Remedy | None
    """The smallest grant that would have allowed it; None where no grant can."""
    count: int
    line: str = ""
    """The guest's source line of the first one, "" when it is not known."""
    first: int = -1
    """`seq` of the first one; -1 if no call shows it."""
    inferred: bool = False
    """Whether no call shows it, only what the program printed or was given; the sentence names the evidence."""
    sure: bool = True
    """False for what is inferred and only likely."""

    @property
    def times(self) -> str:
        """ "" for one call, else how many."""
        return f"({self.count:,} times)" if self.count > 1 else ""


def refusals(run: Subject, *, by_remedy: bool = False) -> list[RefusedCalls]:
    """A run's refusals, grouped by sentence, the most frequent first; last, those by the program's own library.

    `by_remedy`: one group per remedy, with the sentence of its first call.
    """
    if not run.traced:
        return []
    if run.running or by_remedy:
        return _grouped(run, by_remedy)
    trace = run.trace
    known = _KNOWN.get(trace)
    if known is None or known[0]() is not run:
        known = _KNOWN[trace] = ref(run), _grouped(run, by_remedy)
    return list(known[1])


_KNOWN: WeakKeyDictionary[Trace, tuple[ref[Subject], list[RefusedCalls]]] = WeakKeyDictionary()
"""Trace -> the ended run that was asked about last, and its refusals: a report needs them a dozen times."""


def _grouped(run: Subject, by_remedy: bool) -> list[RefusedCalls]:
    given = given_to(trace_of(run), run.grants)
    groups: dict[tuple[Remedy | None, str], RefusedCalls] = {}
    for denial in run.denied:
        met, sentence = remedy(denial.need, given), visible(denial.sentence)
        key = met, "" if by_remedy and met is not None else sentence
        known = groups.get(key)
        if known is None:
            groups[key] = RefusedCalls(sentence, met, denial.count, visible(denial.line), denial.seq)
        else:
            groups[key] = replace(known, count=known.count + denial.count)
    found = sorted(groups.values(), key=lambda group: -group.count)
    return found or _inferred(run)


def _inferred(run: Subject) -> list[RefusedCalls]:
    """A path that the program's own library refused without a call, as far as the output of an ended run shows it.

    If the program ended successfully, only what nothing else explains is reported.
    """
    outcome = outcome_of(run)
    if outcome is None:
        return []
    found = library_refusal(trace_of(run), run.stderr_bytes.decode("utf-8", "replace"))
    if found is None or (outcome.ok and not found.sure):
        return []
    met = remedy(found.need, given_to(trace_of(run), run.grants))
    return [RefusedCalls(found.sentence, met, 1, inferred=True, sure=found.sure)]


def as_lines(group: RefusedCalls, palette: Palette = PLAIN) -> list[str]:
    """A group for a terminal: a line for what was refused, and one for what would allow it."""
    sentence = shorten(group.sentence, LONG)
    head = palette("warning", sentence) if group.inferred else f"{palette('error', 'refused:')} {sentence}"
    line = palette("place", f"[{group.line}]") if group.line else ""
    lines = [" ".join(part for part in (head, group.times, line) if part)]
    if group.remedy is not None:
        hint = f" ({group.remedy.hint})" if group.remedy.hint else ""
        lines.append(f"  to allow it: {palette('good', group.remedy.text)}{hint}")
    return lines


def as_html(group: RefusedCalls, button: str = "") -> str:
    """A group as the content of a list item; `button` is the HTML of a control beside the remedy."""
    times = f" <span class=dim>{group.times}</span>" if group.times else ""
    line = f" <span class=dim>at {html_text(group.line)}</span>" if group.line else ""
    long = " class=long" if len(group.sentence) > LONG else ""
    return f"<bdi{long}>{html_text(group.sentence)}</bdi>{times}{line}{remedy_html(group.remedy, button)}"


def remedy_html(remedy: Remedy | None, button: str = "") -> str:
    """What would allow it, on a line of its own; "" where nothing would."""
    if remedy is None:
        return ""
    hint = f" <span class=dim>({html_text(remedy.hint)})</span>" if remedy.hint else ""
    beside = f" {button}" if button else ""
    return f'<span class=remedy>To allow it: <code dir="ltr">{html_text(remedy.text)}</code>{beside}{hint}</span>'
