"""The timeline's JavaScript as one ES module: the files of `js/` joined in the order of their imports.

anywidget takes one module as text, which cannot import its neighbours. The files stay plain ES modules that a browser
can run directly (the tests' harness page does); joining drops the `import` lines between
them and the word `export` before declarations. Not a bundler: nothing is parsed, renamed or rewritten.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

ORDER = (
    "data/words", "data/store", "data/lod", "lanes", "draw", "data/ask", "table", "inspector", "navigate", "saving",
    "panels", "filter/terms", "filter/examples", "filter/filtering", "tabs", "maps/tree", "maps/maps", "flame/layout",
    "flame/flame", "travel/state", "travel/travel", "data/shared", "head", "timeline",
)  # fmt: skip
"""Every file of `js/`, each after those that it imports."""

_IMPORT = re.compile(r'^import \{[^}]*\} from "\.\.?/[\w/]+\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=class |function |const |async )", re.MULTILINE)


@cache
def module() -> str:
    """The whole module; its default export is the anywidget definition."""
    folder = files(__package__).joinpath("js")
    parts = []
    for name in ORDER:
        text = folder.joinpath(f"{name}.js").read_text(encoding="utf-8")
        parts.append(f"// ---- {name}.js\n{_EXPORT.sub('', _IMPORT.sub('', text))}")
    return "\n".join(parts)


@cache
def style() -> str:
    """The style sheet inside the widget's shadow root."""
    folder = files(__package__)
    report = files("wasilab.views").joinpath("fragments.css").read_text(encoding="utf-8")
    return report + folder.joinpath("js").joinpath("timeline.css").read_text(encoding="utf-8")
