"""`Grants`: everything that a guest is given, as one value that can be read, compared, printed and saved.

A grant is a name and a capability object; what is not named here does not exist for the guest. The value is
frozen: the panel, the flags of a cell and a policy file all build new ones. How a grant is written as flags and
read from them is in `flags.py`, as a TOML file in `policy.py`; what a run used of it is in `compare.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Literal, Self, TypedDict, Unpack

from ..capabilities.clocks import Clocks
from ..capabilities.host.folder import BadFolder
from ..capabilities.host.hostdir import HostDir, copy_in_writable
from ..capabilities.host.sockets import ListenSocket
from ..capabilities.memory.memdir import MemDir
from ..capabilities.protocols import Directory, File
from ..capabilities.random import Random
from ..engine.limits import Limits
from ..text.nearest import did_you_mean
from ..wasi.preview1.spec import SNAPSHOT1
from .forms.withheld import checked

Rights = Literal["strict", "compat"]


class GrantError(ValueError):
    """A grant that cannot be given: the message names it and says what to write instead."""


class GrantFields(TypedDict, total=False):
    """The fields of `Grants` as keyword arguments, so that a type checker knows a wrong one at the caller."""

    dirs: Mapping[str, Directory]
    withheld: Mapping[str, Iterable[str]]
    env: Mapping[str, str]
    args: bool
    stdin: bytes | File | Literal["ask"] | None
    stdout: bool
    stderr: bool
    clocks: Clocks
    random: Random
    sockets: tuple[ListenSocket, ...]
    limits: Limits
    rights: Rights
    ask: bool
    overrides: Mapping[str, Callable[..., Any]]


@dataclass(frozen=True, eq=False, repr=False)
class Grants:
    """What a guest is given. `Grants()` is the default; `Grants.nothing()` is nothing at all.

    The default holds argv, stdout, stderr, an empty stdin, real clocks and real randomness, because almost every
    language's runtime needs them before `main`; no directory, environment variable or socket is ever there
    unless it is named. Two values are equal when they give the same things.
    """

    dirs: Mapping[str, Directory] = field(default_factory=dict)
    """Preopened directories by their guest path. A `str` value is short for `HostDir(value, mode="ro")`."""
    withheld: Mapping[str, Iterable[str]] = field(default_factory=dict)
    """Rights of preview1, by name, that a directory and all beneath it lack: guest path -> names (`withheld.py`)."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Environment variables."""
    args: bool = True
    """Whether the guest sees its argv (without, it sees no argument, not even argv[0])."""
    stdin: bytes | File | Literal["ask"] | None = b""
    """Descriptor 0: bytes, a file of your own, "ask" (the person at the notebook or terminal), or None: absent."""
    stdout: bool = True
    """Descriptor 1."""
    stderr: bool = True
    """Descriptor 2."""
    clocks: Clocks = field(default_factory=Clocks.real)
    """The four clocks: real, frozen, stepped, coarse or none."""
    random: Random = field(default_factory=Random.real)
    """The source behind random_get: real, seeded or none."""
    sockets: tuple[ListenSocket, ...] = ()
    """Listening sockets, preopened after the directories."""
    limits: Limits = field(default_factory=Limits)
    """How much of everything: fuel, memory, seconds, descriptors, bytes."""
    rights: Rights = "strict"
    """Preview1's rights model: "strict" as specified, "compat" as Wasmtime behaves today."""
    ask: bool = False
    """Whether what is not granted is asked for, on first use, of the person at the notebook or terminal; where there is
    nobody to ask it is refused."""
    overrides: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    """Python functions in place of calls: name -> function(original, *decoded arguments)."""

    def __post_init__(self) -> None:
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)  # frozen: this is the one way in

        for name, example in _MAPPINGS:
            if not isinstance(getattr(self, name), Mapping):
                raise GrantError(f"{name} is a {type(getattr(self, name)).__name__}, not a mapping: write {example}")
        for name, kind, example in _KINDS:
            if not isinstance(getattr(self, name), kind):
                raise GrantError(f"{name}={getattr(self, name)!r:.80}: write for example {name}={example}")
        dirs: dict[str, Directory] = {}
        for guest, directory in self.dirs.items():
            if isinstance(directory, str):
                directory = host_folder(directory)
            check_guest_path(guest)
            if not isinstance(directory, Directory):
                raise GrantError(
                    f"dirs[{guest!r}] is {type(directory).__name__}, not a directory: give HostDir(path), MemDir(), "
                    "or an object with the methods of wasilab.capabilities.directory.Directory"
                )
            dirs[guest] = directory
        if both := copy_in_writable(dirs):
            raise GrantError(
                f"the folder granted as copy at {both[0]!r} lies in the one granted as rw at {both[1]!r}, where the "
                f"program could change it: grant {both[1]!r} as copy or ro, or {both[0]!r} as rw"
            )
        put("dirs", MappingProxyType(dirs))
        put("withheld", MappingProxyType(checked(dirs, self.withheld)))
        for name, value in self.env.items():
            if not isinstance(name, str) or not isinstance(value, str):
                raise GrantError(f"env[{name!r}] must map a str to a str")
            if not name or "=" in name or "\0" in name + value:
                raise GrantError(f"environment variable {name!r}: a name is not empty and holds no '=' or NUL")
        put("env", MappingProxyType(dict(self.env)))
        if (isinstance(self.stdin, str) and self.stdin != "ask") or not (
            self.stdin is None or isinstance(self.stdin, (str, bytes)) or hasattr(self.stdin, "read")
        ):
            raise GrantError(f"stdin={self.stdin!r}: give bytes, a file object, 'ask' or None (text: .encode())")
        if not hasattr(self.random, "fill"):
            raise GrantError(f"random={self.random!r:.80}: write for example random=Random.seeded(1)")
        if self.rights not in ("strict", "compat"):
            raise GrantError(f"rights={self.rights!r}: the modes are 'strict' and 'compat'")
        put("sockets", tuple(self.sockets))
        for socket in self.sockets:
            if not hasattr(socket, "address"):
                raise GrantError(f"sockets: {socket!r:.80} is no socket: write [listen('127.0.0.1:8080')]")
        for call, function in self.overrides.items():
            if not callable(function):
                raise GrantError(f"overrides[{call!r}] is a {type(function).__name__}, not a function")
            if call not in SNAPSHOT1:
                raise GrantError(f"overrides[{call!r}]: no such WASI call{nearest(call, SNAPSHOT1)}")
        put("overrides", MappingProxyType(dict(self.overrides)))

    def __repr__(self) -> str:
        """A Python expression for it; the files of a directory in memory are left out where they are many."""
        from .forms.python import to_python

        return to_python(self, contents=200)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grants):
            return NotImplemented
        mine, theirs = ([given(g, f.name) for f in fields(Grants)] for g in (self, other))
        return mine == theirs

    def __hash__(self) -> int:
        return hash((tuple(self.dirs), tuple(self.env), self.args, self.stdout, self.stderr, self.rights, self.limits))

    @classmethod
    def nothing(cls, **given: Unpack[GrantFields]) -> Self:
        """No argv, no stdio, no clock, no randomness, nothing; then what is `given` by name."""
        _check_names(given)
        none: GrantFields = {
            "args": False,
            "stdin": None,
            "stdout": False,
            "stderr": False,
            "clocks": Clocks.nothing(),
            "random": Random.nothing(),
        }
        none.update(given)
        return cls(**none)

    def with_(self, **changes: Unpack[GrantFields]) -> Self:
        """These grants with some fields replaced; what was withheld from a directory goes when the directory goes."""
        _check_names(changes)
        if "dirs" in changes and "withheld" not in changes:
            changes["withheld"] = {g: names for g, names in self.withheld.items() if g in changes["dirs"]}
        return replace(self, **changes)

    def with_dir(self, guest: str, directory: Directory | str) -> Self:
        """These grants and one more directory (or another one at that guest path, from which the same is withheld)."""
        given = host_folder(directory) if isinstance(directory, str) else directory
        return self.with_(dirs={**self.dirs, guest: given})

    def without_dir(self, guest: str) -> Self:
        """These grants without the directory at that guest path."""
        if guest not in self.dirs:
            raise GrantError(f"no directory is granted at {guest!r}{nearest(guest, self.dirs)}")
        return self.with_(dirs={g: d for g, d in self.dirs.items() if g != guest})

    def to_flags(self) -> list[str]:
        """The same grants as command-line flags; raises `GrantError` for what only Python can say."""
        from .forms.flags import to_flags

        return to_flags(self)

    def to_toml(self) -> str:
        """The same grants as a policy file."""
        from .forms.toml import to_toml

        return to_toml(self)

    def to_python(self) -> str:
        """The same grants as a Python expression."""
        from .forms.python import to_python

        return to_python(self)

    def save(self, path: str) -> None:
        """Write a policy file (TOML)."""
        from .forms.toml import save

        save(self, path)

    @classmethod
    def load(cls, *paths: str) -> Grants:
        """Read policy files; a later file adds to and overrides the earlier ones."""
        from .forms.toml import load

        return load(*paths)


