"""The powerbox: a chooser of folders, where choosing one is granting it.

The person designates a folder of the host, and by that alone it is granted; the guest never sees the names that were
looked through (Stiegler and Miller 2006, "How Emily Tamed the Caml"; CapDesk's powerbox). Nothing is granted until the
button is pressed, and only what is shown then.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import ipywidgets as w

from ..capabilities.memdir import MemDir
from ..grants.flags import MODES
from ..grants.grants import GrantError, host_folder
from .escape import visible
from .panel_model import PanelModel

ENTRIES = 500
"""Folders listed at most."""
UP = ".. (the folder above)"


class Chooser(w.VBox):  # type: ignore[misc]
    """Browses folders from the current one on; `said(text)` shows what went wrong; `closed()` is called at the end."""

    def __init__(self, model: PanelModel, said: Callable[[str], object], closed: Callable[[], object]) -> None:
        self._model = model
        self._said = said
        self._closed = closed
        self._names: dict[str, str] = {}
        self._quiet = False
        self._guest_typed = False
        self.path = w.Text(continuous_update=False, placeholder="a folder of this computer")
        self.path.add_class("wasilab-path")
        self.list = w.Select(rows=7, layout=w.Layout(width="auto", max_width="34em"))
        self.guest = w.Text(continuous_update=False)
        self.guest.add_class("wasilab-short")
        self.mode = w.Dropdown(options=[("read only", "ro"), ("read and change", "rw"), ("a copy in memory", "copy")])
        assert {value for _, value in self.mode.options} == set(MODES)
        self.grant = w.Button(description="Grant this folder", button_style="primary")
        self.memory = w.Button(description="Grant an empty one in memory")
        self.cancel = w.Button(description="Cancel")
        for button in (self.grant, self.memory, self.cancel):
            button.add_class("wasilab-tiny")
        super().__init__([
            w.HTML("<b>Choose a folder to grant</b>"),
            self.path,
            self.list,
            _bar(w.HTML("the guest sees it as"), self.guest, w.HTML("to"), self.mode),
            _bar(self.grant, self.memory, self.cancel),
        ])  # fmt: skip
        self.add_class("wasilab-box")
        self.path.observe(lambda change: self.go(change["new"]), "value")
        self.list.observe(self._picked, "value")
        self.guest.observe(self._typed, "value")
        self.grant.on_click(lambda _: self._grant())
        self.memory.on_click(lambda _: self._memory())
        self.cancel.on_click(lambda _: closed())
        self.go(os.getcwd())

    def go(self, folder: str) -> None:
        """Look into a folder; one that cannot be looked into is said, and nothing changes."""
        if self._quiet:
            return
        place = os.path.abspath(os.path.expanduser(folder.strip() or os.curdir))
        try:
            names = sorted(entry.name for entry in os.scandir(place) if entry.is_dir())
        except (OSError, ValueError) as error:
            self._said(f"{place!r}: {getattr(error, 'strerror', None) or error}")
            return
        hidden = [name for name in names if name.startswith(".")]
        shown = [name for name in names if name not in hidden] + hidden
        self._names = {UP: os.path.dirname(place)}
        self._names |= {f"{visible(name, lines=False)}/": os.path.join(place, name) for name in shown[:ENTRIES]}
        self._quiet = True
        self.path.value = place
        self.list.options = list(self._names)
        self.list.value = None
        self._quiet = False
        if not self._guest_typed:
            self._set_guest(guest_name(place))

    def _picked(self, change: dict[str, object]) -> None:
        if not self._quiet and isinstance(change["new"], str):
            self.go(self._names[change["new"]])

    def _typed(self, change: dict[str, object]) -> None:
        if not self._quiet:
            self._guest_typed = True

    def _set_guest(self, name: str) -> None:
        self._quiet = True
        self.guest.value = name
        self._quiet = False

    def _grant(self) -> None:
        self._add(lambda: self._model.add(self.guest.value, host_folder(self.path.value, self.mode.value)))

    def _memory(self) -> None:
        name = self.guest.value if self._guest_typed else "/tmp"
        self._add(lambda: self._model.add(name, MemDir()))

    def _add(self, add: Callable[[], None]) -> None:
        try:
            add()
        except (GrantError, ValueError, OSError) as error:
            self._said(str(error))
            return
        self._closed()


def guest_name(place: str) -> str:
    """The name that a program run in the current folder would use for `place`: ".", "data", or "/name" elsewhere."""
    here = os.getcwd()
    place = os.path.abspath(place)
    below = os.path.relpath(place, here)
    if below != ".." and not below.startswith("../"):
        return below
    return "/" + os.path.basename(place)


def _bar(*children: w.Widget) -> w.Box:
    bar = w.Box(children)
    bar.add_class("wasilab-bar")
    return bar
