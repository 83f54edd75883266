"""Grants that can be revoked while the guest runs: every capability of a run has its own switch.

`revoke("/data")` works at once and from any thread: the next call through it is refused, denied_by REVOKED, and so is
every call on a descriptor that was opened through it. `restore("/data")` grants it anew: it can be opened again, but
descriptors opened before the revocation stay dead, as they would with a different grant. A call that is waiting in the
host at that moment ends normally; only a read of stdin is woken.

`read_only("/data")` revokes less: reading still works, and the next change through that directory, or through anything
opened in it, is refused. `put("/data", other)` replaces the object behind the name. `update.py` applies a whole
`Grants` to a running guest.

Opened objects are behind a membrane (`capabilities/patterns.py`) with the switch in force when they were opened; the
grant itself is behind a gate that looks up the current switch. That costs each call on a descriptor 0.2 to 0.3 us
(measured), so only runs that can be switched have it: detached runs and those of the panel.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar, cast

from ...capabilities.clocks import Clocks
from ...capabilities.interpose import CHANGING, OPENING, interpose, perform
from ...capabilities.patterns import Membrane, Switch, membrane
from ...capabilities.protocols import File, OpenHow
from ...capabilities.random import RandomSource
from ...capabilities.refusal import DeniedBy, Refused
from ...capabilities.streams import AskInput
from ...wasi.host import Host
from ..value import GrantError, nearest
from .capabilities import CLOCKS, RunCapabilities
from .stand_ins import AskFile

T = TypeVar("T")
Listener = Callable[[str, bool], object]
"""Called after every change: (name of the grant, whether it works now)."""

VALUES = ("clocks", "random")
"""What the host looks up at every call, so that it can be granted to a guest that started without it."""


class GrantSwitch(Switch):
    """The switch of one grant: off, or read-only."""

    __slots__ = ("name", "read_only")

    def __init__(self, name: str, read_only: bool = False) -> None:
        super().__init__(f"{name!r} was granted, then taken back")
        self.name = name
        self.read_only = read_only
        self.restricted = read_only

    def look_only(self, on: bool) -> None:
        """Refuse changes from now on, or no longer."""
        self.read_only = on
        self.restricted = on or self.revoked
        self.changed()

    def check(self, operation: str, args: tuple[object, ...] = ()) -> None:
        super().check(operation, args)
        if self.read_only and (operation in CHANGING or (operation == "open" and cast(OpenHow, args[1]).changes)):
            reason = f"changing {self.name!r} was granted, then taken back"
            raise Refused(errno.EPERM, reason, DeniedBy.REVOKED, notcapable=True)


class LiveGrants:
    """The switches of one run. Give `held` to the WASI host instead of the original objects."""

    renew_stdin: Callable[[], File | None] | None = None
    """Makes the stream for a stdin that is restored; None: another process does."""
    host: Host | None = None
    """The host that was given `held`; without it clocks and randomness can be switched off and on, not replaced."""

    def __init__(self, held: RunCapabilities) -> None:
        self._lock = threading.Lock()
        names = held.names()
        self._absent = {name for name in VALUES if name not in names}
        self._switches = {name: GrantSwitch(name) for name in (*names, *sorted(self._absent))}
        self._listeners: list[Listener] = []
        self._watchers: list[Callable[[], object]] = []
        self._replaced: dict[str, object] = {}
        """What has replaced a name's initial object."""
        self._stdin: object = held.stdin
        self._dirs = tuple(held.preopens)
        self.held = held.mapped(self._gated, self._gated, self._gated, self._gated, self._gated, self._gated)

    def _gated(self, name: str, thing: T) -> T:
        """`thing` behind the current switch of `name`; what it opens is behind a membrane with that switch."""
        switches, replaced = self._switches, self._replaced

        def gate(inner: object, operation: str, /, *args: object) -> object:
            switch = switches[name]
            if switch.restricted and operation != "close":
                switch.check(operation, args)
            if replaced:
                inner = replaced.get(name, inner)
            result = getattr(inner, operation)(*args)
            if operation == "read" and not result:
                return self._woken(name, inner, args)
            return membrane(result, switch)[0] if operation in OPENING else result

        return interpose(thing, gate, "live", _LiveGate(self, name))

    def _woken(self, name: str, inner: object, args: tuple[object, ...]) -> int:
        """The result of a read without data: the stream is at its end, or a switch ended the wait."""
        while True:
            self._switches[name].check("read", args)
            now = self._replaced.get(name, inner)
            if now is inner:
                return 0
            inner = now
            result = cast(int, perform(inner, "read", *args))
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
        """Revoke a grant at once: `revoke("/data")`, `revoke("clocks")`. Idempotent."""
        with self._lock:
            switch = self._switch(name)
            changed = not switch.revoked
            switch()
            self._changed()
        if name == "stdin":
            self._wake()
        if changed:
            self._tell(name, False)

    def restore(self, name: str) -> None:
        """Grant it again; descriptors opened before it was revoked stay dead.

        A stdin that is a text continues where it was; of an interactive one, only what is typed from now on is read.
        """
        with self._lock:
            former = self._switch(name)
            ended = name == "stdin" and former.revoked and self._typed_input() is not None
        if ended and self.renew_stdin is not None:
            self.put(name, self.renew_stdin())
            return
        with self._lock:
            if former.revoked:
                self._switches[name] = GrantSwitch(name, former.read_only)
                self._changed()
        if former.revoked:
            self._tell(name, True)

    def read_only(self, name: str, on: bool = True) -> None:
        """Make a directory read-only at once; `on=False` allows changes again.

        Open descriptors stay open. This never gives more than the run was given. Raises `GrantError` for what is not a
        directory of the run.
        """
        if name not in self._dirs:
            raise GrantError(f"the run holds no directory {name!r}{nearest(name, self._dirs)}")
        with self._lock:
            switch = self._switch(name)
            changed = on != switch.read_only
            switch.look_only(on)
            self._changed()
        if changed:
            self._tell(name, self.works(name))

    def is_read_only(self, name: str) -> bool:
        """Whether a directory has been made read-only."""
        return name in self._switches and self._switches[name].read_only

    def put(self, name: str, thing: object, *, keep: bool = False) -> None:
        """Replace the object under a name, from the next call on: a directory, a stdin, `Clocks`, randomness.

        Descriptors opened through the old one are dead, unless kept (`keep`: the same folder, with more rights).
        """
        with self._lock:
            former = self._switch(name)
            if name == "clocks":
                spec = cast(Clocks, thing).spec
                clocks = Clocks(*(self._gated(name, getattr(thing, kind)) for kind in CLOCKS), spec=spec)
                if self.host is not None:
                    self.host.use_clocks(clocks)
            elif name == "random":
                if self.host is not None:
                    self.host.use_random(self._gated(name, cast(RandomSource, thing)))
            else:
                self._replaced[name] = thing
            self._absent.discard(name)
            if former.revoked or not keep:
                self._switches[name] = GrantSwitch(name, keep and former.read_only)
                former()
            self._changed()
        if name == "stdin":
            self._wake()
            self._stdin = thing
        self._tell(name, True)

    def _wake(self) -> None:
        """Wake a guest that waits for a line: its stream has ended."""
        typed = self._typed_input()
        if typed is not None:
            typed.end()

    def _typed_input(self) -> AskInput | None:
        stream = self._stdin.stream if isinstance(self._stdin, AskFile) else self._stdin
        return stream if isinstance(stream, AskInput) else None

    def listen(self, listener: Listener) -> None:
        """Call `listener(name, works)` after every change, from the thread that made it."""
        self._listeners.append(listener)

    def _changed(self) -> None:
        for watcher in list(self._watchers):
            watcher()

    def _tell(self, name: str, works: bool) -> None:
        for listener in list(self._listeners):
            listener(name, works)

    def _switch(self, name: str) -> GrantSwitch:
        switch = self._switches.get(name)
        if switch is None:
            raise GrantError(f"the run holds nothing named {name!r}{nearest(name, self._switches)}")
        return switch

    def __repr__(self) -> str:
        states = (f"{name}: {self._state(name)}" for name in self)
        return f"<LiveGrants {', '.join(states) or 'of nothing'}>"

    def _state(self, name: str) -> str:
        return "granted" if self.works(name) else "not granted" if name in self._absent else "revoked"


@dataclass(frozen=True)
class _LiveGate:
    """What `look_through` knows about the gate of a grant (`interpose.PassThrough`)."""

    grants: LiveGrants
    name: str

    def is_open(self) -> bool:
        return not self.grants._switches[self.name].restricted

    def behind(self, thing: object) -> object:
        return self.grants._replaced.get(self.name, thing)

    def as_now(self) -> Membrane:
        return Membrane(self.grants._switches[self.name])

    def wrap(self, thing: T) -> T:
        return self.as_now().wrap(thing)

    def watch(self, changed: Callable[[], object]) -> None:
        if changed not in self.grants._watchers:
            self.grants._watchers.append(changed)
