"""The timeline widget in a browser page of its own, without Jupyter: the page's questions go to the Python widget.

Not a test. For what only a browser can see of the widget itself; a page costs a second where JupyterLab costs twelve.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from anywidget import AnyWidget

from wasilab.views.interactive.widget import TimelineWidget

from .lab import Timeline

_PAGE = """<!doctype html><meta charset="utf-8"><body style="margin:8px;background:%s"><div id="at"></div>"""
_START = """async ([code, state]) => {
  const bytes = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  const value = (given) =>
    given?.base64 !== undefined ? bytes(given.base64) : Array.isArray(given) ? given.map(value) : given;
  const traits = new Map(Object.entries(state).map(([k, v]) => [k, value(v)]));
  const heard = {};
  const tell = (event, ...given) => [...(heard[event] ?? [])].forEach((each) => each(...given));
  const model = {
    get: (key) => traits.get(key),
    set: (key, value) => { traits.set(key, value); },
    save_changes: () => window.savesTraits(JSON.stringify({ notes: traits.get("notes") })),
    on: (event, act) => (heard[event] ??= new Set()).add(act),
    off: (event, act) => heard[event]?.delete(act),
    send: (content) => {
      if (window.withoutKernel) throw new Error("no kernel");
      model.ask(content);
    },
    ask: async (content) => {
      const answers = JSON.parse(await window.asksPython(JSON.stringify(content)));
      for (const [content, buffers, changed] of answers) {
        for (const [key, given] of Object.entries(changed)) traits.set(key, value(given));
        for (const key of Object.keys(changed)) tell(`change:${key}`);
        if (content) tell("msg:custom", content, buffers.map(bytes));
      }
    },
  };
  const module = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  module.default.render({ model, el: document.getElementById("at") });
}"""


def plain(value: Any) -> Any:
    """A trait for JSON."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


class BarePage:
    """A widget shown in a fresh page; `line` drives it as `Timeline` does."""

    def __init__(self, browser: Any, widget: AnyWidget, *, dark: bool = False, width: int = 1000) -> None:
        self.widget = widget
        self.errors: list[str] = []
        self.page = browser.new_page(viewport={"width": width, "height": 900})
        self.page.on("pageerror", lambda error: self.errors.append(f"{error}\n{error.stack}"))
        self.page.expose_function("asksPython", self._ask)
        self.page.expose_function("savesTraits", self._save)
        self.page.set_content(_PAGE % ("#111" if dark else "#fff"))
        state = {key: plain(value) for key, value in widget.get_state().items() if key[0] == "_" or key == "notes"}
        code = state.pop("_esm")
        self.page.evaluate(_START, [code, state])
        self.page.wait_for_function("document.querySelector('.wasilab-timeline')?.timeline?.root.dataset.painted")
        self.line = Timeline(self.page, 0)

    def _ask(self, text: str) -> str:
        sent: list[Any] = []
        watched = ("_head", "_report", "_meta", "_snapshot") if isinstance(self.widget, TimelineWidget) else ()
        before = {key: self.widget.get_state(key)[key] for key in watched}
        self.widget.send = lambda content, buffers=None: sent.append((content, buffers or []))
        self.widget._answer(None, json.loads(text), [])
        after = {key: self.widget.get_state(key)[key] for key in before}
        changed = {key: plain(value) for key, value in after.items() if value != before[key]}
        answers = [(content, [base64.b64encode(data).decode() for data in buffers], {}) for content, buffers in sent]
        return json.dumps([(None, [], changed), *answers])

    def _save(self, text: str) -> None:
        self.widget.notes = json.loads(text)["notes"]

    def close(self) -> None:
        """Close the page; it must have had no error."""
        self.page.close()
        assert self.errors == []
