"""What would let a refused call succeed: from a `Need` to a flag, text and new grants.

The only file that knows how a need is met. A refusal carries a value (`capabilities.refusal.Need`); `remedy(need,
given)` combines it with what the run was given, and the `Remedy` offers every form: `flag` for a command line, `words`,
whether it is `complete` or the user has to fill something in (`blanks`, `hint`), and `apply(grants)`. Code that shows
or uses a remedy calls these and never parses text.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .. import trace as tracing
from ..capabilities.clocks import Clocks
from ..capabilities.host.features import DEFAULT_MODE, Mode
from ..capabilities.host.hostdir import HostDir
from ..capabilities.random import Random
from ..capabilities.refusal import Need, NeedKind
from ..engine.limits import BOUNDS, Limits
from ..text.escape import visible
from ..text.shell import join, quote
from ..wasi.rights import of_directories
from .forms.flags import folder_words
from .grants import Grants
from .value import GrantError, host_folder

_PLAIN = {
    NeedKind.COMPAT: ("--rights compat", "the rights mode compat"),
    NeedKind.CLOCK: ("--clock real", "the clocks"),
    NeedKind.RANDOM: ("--random real", "randomness"),
    NeedKind.STDIN: ("--stdin -", "stdin"),
    NeedKind.STDOUT: ("--stdout", "stdout"),
    NeedKind.STDERR: ("--stderr", "stderr"),
}  # fmt: skip
"""The needs met by one flag without a value: the flag, and what it grants as text."""
_NETWORK = {
    NeedKind.CONNECT: ("--connect", "connect", "connections to"),
    NeedKind.RESOLVE: ("--resolve", "resolve", "to look up"),
    NeedKind.HTTP: ("--http", "http", "requests to"),
}  # fmt: skip
"""Network needs: the flag, the field of `Grants`, and the words before the name."""


@dataclass(frozen=True, slots=True)
class Given:
    """The part of a run's grants on which remedies depend."""

    folders: Mapping[str, str | None] = field(default_factory=dict)
    """Host folders by guest path; None for a directory that is not a host folder."""
    withheld: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The rights that are withheld, by guest path."""
    limits: Limits | None = None

    @classmethod
    def by(cls, grants: Grants) -> Given:
        """What `grants` give."""
        folders = {guest: d.path if isinstance(d, HostDir) else None for guest, d in grants.dirs.items()}
        return cls(folders, {guest: tuple(names) for guest, names in grants.withheld.items()}, grants.limits)

    @classmethod
    def in_meta(cls, meta: Mapping[str, object]) -> Given:
        """What a trace says about its run (`Trace.meta`). A file may hold anything: invalid values are ignored."""
        folders, withheld = meta.get("dirs"), meta.get("withheld")
        known = folders.items() if isinstance(folders, dict) else ()
        lists = withheld.items() if isinstance(withheld, dict) else ()
        return cls(
            {str(guest): host for guest, host in known if isinstance(host, str)},
            {str(guest): tuple(map(str, names)) for guest, names in lists if isinstance(names, (list, tuple))},
        )


@dataclass(frozen=True, slots=True)
class Remedy:
    """The smallest grant that meets a need. Two are equal when they grant the same."""

    kind: NeedKind
    guest: str = ""
    """The guest path of the directory; "" if unknown."""
    host: str | None = None
    """The folder of the host to grant; None if the user has to choose one, or no folder is granted."""
    mode: Mode = "ro"
    rights: tuple[str, ...] = ()
    """The rights that are restored."""
    left: tuple[str, ...] | None = None
    """The rights that stay withheld; None if unknown."""
    limit: str = ""
    """The field of `Limits` to raise, or the bound of the directory itself ("max_bytes", "max_names")."""
    used_up: float | None = None
    """What that limit was."""
    in_python_only: bool = False
    """Whether the directory is one that no flag can express."""

    @property
    def blanks(self) -> tuple[str, ...]:
        """What the user has to fill in, in the order of the flag: HOST, GUEST, or the unit of a limit."""
        match self.kind:
            case NeedKind.DIRECTORY | NeedKind.ABOVE | NeedKind.WRITE if self.host is None and not self.in_python_only:
                return ("HOST",) if self.guest else ("HOST", "GUEST")
            case NeedKind.LIMIT:
                return (BOUNDS[self.limit].metavar,)
        return ()

    @property
    def complete(self) -> bool:
        """Whether it names everything, so that `apply` can do it."""
        if self.kind is NeedKind.RIGHTS:
            return self.left is not None
        return not self.blanks and not self.in_python_only

    @property
    def asks_for_a_folder(self) -> bool:
        """Whether it is complete once the user has chosen a host folder."""
        return "HOST" in self.blanks

    @property
    def flag(self) -> str:
        """The flag for a command line, quoted for a shell, with a word in capitals for each blank; "" if no flag can
        express it."""
        match self.kind:
            case NeedKind.DIRECTORY | NeedKind.ABOVE | NeedKind.WRITE:
                return self._dir_flag()
            case NeedKind.RIGHTS:
                if self.left is None:
                    return ""
                return join(["--withhold", f"{self.guest}:{','.join(self.left) or 'none'}"])
            case NeedKind.LIMIT:
                return f"{BOUNDS[self.limit].flag} {self.blanks[0]}"
            case NeedKind.QUOTA:
                return ""
            case NeedKind.CONNECT | NeedKind.RESOLVE | NeedKind.HTTP:
                return join([_NETWORK[self.kind][0], self.limit])
        return _PLAIN[self.kind][0]

    def _dir_flag(self) -> str:
        if self.in_python_only:
            return ""
        if self.host is None:
            mode = "" if self.mode == DEFAULT_MODE else f":{self.mode}"
            return f"--dir HOST::{quote(self.guest + mode)}" if self.guest else f"--dir HOST[::GUEST]{mode}"
        try:
            return join(folder_words(self.guest or self.host, self.host, self.mode))
        except GrantError:  # a folder with colons in its name
            return ""

    @property
    def words(self) -> str:
        """The words that follow "grant"."""
        where = f"at {visible(self.guest)!r}" if self.guest else ""
        match self.kind:
            case NeedKind.DIRECTORY | NeedKind.ABOVE | NeedKind.WRITE:
                folder = "a folder" if self.host is None else f"the folder {visible(self.host)!r}"
                if self.in_python_only:
                    folder = "the directory"
                how = {"ro": "", "rw": " to be changed", "copy": " as a copy"}[self.mode]
                return " ".join(part for part in (folder, where) if part) + how
            case NeedKind.RIGHTS:
                return f"{', '.join(map(visible, self.rights))} in the directory {where}"
            case NeedKind.LIMIT:
                return f"more of limits.{self.limit}"
            case NeedKind.QUOTA:
                return f"a larger {self.limit} to the directory {where}".rstrip()
            case NeedKind.CONNECT | NeedKind.RESOLVE | NeedKind.HTTP:
                return f"{_NETWORK[self.kind][2]} {visible(self.limit)}"
        return _PLAIN[self.kind][1]

    @property
    def text(self) -> str:
        """The flag, or if no flag can express it, words that follow "to allow it:"."""
        return self.flag or f"grant {self.words}"

    @property
    def hint(self) -> str:
        """What the user has to fill in for each blank, "" if it is complete."""
        match self.blanks:
            case ("HOST",):
                return "HOST is the folder to give"
            case ("HOST", _) if self.kind is NeedKind.ABOVE:
                return (
                    "a path cannot leave the folder where it begins: HOST holds all of it, GUEST is what it begins with"
                )
            case ("HOST", _):
                return "HOST is the folder to give, GUEST where the program looks for it; --learn finds both"
            case (blank,) if self.used_up is not None:
                return f"{blank} is more than {BOUNDS[self.limit].text(self.used_up)}"
        return ""

    def apply(self, grants: Grants) -> Grants:
        """`grants` with it. Raises `GrantError` if it is not `complete`, and for a folder that cannot be granted."""
        if not self.complete:
            raise GrantError(f"{self.text}: {self.hint or 'this cannot be granted without knowing more'}")
        match self.kind:
            case NeedKind.DIRECTORY | NeedKind.ABOVE | NeedKind.WRITE:
                assert self.host is not None
                return grants.with_dir(self.guest or self.host, host_folder(self.host, self.mode))
            case NeedKind.RIGHTS:
                if self.guest not in grants.dirs:
                    return grants
                now = tuple(name for name in grants.withheld.get(self.guest, ()) if name not in self.rights)
                return grants.with_(withheld={**grants.withheld, self.guest: now})
            case NeedKind.COMPAT:
                return grants.with_(rights="compat")
            case NeedKind.CLOCK:
                return grants.with_(clocks=Clocks.real())
            case NeedKind.RANDOM:
                return grants.with_(random=Random.real())
            case NeedKind.STDIN:
                return grants.with_(stdin="ask")
            case NeedKind.STDOUT:
                return grants.with_(stdout=True)
            case NeedKind.STDERR:
                return grants.with_(stderr=True)
            case NeedKind.CONNECT | NeedKind.RESOLVE | NeedKind.HTTP:
                name = _NETWORK[self.kind][1]
                return grants.with_field(name, (*getattr(grants, name), self.limit))
        raise AssertionError(self.kind)  # the other kinds are never complete


def remedy(need: Need | None, given: Given) -> Remedy | None:
    """The smallest grant that meets `need` in a run that was `given` this; None if no grant would."""
    if need is None:
        return None
    match need.kind:
        case NeedKind.DIRECTORY:
            # The folder that holds the path, under the name that the program uses.
            return Remedy(need.kind, _folder_named_in(need.guest) if need.guest else "")
        case NeedKind.WRITE:
            host = given.folders.get(need.guest)
            elsewhere = need.guest in given.folders and host is None
            return Remedy(need.kind, need.guest, host, "rw", in_python_only=elsewhere)
        case NeedKind.RIGHTS:
            names = tuple(name for name in need.rights if name in of_directories())
            withheld = given.withheld.get(need.guest)
            left = None if withheld is None else tuple(name for name in withheld if name not in names)
            return Remedy(need.kind, need.guest, rights=names, left=left)
        case NeedKind.LIMIT:
            if need.limit not in BOUNDS:
                return None
            return Remedy(need.kind, limit=need.limit, used_up=getattr(given.limits, need.limit, None))
        case NeedKind.QUOTA:
            return Remedy(need.kind, need.guest, limit=visible(need.limit), in_python_only=True)
        case NeedKind.CONNECT | NeedKind.RESOLVE | NeedKind.HTTP:
            return Remedy(need.kind, limit=visible(need.limit))
    return Remedy(need.kind)


def _folder_named_in(path: str) -> str:
    """The name under which a folder must be granted for a C library to find `path` in it.

    wasi-libc compares texts: ".." stays as the program wrote it, and a path that begins with "./" is looked for in
    the folder named ".".
    """
    if path.startswith("./"):
        return "."
    path = ("/" if path.startswith("/") else "") + path.strip("/")
    return path if posixpath.basename(path) == ".." else posixpath.dirname(path) or "."


def folder_remedy(host: str, guest: str | None = None, mode: Mode = DEFAULT_MODE) -> Remedy:
    """The grant of a folder of the host, at the guest path `guest` (default: its own)."""
    return Remedy(NeedKind.DIRECTORY, (host.rstrip("/") or "/") if guest is None else guest, host, mode)


def given_to(trace: tracing.Trace, grants: Grants | None) -> Given:
    """What the run of `trace` was given: its `grants` if available, and for the rest what the trace says."""
    at_the_start = Given.in_meta(trace.meta)
    if grants is None:
        return at_the_start
    now = Given.by(grants)
    return replace(now, folders={**at_the_start.folders, **now.folders})


def denied(trace: tracing.Trace, grants: Grants | None = None) -> tracing.Refusals:
    """`trace.denied`, each refusal with its remedy as text. `grants`: what the run was given, if available."""
    given = given_to(trace, grants)

    def text(need: Need) -> str:
        met = remedy(need, given)
        return "" if met is None else met.text

    return trace.denied.with_remedies(text)
