"""A page that stands alone, and its place in a notebook: isolated, themed, and readable even when sanitised.

`document` makes a complete HTML file (no script, no request to anywhere). `embedded` puts such a file into a notebook
output as a sandboxed `<iframe srcdoc>` with a plain form beside it: a front end that strips frames and styles
(GitHub, an untrusted notebook) strips both the frame and the rule that hides the plain form, so something readable
always remains. `sections.py` makes the contents of the page.
"""

from __future__ import annotations

import html
from functools import cache
from importlib.resources import files


@cache
def css() -> str:
    """The style sheet of the report's pages."""
    folder = files("wasilab.views")
    return "".join(folder.joinpath(name).read_text(encoding="utf-8") for name in ("report/page.css", "fragments.css"))


def document(title: str, body: str, *, auto_theme: bool = True) -> str:
    """A complete HTML document. `title` and `body` are HTML (escaped by the caller).

    `auto_theme`: dark if the reader's system is; an embedded page is always light inside (a dark notebook inverts
    its frame, see `embedded`).
    """
    return (
        f'<!doctype html><html lang="en" class="{"auto" if auto_theme else "light"}"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{css()}</style></head><body>{body}</body></html>"
    )


DARK_PAGES = ('[data-jp-theme-light="false"]', ".vscode-dark", 'html[theme="dark"]')
"""How a page says that it is dark: JupyterLab and Notebook, VS Code, Colab."""
_OUTER = """<style>
.wasilab-plain { display: none }
.wasilab-framed { container-type: inline-size }
.wasilab-frame { width: 100%; height: calc(var(--height) * (1px + max(0px, 1000px - 100cqi) * .00035));
  box-sizing: border-box; border: 1px solid #8884; border-radius: 8px; resize: vertical;
  background: #fff }
DARK { filter: invert(0.92) hue-rotate(180deg) }
</style>""".replace("DARK", ", ".join(f"{page} .wasilab-frame" for page in DARK_PAGES))


_LATE = """<style>
@keyframes wasilab-late { from, to { max-height: 0; opacity: 0 } }
.wasilab-static { overflow: hidden; animation: wasilab-late 1s }
body:has(.wasilab-timeline[data-key="KEY"]) .wasilab-static[data-key="KEY"] { display: none }
.jp-OutputArea-child:has(.wasilab-static[data-key="KEY"]) + .jp-OutputArea-child > .jupyter-widgets:not(:has(*))
  { font-size: 0 }
.jp-OutputArea-child:has(.wasilab-static[data-key="KEY"]) + .jp-OutputArea-child > .jupyter-widgets:not(:has(*))::after
  { content: "Run the cell again to get the interactive timeline."; font-size: 12px; opacity: .7 }
</style>"""


def unless_alive(key: str, content: str) -> str:
    """`content` for an output beside the widget with that `key`: hidden while the widget is alive in the same page.

    A front end prefers a widget to anything else in the same output, even if it cannot show it (a notebook reopened
    without its kernel): hence two outputs. `content` waits a second, because the widget appears a moment later.
    JupyterLab's message for a lost widget is replaced by a clearer one.
    """
    return f'{_LATE.replace("KEY", key)}<div class="wasilab-static" data-key="{key}">{content}</div>'


def embedded(title: str, body: str, plain: str, height: int) -> str:
    """`body` in a sandboxed frame of `height` pixels, with `plain` (simple HTML) for readers that strip frames.

    `height` is a guess for a page of 1,000 pixels; a narrower one is higher, because its lines wrap. What the frame has
    no room for is scrolled to, and a sign at its lower edge says that there is more.

    The frame runs no script and has an origin of its own. A frame without script cannot see the notebook's theme, so
    the sheet outside inverts it (hues kept) where the notebook says that it is dark.
    """
    page = html.escape(document(title, body, auto_theme=False), quote=True)
    return (
        f'{_OUTER}<div class="wasilab-framed"><iframe class="wasilab-frame" sandbox="" title="{title}" '
        f'style="--height: {height}" srcdoc="{page}"></iframe></div>'
        f'<div class="wasilab-plain">{plain}</div>'
    )
