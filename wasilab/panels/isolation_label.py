"""Whether the runs of a panel are isolated, in words: a label with an explanation on hover and focus.

The explanation is in the page beside its button (`aria-describedby`), so a screen reader reads both.
"""

from __future__ import annotations

from ..engine.isolate.sandbox import LAYERS
from ..runs.prepare import Isolate
from ..runs.run import Run
from ..text.escape import html_text

LABELS: dict[Isolate, str] = {False: "not isolated", True: "isolated", "strict": "isolated, strict"}
_EXPLAINED: dict[Isolate, str] = {
    False: "Its programs run in this notebook's own process. The grants limit them, but one that exploits a bug of the "
    "WebAssembly engine could do all that this notebook can do. After <code>%wasi config isolate on</code> new panels "
    "run programs in a process of their own.",
    True: "Its programs run in a process of their own, which the operating system confines to what is granted. One "
    "that exploits a bug of the WebAssembly engine gets no further.",
    "strict": "Its programs run in a process of their own, which the operating system confines to what is granted, and "
    "only if this machine has all layers of the sandbox. One that exploits a bug of the WebAssembly engine gets no "
    "further.",
}
_CLOSES = "onkeydown=\"if (event.key === 'Escape') this.blur()\""
"""Escape closes the explanation; the style sheet shows it on hover and focus."""


def explanation(isolate: Isolate, run: Run | None) -> str:
    """What it means, and what the last run had of it, as HTML."""
    parts = [_EXPLAINED[isolate]]
    if run is not None and bool(run.isolate) != bool(isolate):
        parts.append(f"<b>The run shown here was {LABELS[run.isolate]}.</b>")
    elif run is not None and run.layers is not None:
        lacking = [f"{name} ({meaning})" for name, meaning in LAYERS.items() if name not in run.layers]
        words = f"This machine lacks some layers of the sandbox: {html_text(', '.join(lacking))}."
        parts.append(words if lacking else f"All {len(LAYERS)} layers of the sandbox were active in the last run.")
    return " ".join(parts)


def isolation_html(isolate: Isolate, run: Run | None, name: str) -> str:
    """The label as a button with its explanation; `name`: an id in the page."""
    return (
        f'<span class="wasilab-isolation"><button type="button" aria-describedby="{name}" {_CLOSES}>{LABELS[isolate]}'
        "</button>"
        f'<span role="tooltip" id="{name}">{explanation(isolate, run)}</span></span>'
    )
