"""Tracks what each notebook cell shows, so that executing it again releases its previous output.

A front end does not tell the kernel that an output is gone, and a widget is held until its connection is closed. So
what is shown is remembered under its cell, and released when that cell is about to run again.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable

from ..ipython import Shell, kernel_of

_SHOWN: weakref.WeakKeyDictionary[Shell, dict[str, list[Callable[[], None]]]] = weakref.WeakKeyDictionary()
"""IPython's shell -> cell -> the functions that release what it shows."""
_AFTER: weakref.WeakKeyDictionary[Shell, list[Callable[[], None]]] = weakref.WeakKeyDictionary()
"""IPython's shell -> what is called when the current cell has ended."""


def remember(shell: Shell | None, release: Callable[[], None]) -> None:
    """Call `release` when the current cell is run again."""
    cell = _cell(shell)
    if shell is None or not cell:
        return
    if shell not in _SHOWN:
        shown = _SHOWN[shell] = {}

        def before_a_cell(_: object = None) -> None:
            for act in shown.pop(_cell(shell), ()):
                act()

        shell.events.register("pre_run_cell", before_a_cell)
    _SHOWN[shell].setdefault(cell, []).append(release)


def after_cell(shell: Shell | None, act: Callable[[], None]) -> None:
    """Call `act` when the current cell has ended, or its next one if none is running; at once without a shell.

    For work that a cell should not wait for.
    """
    if shell is None:
        act()
        return
    if shell not in _AFTER:
        waiting = _AFTER[shell] = []

        def after_a_cell(_: object = None) -> None:
            while waiting:
                waiting.pop(0)()

        shell.events.register("post_run_cell", after_a_cell)
    _AFTER[shell].append(act)


def forget_output(shell: Shell | None, value: object) -> None:
    """Remove a value from IPython's `Out` and `_7`. Other references, such as `_` and user variables, stay."""
    if shell is None:
        return
    names, outputs = shell.user_ns, _outputs(shell)
    for number in [number for number, output in outputs.items() if output is value]:
        del outputs[number]
        if names.get(f"_{number}") is value:
            del names[f"_{number}"]


def replace_output(shell: Shell | None, old: object, new: object) -> None:
    """Replace `old` by `new` in IPython's `Out`, `_7`, `_`, `__` and `___`; user variables stay."""
    if shell is None:
        return
    names, outputs = shell.user_ns, _outputs(shell)
    for number in [number for number, output in outputs.items() if output is old]:
        outputs[number] = new
        if names.get(f"_{number}") is old:
            names[f"_{number}"] = new
    for name in ("_", "__", "___"):
        if names.get(name) is old:
            names[name] = new
        if getattr(shell.displayhook, name, None) is old:
            setattr(shell.displayhook, name, new)


def _outputs(shell: Shell) -> dict[int, object]:
    outputs = shell.user_ns.get("_oh")
    return outputs if isinstance(outputs, dict) else {}


def _cell(shell: Shell | None) -> str:
    """Identifies the current cell: its id if the front end sends it, else its source."""
    kernel = kernel_of(shell)
    request = kernel.get_parent() if kernel is not None else {}
    cell = request.get("metadata", {}).get("cellId") or request.get("content", {}).get("code")
    return cell if isinstance(cell, str) else ""
