"""Grants that can be taken back while the guest runs: every capability of a run behind a switch of its own.

`LiveGrants(held)` puts a membrane (`capabilities/patterns.py`) around each thing that the guest holds.
`revoke("/data")` works at once and from any thread: the next call through it is refused, denied_by REVOKED, and so is
every call on a descriptor that was ever opened through it. `restore("/data")` grants it anew: it can be opened again,
but what was opened before the revocation stays dead, as it would if the grant were another one. A call that is waiting
in the host at that moment ends as it would have; only a read of stdin is woken.

`read_only("/data")` takes back less: looking goes on, and the next change through that directory, or through anything
opened in it, is refused. `put("/data", other)` lets another thing stand behind the name. What a whole `Grants` means
for a run that goes on is decided in `regrant.py`.

A membrane costs each call on a descriptor a little (0.2 to 0.3 us, measured), so only runs that somebody can switch
have one: detached runs and those of the panel.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from ...capabilities.clocks import Clocks
from ...capabilities.interpose import CHANGING, OPENING, interpose
from ...capabilities.patterns import Switch
from ...capabilities.refusal import DeniedBy, Refused
from ...capabilities.streams import AskInput
from ...wasi.host import Host
from ..value import GrantError, nearest
from .capabilities import CLOCKS, RunCapabilities

T = TypeVar("T")
Listener = Callable[[str, bool], object]
"""Told of every change: (name of the grant, whether it works now)."""

VALUES = ("clocks", "random")
"""What the host asks for anew at every call, so that it can be given to a guest that was started without it."""


class LiveGrants:
    """The switches of one run. `held` is what the WASI host is to be given in place of the things themselves."""

    host: Host | None = None
    """The host that was given `held`; without it clocks and randomness can be switched off and on, not replaced."""

    def __init__(self, held: RunCapabilities) -> None:
        self._lock = threading.Lock()
        names = held.names()
        self._absent = {name for name in VALUES if name not in names}
        self._switches: dict[str, Switch] = {name: _switch(name) for name in (*names, *sorted(self._absent))}
        self._listeners: list[Listener] = []
        self._looking: set[str] = set()
        self._behind: dict[str, Any] = {}
        """What stands behind a name in place of what the run began with."""
        self._stdin: Any = held.stdin
        self._dirs = tuple(held.preopens)
        self.held = held.mapped(self._wrap, self._wrap, self._wrap, self._wrap, self._wrap, self._wrap)

    def _wrap(self, name: str, thing: T, mine: Switch | None = None) -> T:
        """`thing` behind the switch `mine`, that of its opening; a grant itself is behind the one in force now."""
        switches, looking, behind = self._switches, self._looking, self._behind

        def gate(inner: Any, operation: str, /, *args: Any) -> Any:
            switch = mine or switches[name]  # `restore` puts in another
            if switch.revoked and operation != "close":
                switch.check()
            if looking and name in looking and (operation in CHANGING or (operation == "open" and args[1].changes)):
                raise Refused(errno.EPERM, f"changing {name!r} was granted, then taken back", DeniedBy.REVOKED,
                    notcapable=True)  # fmt: skip
            if behind and mine is None:
                inner = behind.get(name, inner)
            result = getattr(inner, operation)(*args)
            if operation == "read" and not result and mine is None:
                return self._woken(name, inner, args)
            return self._wrap(name, result, switch) if operation in OPENING else result

        return interpose(thing, gate, "live")

    def _woken(self, name: str, inner: Any, args: tuple[Any, ...]) -> int:
        """A read of a stream that got nothing: because it is at its end, or because it was woken by a switch."""
        while True:
            self._switches[name].check()
            now = self._behind.get(name, inner)
            if now is inner:
                return 0
            inner = now
            result: int = inner.read(*args)
            if result:
                return result

    def __iter__(self) -> Iterator[str]:
        return iter(self._switches)

    def __contains__(self, name: object) -> bool:
        return name in self._switches

    def works(self, name: str) -> bool:
        """Whether the grant is in force."""
        return not self._switch(name).revoked and name not in self._absent

    def revoke(self, name: str) -> None:
        """Take a grant back, at once: `revoke("/data")`, `revoke("clocks")`. Twice is the same as once."""
        with self._lock:
            switch = self._switch(name)
            changed = not switch.revoked
            switch()
        if name == "stdin":
            self._wake()
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

    def read_only(self, name: str, on: bool = True) -> None:
        """Take the right to change a directory back, at once, and leave that to look; `on=False` gives it again.

        What is opened stays open. It never gives more than the run was given. Raises `GrantError` for what is no
        directory of the run.
        """
        if name not in self._dirs:
            raise GrantError(f"the run holds no directory {name!r}{nearest(name, self._dirs)}")
        with self._lock:
            changed = on != (name in self._looking)
            (self._looking.add if on else self._looking.discard)(name)
        if changed:
            self._tell(name, self.works(name))

    def is_read_only(self, name: str) -> bool:
        """Whether the right to change a directory has been taken back."""
        return name in self._looking

    def put(self, name: str, thing: Any, *, keep: bool = False) -> None:
        """Grant another thing under the name, from the next call on: a directory, a stdin, `Clocks`, randomness.

        What was opened through the former is dead, unless it is to be kept (`keep`: the same folder, with more rights).
        """
        with self._lock:
            former = self._switch(name)
            if name == "clocks":
                clocks = Clocks(*(self._wrap(name, getattr(thing, kind)) for kind in CLOCKS), spec=thing.spec)
                if self.host is not None:
                    self.host.use_clocks(clocks)
            elif name == "random":
                if self.host is not None:
                    self.host.random = self._wrap(name, thing)
            else:
                self._behind[name] = thing
            self._absent.discard(name)
            if not keep:
                self._looking.discard(name)
            if former.revoked or not keep:
                self._switches[name] = _switch(name)
                former()
        if name == "stdin":
            self._wake()
            self._stdin = thing
        self._tell(name, True)

    def _wake(self) -> None:
        """Let a guest that waits for a line look again: the stream that it waits at is over."""
        if isinstance(self._stdin, AskInput):
            self._stdin.end()

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
        states = (f"{name}: {self._state(name)}" for name in self)
        return f"<LiveGrants {', '.join(states) or 'of nothing'}>"

    def _state(self, name: str) -> str:
        return "granted" if self.works(name) else "not granted" if name in self._absent else "revoked"


def _switch(name: str) -> Switch:
    return Switch(f"{name!r} was granted, then taken back")
