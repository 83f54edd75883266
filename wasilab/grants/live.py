"""Grants that can be taken back while the guest runs: every capability of a run behind a switch of its own.

`LiveGrants(held)` puts a membrane (`capabilities/patterns.py`) around each thing that the guest holds.
`revoke("/data")` works at once and from any thread: the next call through it is refused, denied_by REVOKED, and so is
every call on a descriptor that was ever opened through it. `restore("/data")` grants it anew: it can be opened again,
but what was opened before the revocation stays dead, as it would if the grant were another one. A call that is waiting
in the host at that moment ends as it would have.

A membrane costs each call on a descriptor a little (0.2 to 0.3 us, measured), so only runs that somebody can switch
have one: detached runs and those of the panel.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from ..capabilities.interpose import OPENING, interpose
from ..capabilities.patterns import Switch, membrane
from .grants import GrantError, nearest
from .held import Held

T = TypeVar("T")
Listener = Callable[[str, bool], object]
"""Told of every change: (name of the grant, whether it works now)."""


class LiveGrants:
    """The switches of one run. `held` is what the WASI host is to be given in place of the things themselves."""

    def __init__(self, held: Held) -> None:
        self._lock = threading.Lock()
        self._switches: dict[str, Switch] = {name: _switch(name) for name in held.names()}
        self._listeners: list[Listener] = []
        self.held = held.mapped(self._wrap, self._wrap, self._wrap, self._wrap, self._wrap)

    def _wrap(self, name: str, thing: T) -> T:
        switches = self._switches

        def gate(inner: Any, operation: str, /, *args: Any) -> Any:
            switch = switches[name]  # the one in force now: `restore` puts in another
            if switch.revoked and operation != "close":
                switch.check()
            result = getattr(inner, operation)(*args)
            return membrane(result, switch)[0] if operation in OPENING else result

        return interpose(thing, gate, "live")

    def __iter__(self) -> Iterator[str]:
        return iter(self._switches)

    def __contains__(self, name: object) -> bool:
        return name in self._switches

    def works(self, name: str) -> bool:
        """Whether the grant is in force."""
        return not self._switch(name).revoked

    def revoke(self, name: str) -> None:
        """Take a grant back, at once: `revoke("/data")`, `revoke("clocks")`. Twice is the same as once."""
        with self._lock:
            switch = self._switch(name)
            changed = not switch.revoked
            switch()
        if changed:
            self._tell(name, False)

    def restore(self, name: str) -> None:
        """Grant it again; what was opened through it before it was revoked stays dead."""
        with self._lock:
            changed = self._switch(name).revoked
            if changed:
                self._switches[name] = _switch(name)
        if changed:
            self._tell(name, True)

    def listen(self, listener: Listener) -> None:
        """Call `listener(name, works)` after every change, from the thread that made it."""
        self._listeners.append(listener)

    def _tell(self, name: str, works: bool) -> None:
        for listener in list(self._listeners):
            listener(name, works)

    def _switch(self, name: str) -> Switch:
        switch = self._switches.get(name)
        if switch is None:
            raise GrantError(f"the run holds nothing named {name!r}{nearest(name, self._switches)}")
        return switch

    def __repr__(self) -> str:
        states = (f"{name}: {'granted' if self.works(name) else 'revoked'}" for name in self)
        return f"<LiveGrants {', '.join(states) or 'of nothing'}>"


def _switch(name: str) -> Switch:
    return Switch(f"{name!r} was granted, then taken back")
