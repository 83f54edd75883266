"""The timeline's JavaScript as one ES module: the files of `js/` joined in the order of their imports.

anywidget takes one module as text, which cannot import its neighbours. The files stay plain ES modules that a browser
can run directly (the tests' harness page does); joining drops the `import` lines between
them, the word `export` before declarations, and comments on lines of their own, because a notebook stores the module.
Not a bundler: nothing is parsed, renamed or rewritten.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_BASE = ("data/words", "data/store", "data/lod", "lanes", "draw", "data/ask", "inspector", "navigate", "theme")
ORDERS = {
    "timeline": (
        *_BASE, "table", "saving", "panels", "filter/terms", "filter/examples", "filter/filtering", "tabs", "maps/tree",
        "maps/maps", "flame/layout", "flame/flame", "travel/state", "travel/memory", "travel/travel", "onward/spans",
        "onward/notes", "onward/sql", "onward/tools", "passed/arrows", "passed/passing", "data/shared", "head",
        "timeline",
    ),
    "pair": (*_BASE, "pair/axis", "pair/halves", "pair/differences", "pair/pair"),
}  # fmt: skip
"""The files of `js/` that each widget consists of, each after those that it imports."""

_IMPORT = re.compile(r'^import \{[^}]*\} from "\.\.?/[\w/]+\.js";\n', re.MULTILINE)
_COMMENT = re.compile(r"^[ \t]*(?:/\*\*(?:(?!\*/).)*\*/|//[^\n]*)[ \t]*\n", re.MULTILINE | re.DOTALL)
_EXPORT = re.compile(r"^export (?=class |function |const |async )", re.MULTILINE)


@cache
def module(widget: str = "timeline") -> str:
    """The whole module of a widget; its default export is the anywidget definition."""
    folder = files(__package__).joinpath("js")
    parts = []
    for name in ORDERS[widget]:
        text = folder.joinpath(f"{name}.js").read_text(encoding="utf-8")
        parts.append(f"// ---- {name}.js\n{_EXPORT.sub('', _COMMENT.sub('', _IMPORT.sub('', text)))}")
    return "\n".join(parts)


@cache
def style() -> str:
    """The style sheet inside the widget's shadow root."""
    folder = files(__package__)
    views = files("wasilab.views")
    shared = [views.joinpath(name).read_text(encoding="utf-8") for name in ("fragments.css", "comparison/pair.css")]
    return "".join(shared) + folder.joinpath("js").joinpath("timeline.css").read_text(encoding="utf-8")
