"""The powerbox: a folder chooser in which choosing a folder grants it.

Designating a host folder grants it; the guest never sees the names that the user browsed
(Stiegler and Miller 2006, "How Emily Tamed the Caml"; CapDesk's powerbox). Nothing is granted until the
button is pressed, and only what the button says then.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from importlib.resources import files

import anywidget
import ipywidgets as w
import traitlets

from ..capabilities.host.features import POSSIBLE_MODES
from ..capabilities.memory.memdir import MemDir
from ..grants.value import MODES, TAKEN, GrantError, host_folder
from ..text.escape import html_text, visible
from ..text.numbers import counted
from .boxes import classed, put
from .model import PanelModel

ENTRIES = 500
"""Folders listed at most."""


_MODES = (("read only", "ro"), ("read and change", "rw"), ("a copy in memory", "copy"))


@cache
def _script() -> str:
    return files(__package__).joinpath("folders.js").read_text(encoding="utf-8")


class Folders(anywidget.AnyWidget):
    """The list in the page: it shows its traits; user actions arrive as messages (`folders.js`)."""

    _esm = traitlets.Unicode().tag(sync=True)
    crumbs = traitlets.List(traitlets.Unicode()).tag(sync=True)
    """The current folder and its parents, starting at the root."""
    entries: traitlets.List[list[str]] = traitlets.List().tag(sync=True)
    """(name, remark) of each folder in it."""
    chosen = traitlets.Int(-1).tag(sync=True)
    """The entry that is highlighted, -1 for none."""
    summary = traitlets.Unicode("").tag(sync=True)


class Chooser(w.VBox):  # type: ignore[misc]
    """Browses folders, starting at the current one; `closed()` is called at the end. It shows its own errors.

    `looked_for`: a path that the program wanted, which determines the guest path of a folder that holds it.
    """

    def __init__(self, model: PanelModel, closed: Callable[[], object], looked_for: str = "") -> None:
        self._model = model
        self._looked_for = looked_for
        self._closed = closed
        self._quiet = False
        self._guest_typed = False
        self._wrong = ""
        """Why the typed path could not be opened: until it is corrected, nothing is granted."""
        self.place = ""
        """The current folder."""
        self.names: list[str] = []
        """The folders in it, by their names on disk."""
        self.path = classed(w.Text(continuous_update=False, placeholder="or type the path of a folder"), "wasilab-path")
        self.list = Folders(_esm=_script())
        self.said = classed(w.HTML(), "wasilab-said")
        self.guest = classed(w.Text(continuous_update=False), "wasilab-short")
        self.mode = w.Dropdown(options=[(words, mode) for words, mode in _MODES if mode in POSSIBLE_MODES])
        assert {value for _, value in _MODES} == set(MODES)
        self.grant = w.Button(button_style="primary")
        self.memory = w.Button(description="Grant an empty one in memory")
        self.cancel = w.Button(description="Cancel")
        for button in (self.grant, self.memory, self.cancel):
            button.add_class("wasilab-tiny")
        super().__init__([
            w.HTML(f"<b>Choose a folder to grant</b>{_wanted(looked_for)}"), self.list, self.path, self.said,
            _bar(w.HTML("the program sees it as"), self.guest, w.HTML("and may"), self.mode),
            _bar(self.grant, self.memory, self.cancel),
        ])  # fmt: skip
        self.add_class("wasilab-box")
        self.path.observe(lambda change: self._on_change(lambda: self.go(change["new"])), "value")
        self.list.observe(lambda _: self._on_change(self._aim), "chosen")
        self.list.on_msg(lambda _, message, buffers: self._on_message(message))
        self.guest.observe(self._typed, "value")
        self.grant.on_click(lambda _: self._grant())
        self.memory.on_click(lambda _: self._memory())
        self.cancel.on_click(lambda _: closed())
        self.say("")
        folder = likely_folder(looked_for)
        self.go(os.path.dirname(folder) if folder else os.getcwd())
        if os.path.basename(folder) in self.names:
            self.list.chosen = self.names.index(os.path.basename(folder))

    @property
    def target(self) -> str:
        """The folder that the button grants: the highlighted one, else the current one."""
        chosen = self.list.chosen
        return os.path.join(self.place, self.names[chosen]) if 0 <= chosen < len(self.names) else self.place

    def say(self, text: str) -> None:
        """Show an error."""
        put(self.said, f'<span class="wasilab-bad" role="alert">{html_text(text)}</span>' if text else "")

    def go(self, folder: str) -> None:
        """Open a folder; if it cannot be read, show an error and change nothing."""
        place = os.path.normpath(os.path.join(self.place or os.curdir, os.path.expanduser(folder.strip() or os.curdir)))
        try:
            place = os.path.abspath(place)
            with os.scandir(place) as found:
                entries = [(entry.name, _is_folder(entry)) for entry in found]
        except (OSError, ValueError) as error:
            self._wrong = _why(place, error)
            self.say(self._wrong)
            return
        names = sorted((name for name, folder_ in entries if folder_), key=lambda name: (name.startswith("."), name))
        self.place, self.names = place, [name for name in names if _is_text(name)][:ENTRIES]
        above = _above(place)
        rest = len(names) - len(self.names)
        with self.list.hold_sync():
            self._quiet = True
            self.list.chosen = -1
            self.list.crumbs = [visible(os.path.basename(each) or each) for each in above]
            self.list.entries = [[visible(n), _remark(os.path.join(place, n))] for n in self.names]
            self.list.summary = (
                f"{counted(len(names), 'folder')} and {counted(len(entries) - len(names), 'file')} here"
                + (f"; {counted(rest, 'more folder is', 'more folders are')} not listed: type the path" if rest else "")
            )
            self._quiet = False
        self._aim()

    def _on_change(self, act: Callable[[], object]) -> None:
        if not self._quiet:
            act()

    def _on_message(self, message: object) -> None:
        """Handle an action in the page. Other messages are ignored."""
        if not isinstance(message, dict):
            return
        opened, crumb = message.get("open"), message.get("crumb")
        above = _above(self.place)
        if isinstance(opened, int) and 0 <= opened < len(self.names):
            self.go(self.names[opened])
        elif isinstance(crumb, int) and 0 <= crumb < len(above):
            self.go(above[crumb])
        elif message.get("up"):
            self.go(os.path.dirname(self.place))

    def _aim(self) -> None:
        """Show what would be granted, and under which name."""
        self._wrong = ""
        self.say("")
        self._show()

    def _show(self) -> None:
        target = self.target
        name = visible(os.path.basename(target) or target)
        self.grant.description = f"Grant {name if len(name) < 40 else name[:37] + '…'}"
        self.grant.tooltip = f"give the program the folder {visible(target)}"
        self._quiet = True
        self.path.value = target
        if not self._guest_typed:
            self.guest.value = name_for(target, self._looked_for) or guest_name(target)
        self._quiet = False

    def _typed(self, change: dict[str, object]) -> None:
        if not self._quiet:
            self._guest_typed = bool(change["new"])
            if not self._guest_typed:
                self._show()

    def _grant(self) -> None:
        if self._wrong:
            self.say(f"nothing is granted: {self._wrong}")
            return
        self._add(lambda: self._model.add(self.guest.value, host_folder(self.target, self.mode.value)))

    def _memory(self) -> None:
        name = self.guest.value if self._guest_typed else "/tmp"
        self._add(lambda: self._model.add(name, MemDir()))

    def _add(self, add: Callable[[], None]) -> None:
        try:
            add()
        except (GrantError, ValueError, OSError) as error:
            self.say(str(error))
            return
        self._closed()


def guest_name(place: str) -> str:
    """The name that a program run in the current folder would use for `place`: ".", "data", or "/name" elsewhere."""
    here = os.getcwd()
    place = os.path.abspath(place)
    below = os.path.relpath(place, here)
    if below != ".." and not below.startswith("../"):
        return f"./{below}" if below in TAKEN else below
    return "/" + os.path.basename(place)


def name_for(place: str, looked_for: str) -> str:
    """The name under which the folder `place` holds the path that a program looked for; "" if it does not."""
    parts = [part for part in looked_for.split("/") if part not in ("", ".")]
    root = "/" if looked_for.startswith("/") else ""
    if ".." in parts or "\0" in looked_for:
        return ""
    for at in range(len(parts)):
        if os.path.exists(os.path.join(place, *parts[at:])):
            return root + "/".join(parts[:at]) or "."
    return ""


def likely_folder(looked_for: str) -> str:
    """The folder that a program most likely wants: one that holds the path that it looked for, from here or from the
    root, else one with the name of the folder in that path; "" for none."""
    parts = [part for part in looked_for.split("/") if part not in ("", ".")]
    if len(parts) < 2 or ".." in parts or "\0" in looked_for:
        return ""
    candidates = [os.path.join(base, *parts[at:-1]) for base in (os.getcwd(), "/") for at in range(len(parts) - 1)]
    holding = [folder for folder in candidates if os.path.exists(os.path.join(folder, parts[-1]))]
    return next((folder for folder in [*holding, *candidates] if os.path.isdir(folder)), "")


def _wanted(looked_for: str) -> str:
    if not looked_for:
        return ""
    return f': the program looked for <code dir="ltr">{html_text(looked_for)}</code>'


def _above(place: str) -> list[str]:
    """A folder and its parents, starting at the root."""
    found = [place]
    while os.path.dirname(found[0]) != found[0]:
        found.insert(0, os.path.dirname(found[0]))
    return found


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link into a folder that may not be read
        return False


def _is_text(name: str) -> bool:
    """Whether a name is UTF-8: no other can be sent to the page or written to a policy."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _remark(path: str) -> str:
    """What the user should know about a folder before opening or granting it."""
    if os.path.islink(path):
        return f"→ {visible(os.path.realpath(path))}"
    return "" if os.access(path, os.R_OK | os.X_OK) else "you may not look into it"


def _why(place: str, error: OSError | ValueError) -> str:
    shown = visible(place)
    if isinstance(error, FileNotFoundError):
        return f"there is no folder {shown!r}"
    if isinstance(error, NotADirectoryError):
        return f"{shown!r} is a file: choose the folder that holds it"
    if isinstance(error, PermissionError):
        return f"you may not look into {shown!r}: ask its owner for permission, or choose another folder"
    return f"{shown!r}: {getattr(error, 'strerror', None) or error}"


def _bar(*children: w.Widget) -> w.Box:
    return classed(w.Box(children), "wasilab-bar")