_MAPPINGS = (
    ("dirs", '{"/data": HostDir("data")}'), ("env", '{"LANG": "C"}'), ("overrides", "{}"),
    ("withheld", '{"/data": ["path_unlink_file"]}'),
)  # fmt: skip
_KINDS: tuple[tuple[str, type | tuple[type, ...], str], ...] = (
    ("args", bool, "True"), ("stdout", bool, "True"), ("stderr", bool, "True"), ("ask", bool, "True"),
    ("clocks", Clocks, "Clocks.stepped(1000)"),
    ("limits", Limits, "Limits(seconds=5)"), ("sockets", (list, tuple), "[listen('127.0.0.1:8080')]"),
)  # fmt: skip
"""What fields must be, and how to write one."""


def given(grants: Grants, name: str) -> Any:
    """What a field gives, as a value to compare: directories in memory by their contents and limits, in order."""
    value = getattr(grants, name)
    if name == "dirs":
        return [(guest, memory_key(d) if isinstance(d, MemDir) else d) for guest, d in value.items()]
    if name == "stdin":
        return type(value).__name__, value
    return value


def _check_names(given: GrantFields) -> None:
    wrong = [name for name in given if name not in Grants.__dataclass_fields__]
    if wrong:
        raise TypeError(f"grants have no field {wrong[0]!r}{nearest(wrong[0], Grants.__dataclass_fields__)}")


