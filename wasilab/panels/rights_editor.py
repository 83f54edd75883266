"""The rights of one granted directory, one checkbox each: an unticked right is withheld.

The rights are preview1's, grouped by purpose. Rights that the mode does not give cannot be ticked. The boxes are made
when they are first opened, because a page may hold many folders.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import ipywidgets as w

from ..grants.grants import Grants
from ..wasi.rights import bits, of_directories, of_read_only
from .model import PanelModel
from .table import rights_of, rights_words

GROUPS = {
    "look": ("path_open", "fd_readdir", "path_filestat_get", "fd_filestat_get", "path_readlink"),
    "read files": ("fd_read", "fd_seek", "fd_tell", "fd_advise", "poll_fd_readwrite"),
    "write files": (
        "fd_write", "fd_allocate", "fd_filestat_set_size", "path_filestat_set_size", "fd_fdstat_set_flags",
        "fd_sync", "fd_datasync",
    ),
    "make names": (
        "path_create_file", "path_create_directory", "path_symlink", "path_link_target", "path_rename_target",
    ),
    "remove, move": ("path_unlink_file", "path_remove_directory", "path_rename_source", "path_link_source"),
    "set times": ("path_filestat_set_times", "fd_filestat_set_times"),
}  # fmt: skip
"""Every right on a directory and the files in it, by purpose."""
assert {name for names in GROUPS.values() for name in names} == set(of_directories())


class RightsEditor(w.VBox):  # type: ignore[misc]
    """A button that shows the number of rights and unfolds them as checkboxes."""

    def __init__(self, model: PanelModel, edit: Callable[[Callable[[], object]], None], guest: str) -> None:
        self._model = model
        self._edit = edit
        self._guest = guest
        self._setting = False
        self.boxes: dict[str, w.Checkbox] = {}
        self.button = w.ToggleButton(tooltip=f"which rights {guest} gives, one by one")
        self.button.add_class("wasilab-tiny")
        self._list = w.VBox()
        super().__init__([self.button, self._list])
        self.add_class("wasilab-rights")
        self.button.observe(lambda _: self._unfold(), "value")

    def show(self, grants: Grants) -> None:
        """Show what the grants give."""
        directory = self._model.shelf.get(self._guest)
        on = directory is not None and self._guest in grants.dirs
        self.layout.display = "" if on else "none"
        if directory is None or not on:
            return
        writable = directory.writable
        has = rights_of(grants, self._guest, writable)
        self.button.description = f"{rights_words(has)} {'▾' if self.button.value else '▸'}"
        self._setting = True
        for name, box in self.boxes.items():
            box.value = bool(has & bits([name]))
            box.disabled = not writable and bool(of_read_only() & bits([name]))
            box.tooltip = "granted read only: another mode gives it" if box.disabled else ""
        self._setting = False

    def _unfold(self) -> None:
        if self.button.value and not self.boxes:
            self._make()
        self._list.layout.display = "" if self.button.value else "none"
        self.show(self._model.grants)

    def _make(self) -> None:
        directory = self._model.shelf[self._guest]
        has = rights_of(self._model.grants, self._guest, directory.writable)
        rows = []
        for group, names in GROUPS.items():
            whole = w.Button(description=group, tooltip=f"all or none of: {', '.join(names)}")
            whole.add_class("wasilab-tiny")
            whole.on_click(lambda _, names=names: self._edit(lambda: self._all_or_none(names)))
            for name in names:
                given = bool(has & bits([name]))
                box = self.boxes[name] = w.Checkbox(given, description=name, indent=False)
                box.observe(partial(self._on_change, name), "value")
            boxes = w.Box([self.boxes[name] for name in names])
            boxes.add_class("wasilab-right-boxes")
            row = w.Box([whole, boxes])
            row.add_class("wasilab-right-group")
            rows.append(row)
        self._list.children = rows

    def _on_change(self, name: str, change: dict[str, object]) -> None:
        if not self._setting:
            self._edit(lambda: self._put({name}, give=bool(change["new"])))

    def _all_or_none(self, names: tuple[str, ...]) -> None:
        """Withhold the group, or give it back if all of it that can be given is withheld."""
        open_to_choice = {name for name in names if not self.boxes[name].disabled}
        self._put(open_to_choice, give=not any(self.boxes[name].value for name in open_to_choice))

    def _put(self, names: set[str], *, give: bool) -> None:
        withheld = set(self._model.withheld(self._guest))
        self._model.withhold(self._guest, withheld - names if give else withheld | names)
