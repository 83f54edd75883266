"""Change the grants of a running run: the effect of each difference, and what cannot change.

`LiveUpdate.become(grants)` gives a detached run other grants. Reductions take effect with the next call, which is
refused as revoked. Replacements and additions apply from the next call on: another mode of a folder, another kind of
clock, a variable, more seconds. Some things are fixed at the start, because the guest reads them once or the engine
sets them then: `fixed` names them with the reason, and `become` leaves them unchanged and reports them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from ...capabilities.host.hostdir import HostDir
from ...capabilities.protocols import Directory, File
from ...capabilities.strings import GivenStrings
from ...engine.limits import BOUNDS, Limits
from ...wasi.host import Host
from ...wasi.rights import bits
from ..code_folders import check_code_folders
from ..fields import grant_fields
from ..forms.withheld import masks
from ..grants import Grants
from ..value import GivenStdin, GrantError, given
from .switches import LiveGrants

NO_STREAM = "the program was started without it"
_SET_LIMITS = {name: bound.fixed for name, bound in BOUNDS.items() if bound.fixed}


class LiveUpdate:
    """What is needed to change the grants of a running run. `now` are its current grants."""

    def __init__(
        self,
        grants: Grants,
        live: LiveGrants,
        host: Host,
        dirs: dict[str, Directory],
        words: Sequence[bytes],
        *,
        argv: GivenStrings,
        environ: GivenStrings,
        stdin: Callable[[GivenStdin], File | None],
        limit: Callable[[Limits], None],
        faults: Callable[[Sequence[str]], None],
    ) -> None:
        """`dirs`: the directories of the run, which are kept up to date; `words`: argv, in case it is granted; `stdin`
        makes the stream for a `Grants.stdin`; `limit` applies limits, `faults` faults (it raises
        `GrantError` for a component)."""
        self.now = self._start = grants
        self.live = live
        self._host = host
        self._dirs = dirs
        self._words = words
        self._argv = argv
        self._environ = environ
        self._stdin = stdin
        self._limit = limit
        self._faults = faults
        self._behind = dict(grants.dirs)
        """The grant of the directory behind each name, without what `LiveGrants.read_only` revoked."""
        self._lock = threading.RLock()
        self._set_fields = {name: each.fixed for name, each in grant_fields(type(grants)).items() if each.fixed}
        self.fixed: dict[str, str] = {**self._set_fields, **_SET_LIMITS}
        """What cannot be changed in this run, with the reason: fields of `Grants` and `Limits`, and streams. "dirs"
        refers to additional ones."""
        self.fixed |= {name: NO_STREAM for name in ("stdin", "stdout", "stderr") if name not in live}

    def become(self, grants: Grants) -> dict[str, str]:
        """Apply `grants` to the run. Returns what cannot change until its end, by name, with the reason.

        Raises `GrantError`, having changed nothing, for a folder that cannot be copied.
        """
        with self._lock:
            check_code_folders(grants)
            fresh = self._fresh(grants)
            self._inject(grants)
            self._directories(grants, fresh)
            self._streams(grants)
            self._values(grants)
            if grants.limits != self.now.limits:
                self._limit(grants.limits)
            self.now = grants
        return self._left(grants)

    def become_values(self, grants: Grants, withheld: Mapping[str, Sequence[str]]) -> None:
        """Apply only the clocks, randomness, argv, variables, limits and faults of `grants` to the run, and the rights
        withheld from its directories."""
        with self._lock:
            self._inject(grants)
            for name, directory in self._behind.items():
                self._host.regrant(name, bits(withheld.get(name, ())), writable=directory.writable)
            self._values(grants)
            if grants.limits != self.now.limits:
                self._limit(grants.limits)
            self.now = self.now.with_(
                clocks=grants.clocks, random=grants.random, args=grants.args, env=grants.env, limits=grants.limits,
                faults=grants.faults,
            )  # fmt: skip

    def _inject(self, grants: Grants) -> None:
        if grants.faults != self.now.faults:
            self._faults([str(fault) for fault in grants.faults])

    # ---- directories

    def _fresh(self, grants: Grants) -> dict[str, Directory]:
        """The directories that replace others under a name, made for this run."""
        made = {}
        for name, directory in grants.dirs.items():
            former = self._behind.get(name)
            if former is not None and former is not directory and former != directory and not _one(former, directory):
                try:
                    make = getattr(directory, "fresh", None)
                    made[name] = directory if make is None else make()
                except (ValueError, OSError) as error:
                    raise GrantError(str(error)) from None
        return made

    def _directories(self, grants: Grants, fresh: dict[str, Directory]) -> None:
        withheld = masks(grants)
        for name, former in self._behind.items():
            directory = grants.dirs.get(name)
            if directory is None:
                self.live.revoke(name)
                continue
            if name in fresh:
                self.live.put(name, fresh[name])
                self._dirs[name] = fresh[name]
                self._behind[name] = directory
            elif directory.writable and not former.writable:
                self.live.put(name, directory, keep=True)
                self._behind[name] = directory
            else:
                self.live.restore(name)
            self.live.read_only(name, self._behind[name].writable and not directory.writable)
            self._host.regrant(name, withheld.get(name, 0), writable=self._behind[name].writable)

    # ---- everything else

    def _streams(self, grants: Grants) -> None:
        for name in ("stdout", "stderr"):
            if name in self.live:
                (self.live.restore if getattr(grants, name) or self._asks_for(name) else self.live.revoke)(name)
        for name in self.live:
            if name.startswith("listen "):
                wanted = any(name == f"listen {socket.address}" for socket in grants.sockets)
                (self.live.restore if wanted else self.live.revoke)(name)
        if "stdin" not in self.live:
            return
        if grants.stdin is None:
            (self.live.restore if self._asks_for("stdin") else self.live.revoke)("stdin")
        elif given(grants, "stdin") != given(self.now, "stdin") or not self.live.works("stdin"):
            self._renew_stdin(grants)

    def _renew_stdin(self, grants: Grants) -> None:
        self.live.put("stdin", self._stdin(grants.stdin))

    def _values(self, grants: Grants) -> None:
        for name in ("clocks", "random"):
            wanted = getattr(grants, name)
            if wanted.spec == "none":
                if self._asks_for(name):
                    self.live.restore(name)
                elif self.live.works(name):
                    self.live.revoke(name)
            elif wanted != getattr(self.now, name):
                make = getattr(wanted, "fresh", None)
                self.live.put(name, wanted if make is None else make())
            else:
                self.live.restore(name)
        self._strings("argv", self._argv, self._words if grants.args else (), self.now.args)
        variables = [f"{name}={value}".encode() for name, value in grants.env.items()]
        self._strings("env", self._environ, variables, bool(self.now.env))

    def _asks_for(self, name: str) -> bool:
        """Whether the guest holds the stand-in of ask mode for it, which no grant has replaced."""
        values = (getattr(grants, name) for grants in (self._start, self.now))
        return self._start.ask and all(getattr(value, "spec", value) in (None, False, "none") for value in values)

    def _strings(self, name: str, strings: GivenStrings, wanted: Sequence[bytes], had: bool) -> None:
        if wanted:
            strings.put(wanted)
            self.live.restore(name)
        elif had:
            self.live.revoke(name)

    def _left(self, grants: Grants) -> dict[str, str]:
        """The parts of `grants` that this run does not have."""
        left = {guest: self.fixed["dirs"] for guest in grants.dirs if guest not in self._behind}
        for name in ("stdin", "stdout", "stderr"):
            if name in self.fixed and getattr(grants, name) not in (None, False):
                left[name] = NO_STREAM
        if any(f"listen {socket.address}" not in self.live for socket in grants.sockets):
            left["sockets"] = self.fixed["sockets"]
        start = self._start
        for name, why in self._set_fields.items():
            if name not in ("dirs", "sockets") and getattr(grants, name) != getattr(start, name):
                left[name] = why
        for name, why in _SET_LIMITS.items():
            if getattr(grants.limits, name) != getattr(start.limits, name):
                left[name] = why
        return left


def _one(former: Directory, directory: Directory) -> bool:
    """Whether two grants refer to the same host folder, in any mode."""
    if not isinstance(former, HostDir) or not isinstance(directory, HostDir):
        return False
    return former.real == directory.real and "copy" not in (former.mode, directory.mode)
