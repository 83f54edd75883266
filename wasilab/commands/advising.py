"""`advise`: the smallest grants under which the calls of some traces would succeed again, with the evidence."""

from __future__ import annotations

from ..grants.advice.advise import advise as smallest
from .line.files import write_file
from .line.frontend import Done, Door
from .line.grammar import Request
from .tracing import load_trace


def advise(request: Request, door: Door) -> Done:
    """Print the advice, or write it as a policy file."""
    options = request.options
    traces = [load_trace(word, door) for word in options.files or [None]]
    advice = smallest(*traces, narrow=options.narrow, limits=options.limits, include_missing=options.include_missing)
    if options.output is not None:
        text = advice.toml().encode("utf-8")
        path = write_file("-o", options.output, lambda file: file.write_bytes(text))
        door.note(f"{path}: a policy file; run with --policy {path}")
    forms = {"flags": lambda: str(advice), "toml": advice.toml, "python": advice.python}
    if options.output is None or options.form != "flags":
        door.say(forms[options.form]())
    return Done(0, None)