def memory_key(directory: MemDir) -> tuple[object, ...]:
    """A directory in memory as a value: its contents, its quota in bytes and names, whether it can be changed."""
    tree = directory._tree
    return directory.files(), tree.max_bytes, tree.max_names, directory.writable


def host_folder(path: str, mode: str = "ro") -> HostDir:
    """The host directory `path`; raises `GrantError` with the reason and the remedy when it cannot be granted."""
    try:
        return HostDir(path, mode=mode)  # type: ignore[arg-type]
    except BadFolder as error:
        raise GrantError(str(error)) from None


TAKEN = frozenset(("argv", "env", "clocks", "random", "stdin", "stdout", "stderr", "sockets", "+"))
"""The names of the other grants, by which they are switched and counted: a directory cannot have one of them."""


def check_guest_path(guest: str) -> None:
    """Raise `GrantError` unless `guest` can name a preopened directory."""
    if guest in TAKEN:
        raise GrantError(
            f"guest path {guest!r}: this is the name of another grant; write './{guest}', which C and Rust programs "
            f"take for the same (--dir {guest}::./{guest})"
        )
    if not isinstance(guest, str) or not guest or "\0" in guest:
        raise GrantError(f"guest path {guest!r}: it is not empty and holds no NUL; write for example '/data' or '.'")
    if len(guest.encode("utf-8", "surrogatepass")) > 4096:
        raise GrantError("a guest path has at most 4096 bytes")


def nearest(word: str, valid: Any) -> str:
    """`"; did you mean 'x'?"` for the valid name nearest to `word`, or the list of all when none is near."""
    names = sorted(str(v) for v in valid)
    return did_you_mean(word, names, f" (valid: {', '.join(names)})" if 0 < len(names) <= 20 else "")
