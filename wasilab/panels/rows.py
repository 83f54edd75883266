"""The controls of the panel's column "granted": one small group of widgets for each kind of capability.

Each group can show a `Grants` (`show`) and passes every change by the user to the model through `edit`, which shows
errors. Setting a value from here never counts as a change by the user.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import ipywidgets as w

from ..capabilities.host.features import POSSIBLE_MODES
from ..capabilities.host.hostdir import HostDir
from ..capabilities.host.sockets import listen
from ..engine.limits import DEFAULTS
from ..grants.advice.compare import leads_to, place_of
from ..grants.fields import FieldShape, GrantField
from ..grants.grants import Grants
from ..grants.value import GivenStdin, GrantError, host_folder
from ..text.escape import html_text
from ..text.shell import join
from .boxes import small
from .model import PanelModel
from .rights_editor import RightsEditor
from .table import LIMITS_SHOWN

Edit = Callable[[Callable[[], object]], None]
"""Makes a change and shows its error, if any."""


_MODES = (("read only", "ro"), ("read and change", "rw"), ("a copy", "copy"))


class Group(w.Box):  # type: ignore[misc]
    """Widgets side by side that wrap if there is no room."""

    def __init__(self, model: PanelModel, edit: Edit, children: tuple[w.Widget, ...] = ()) -> None:
        self.model = model
        self.edit = edit
        self.setting = False
        super().__init__(children)
        self.add_class("wasilab-cell")

    def show(self, grants: Grants) -> None:
        """Show what `grants` give."""
        self.setting = True
        try:
            self.load(grants)
        finally:
            self.setting = False

    def load(self, grants: Grants) -> None:
        """Set the widgets."""

    def disable(self, reason: str) -> None:
        """Disable what cannot change before the run ends, and say why; "" enables it."""
        for widget in self.children:
            set_disabled(widget, reason)

    def on(self, widget: w.Widget, change: Callable[[Any], object]) -> None:
        """Call `change(value)` when the user changes `widget`."""

        def on_change(event: dict[str, object]) -> None:
            if not self.setting:
                self.edit(lambda: change(event["new"]))

        widget.observe(on_change, "value")


def set_disabled(widget: w.Widget, why: str) -> None:
    """Disable a control and say why in its tooltip; "" enables it again."""
    if not hasattr(widget, "disabled"):
        return
    if why and not widget.disabled:
        widget.own_tooltip = widget.tooltip
        widget.disabled, widget.tooltip = True, why
    elif not why and widget.disabled:
        widget.disabled, widget.tooltip = False, getattr(widget, "own_tooltip", None)


class SwitchGroup(Group):
    """A checkbox for one field that is true or false."""

    def __init__(self, model: PanelModel, edit: Edit, field: str, words: str) -> None:
        self.field = field
        self.box = w.Checkbox(description=words, indent=False)
        super().__init__(model, edit, (self.box,))
        self.on(self.box, lambda value: model.set_field(field, value))

    def load(self, grants: Grants) -> None:
        self.box.value = getattr(grants, self.field)


class Arguments(SwitchGroup):
    """The arguments of the next run as shell words, and whether the program sees them."""

    def __init__(self, model: PanelModel, edit: Edit) -> None:
        super().__init__(model, edit, "args", "the program sees them")
        self.words = w.Text(placeholder="such as --verbose 'my file.txt'", continuous_update=False)
        self.words.add_class("wasilab-long")
        self.children = (self.words, self.box)
        self.on(self.words, model.set_arguments)

    def load(self, grants: Grants) -> None:
        super().load(grants)
        self.words.value = join(self.model.args)

    def disable(self, reason: str) -> None:
        set_disabled(self.box, reason)  # the words are those of the next run


class Kind(Group):
    """A dropdown of kinds and a number for those that have one: clocks, randomness."""

    def __init__(self, model: PanelModel, edit: Edit, field: str, about: GrantField) -> None:
        self.field = field
        self.about = about
        self.kinds = {kind.name: kind for kind in about.kinds}
        self.kind = w.Dropdown(options=list(self.kinds))
        self.number = w.Text(continuous_update=False)
        self.number.add_class("wasilab-short")
        self.note = w.HTML()
        super().__init__(model, edit, (self.kind, self.number, self.note))
        self.on(self.kind, lambda kind: self._put(kind, ""))
        self.on(self.number, lambda number: self._put(self.kind.value, number))

    def _put(self, kind: str, number: str) -> None:
        assert self.about.parse is not None
        number = number.strip() or self.kinds[kind].usual
        self.model.set_field(self.field, self.about.parse(f"{kind}:{number}" if number else kind))

    def load(self, grants: Grants) -> None:
        kind, _, number = getattr(grants, self.field).spec.partition(":")
        known = self.kinds.get(kind)
        if known is not None:
            self.kind.value = kind
        self.number.value = number
        self.number.layout.display = "" if number else "none"
        self.note.value = "" if known is None else known.note


class Stdin(Group):
    """What the guest reads: nothing, an empty stream, a text, or what the user types while it runs."""

    def __init__(self, model: PanelModel, edit: Edit) -> None:
        self.kind = w.Dropdown(options=[("empty", "empty"), ("a text", "text"), ("I type it", "ask"), ("none", "none")])
        self.text = w.Textarea(rows=2, continuous_update=False, placeholder="the text that it reads")
        self.text.add_class("wasilab-long")
        super().__init__(model, edit, (self.kind, self.text))
        self.on(self.kind, self._put)
        self.on(self.text, lambda text: model.edit(stdin=text.encode()))

    def _put(self, kind: str) -> None:
        self.text.layout.display = "" if kind == "text" else "none"
        text: str = self.text.value
        values: dict[str, GivenStdin] = {
            "empty": b"", "ask": "ask", "none": None, "text": text.encode(),
        }  # fmt: skip
        self.model.edit(stdin=values[kind])

    def load(self, grants: Grants) -> None:
        stdin = grants.stdin
        if isinstance(stdin, bytes) and stdin:
            self.kind.value, self.text.value = "text", stdin.decode("utf-8", "replace")
        elif isinstance(stdin, bytes):
            self.kind.value = "text" if self.kind.value == "text" and not self.text.value else "empty"
        elif stdin is None or stdin == "ask":
            self.kind.value = "none" if stdin is None else "ask"
        self.text.layout.display = "" if self.kind.value == "text" else "none"


class Environment(Group):
    """Variables: NAME=value, each with a button to remove it, and a field to add one."""

    def __init__(self, model: PanelModel, edit: Edit) -> None:
        self.new = w.Text(placeholder="NAME=value", continuous_update=False)
        self.new.add_class("wasilab-short")
        super().__init__(model, edit, (self.new,))
        self.on(self.new, self._add)

    def _add(self, text: str) -> None:
        if not text.strip():
            return
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise GrantError(f"{text!r} is not a variable: write NAME=value, such as LANG=C")
        self.model.edit(env={**self.model.grants.env, name.strip(): value})
        self.new.value = ""

    def _remove(self, name: str) -> None:
        self.model.edit(env={key: value for key, value in self.model.grants.env.items() if key != name})

    def load(self, grants: Grants) -> None:
        shown = []
        for name, value in grants.env.items():
            button = small("×", f"remove {name}")
            button.on_click(lambda _, name=name: self.edit(lambda: self._remove(name)))
            shown += [w.HTML(f"<code>{html_text(name)}={html_text(value)}</code>"), button]
        self.children = (*shown, self.new)


class Sockets(Group):
    """Listening sockets, by address."""

    def __init__(self, model: PanelModel, edit: Edit) -> None:
        self.new = w.Text(placeholder="127.0.0.1:8080", continuous_update=False)
        self.new.add_class("wasilab-short")
        super().__init__(model, edit, (self.new,))
        self.on(self.new, self._add)

    def _add(self, text: str) -> None:
        if text.strip():
            self.model.edit(sockets=(*self.model.grants.sockets, listen(text.strip())))
            self.new.value = ""

    def _remove(self, address: str) -> None:
        self.model.edit(sockets=tuple(s for s in self.model.grants.sockets if s.address != address))

    def load(self, grants: Grants) -> None:
        shown = []
        for socket in grants.sockets:
            button = small("×", f"remove {socket.address}")
            button.on_click(lambda _, address=socket.address: self.edit(lambda: self._remove(address)))
            shown += [w.HTML(f"<code>{html_text(socket.address)}</code>"), button]
        self.children = (*shown, self.new)

    def disable(self, reason: str) -> None:
        set_disabled(self.new, reason)  # an existing one can be removed


class Faults(Group):
    """Calls that fail on purpose: each fault with a button to remove it, and a field to add one."""

    def __init__(self, model: PanelModel, edit: Edit) -> None:
        self.new = w.Text(placeholder="fd_write:error=EIO:when=3+", continuous_update=False)
        self.new.add_class("wasilab-long")
        super().__init__(model, edit, (self.new,))
        self.on(self.new, self._add)

    def _add(self, text: str) -> None:
        if text.strip():
            self.model.edit(faults=(*self.model.grants.faults, text.strip()))
            self.new.value = ""

    def _remove(self, at: int) -> None:
        faults = self.model.grants.faults
        self.model.edit(faults=(*faults[:at], *faults[at + 1 :]))

    def load(self, grants: Grants) -> None:
        shown = []
        for at, fault in enumerate(grants.faults):
            button = small("×", f"remove {fault}")
            button.on_click(lambda _, at=at: self.edit(lambda: self._remove(at)))
            shown += [w.HTML(f'<code class="wasilab-fault">{html_text(str(fault))}</code>'), button]
        self.children = (*shown, self.new)

    def disable(self, reason: str) -> None:
        for widget in self.children:
            set_disabled(widget, reason)


class Folder(Group):
    """A directory: a switch, its target, its mode, a button to remove it."""

    def __init__(self, model: PanelModel, edit: Edit, guest: str) -> None:
        self.guest = guest
        self.box = w.Checkbox(description="granted", indent=False)
        self.mode = w.Dropdown(options=[(words, mode) for words, mode in _MODES if mode in POSSIBLE_MODES])
        self.where = w.HTML()
        self.away = small("×", f"remove {guest}")
        self.rights = RightsEditor(model, edit, guest)
        super().__init__(model, edit, (self.box, self.mode, self.away, self.where, self.rights))
        self.on(self.box, lambda on: model.switch(guest, on))
        self.on(self.mode, self._put)
        self.away.on_click(lambda _: edit(lambda: model.remove(guest)))

    def _put(self, mode: str) -> None:
        path = getattr(self.model.shelf[self.guest], "path", None)
        if path is not None:
            self.model.put(self.model.grants.with_dir(self.guest, host_folder(path, mode)))

    def load(self, grants: Grants) -> None:
        directory = self.model.shelf.get(self.guest)
        mode = getattr(directory, "mode", None)
        self.box.value = self.guest in grants.dirs
        self.mode.layout.display = "" if mode is not None else "none"
        if mode is not None:
            self.mode.value = mode
        if isinstance(directory, HostDir):
            self.where.value = f"folder <code>{html_text(directory.path)}{html_text(leads_to(directory))}</code>"
        else:
            self.where.value = html_text(place_of(directory)) if directory is not None else ""
        self.rights.show(grants)

    def disable(self, reason: str) -> None:
        for widget in (self.box, self.mode):
            set_disabled(widget, reason)


class Bounds(Group):
    """The limits, each as a text that may hold a unit (64m) and "none"."""

    def __init__(self, model: PanelModel, edit: Edit) -> None:
        self.fields = {name: w.Text(continuous_update=False, layout=w.Layout(width="7em")) for name in LIMITS_SHOWN}
        self.words = {name: w.HTML(bound.words) for name, bound in LIMITS_SHOWN.items()}
        pairs = [w.HBox((field, self.words[name])) for name, field in self.fields.items()]
        super().__init__(model, edit, tuple(pairs))
        for name, field in self.fields.items():
            self.on(field, partial(self._put, name))

    def _put(self, name: str, text: str) -> None:
        self.model.limit(name, LIMITS_SHOWN[name].parse(text) if text.strip() else DEFAULTS[name])

    def load(self, grants: Grants) -> None:
        for name, field in self.fields.items():
            field.value = LIMITS_SHOWN[name].text(getattr(grants.limits, name))

    def disable(self, reason: str) -> None:
        for name, field in self.fields.items():
            fixed = self.model.fixed(name)
            set_disabled(field, fixed)
            note = f' <span class="wasilab-dim">({html_text(fixed)})</span>' if fixed else ""
            self.words[name].value = LIMITS_SHOWN[name].words + note


def group_for(model: PanelModel, edit: Edit, field: str, about: GrantField) -> Group:
    """The controls of one field of the grants."""
    match about.shape:
        case FieldShape.SWITCH:
            return Arguments(model, edit) if field == "args" else SwitchGroup(model, edit, field, "granted")
        case FieldShape.SOURCE:
            return Kind(model, edit, field, about)
        case FieldShape.VARIABLES:
            return Environment(model, edit)
        case FieldShape.STDIN:
            return Stdin(model, edit)
    raise ValueError(f"the panel has no controls for the field {field!r}")
