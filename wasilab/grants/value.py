"""The value behind `Grants`: its fields with their descriptions, their valid values, and equality.

Everything that reads or writes grants (flags, policies, Python, JSON, advice, the panel) works on a `GrantValue` and
loops over its fields (`fields.grant_fields`). `grants.Grants` is this value with those forms as methods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Literal, Self, TypedDict, TypeVar, Unpack

from ..capabilities import host as host_objects
from ..capabilities.clocks import Clocks
from ..capabilities.host.features import DEFAULT_MODE, Mode
from ..capabilities.host.folder import BadFolder
from ..capabilities.host.hostdir import HostDir, copy_in_writable
from ..capabilities.memory.memdir import MemDir
from ..capabilities.protocols import Directory, File
from ..capabilities.random import Random
from ..engine.compiling.wasm_features import FeatureError, features, read_feature
from ..engine.limits import Limits
from ..text.nearest import did_you_mean
from ..text.numbers import with_article
from ..wasi.preview1.spec import SNAPSHOT1
from ..wasi.rights import of_directories
from .faults import Fault
from .fields import FieldShape, GrantField, SourceKind, grant, grant_fields

T = TypeVar("T")

Rights = Literal["strict", "compat"]
GivenStdin = bytes | File | Literal["ask"] | None
"""A guest's stdin: bytes, a file, "ask" (what the user types), or None: absent."""
MODES: tuple[Mode, ...] = ("ro", "rw", "copy")

_REAL, _NOTHING = SourceKind("real"), SourceKind("none")
_NS_SINCE_1970 = "ns since 1970"


class GrantError(ValueError):
    """An invalid grant: the message names it and says what to write instead."""


class GrantArguments(TypedDict, total=False):
    """The fields of `Grants` as keyword arguments, so that a type checker knows a wrong one at the caller."""

    dirs: Mapping[str, Directory]
    withheld: Mapping[str, Iterable[str]]
    env: Mapping[str, str]
    args: bool
    stdin: GivenStdin
    stdout: bool
    stderr: bool
    clocks: Clocks
    random: Random
    sockets: tuple[host_objects.sockets.ListenSocket | host_objects.channel.ChannelEnd, ...]
    faults: Sequence[str | Fault]
    connect: tuple[str, ...]
    resolve: tuple[str, ...]
    http: tuple[str, ...]
    limits: Limits
    rights: Rights
    ask: bool
    writable_code: bool
    features: tuple[str, ...]
    overrides: Mapping[str, Callable[..., object]]


@dataclass(frozen=True, eq=False, repr=False)
class GrantValue:
    """What a guest is given. See `grants.Grants`."""

    dirs: Mapping[str, Directory] = field(
        default_factory=dict,
        metadata=grant(
            FieldShape.DIRS,
            "grant a host directory; ro to read, rw to change it, copy to change a copy in memory; "
            f"{DEFAULT_MODE} by default",
            type=Mapping,
            example='{"/data": HostDir("data")}',
            flag="--dir",
            toml=("dirs", ""),
            family="path",
            fixed="a program learns the names of its folders when it starts",
        ),
    )
    """Preopened directories by guest path. A `str` value is short for `HostDir(value)`."""
    withheld: Mapping[str, Iterable[str]] = field(
        default_factory=dict,
        metadata=grant(
            FieldShape.WITHHELD,
            "withhold preview1 rights, such as path_unlink_file, from a granted directory and all beneath it; or none",
            type=Mapping,
            example='{"/data": ["path_unlink_file"]}',
            flag="--withhold",
            toml=("dirs", ""),
        ),
    )
    """Rights of preview1, by name, that a directory and all beneath it lack: guest path -> names."""
    env: Mapping[str, str] = field(
        default_factory=dict,
        metadata=grant(
            FieldShape.VARIABLES,
            "grant an environment variable",
            type=Mapping,
            example='{"LANG": "C"}',
            flag="--env",
            toml=("env", ""),
            name="env",
            family="environ",
        ),
    )
    """Environment variables."""
    args: bool = field(
        default=True,
        metadata=grant(
            FieldShape.SWITCH,
            "whether the guest has the program's arguments",
            type=bool,
            example="True",
            flag="--argv",
            toml=("stdio", "argv"),
            name="argv",
            family="args",
            nothing=bool,
        ),
    )
    """Whether the guest sees its argv (otherwise it sees no argument, not even argv[0])."""
    stdin: GivenStdin = field(
        default=b"",
        metadata=grant(
            FieldShape.STDIN,
            "what the guest reads: a file, - for you (or the pipe on stdin), none",
            type=object,
            example='b"text"',
            flag="--stdin",
            toml=("stdio", "stdin"),
            name="stdin",
            family="fd",
            nothing=lambda: None,
        ),
    )
    """Descriptor 0: bytes, a file of your own, "ask" (the user at the notebook or terminal), or None: absent."""
    stdout: bool = field(
        default=True,
        metadata=grant(
            FieldShape.SWITCH,
            "whether the guest has stdout",
            type=bool,
            example="True",
            flag="--stdout",
            toml=("stdio", "stdout"),
            name="stdout",
            family="fd",
            nothing=bool,
        ),
    )
    """Descriptor 1."""
    stderr: bool = field(
        default=True,
        metadata=grant(
            FieldShape.SWITCH,
            "whether the guest has stderr",
            type=bool,
            example="True",
            flag="--stderr",
            toml=("stdio", "stderr"),
            name="stderr",
            family="fd",
            nothing=bool,
        ),
    )
    """Descriptor 2."""
    clocks: Clocks = field(
        default_factory=Clocks.real,
        metadata=grant(
            FieldShape.SOURCE,
            "real, frozen[:NS], stepped:NS, coarse:NS or none",
            type=Clocks,
            example="Clocks.stepped(1000)",
            flag="--clock",
            toml=("clocks", "kind"),
            name="clocks",
            family="clock",
            parse=Clocks.parse,
            nothing=Clocks.nothing,
            kinds=(
                _REAL,
                SourceKind("coarse", "1000000", "ns a step"),
                SourceKind("stepped", "1000", "ns a reading"),
                SourceKind("frozen", "0", _NS_SINCE_1970),
                _NOTHING,
            ),
        ),
    )
    """The four clocks: real, frozen, stepped, coarse or none."""
    random: Random = field(
        default_factory=Random.real,
        metadata=grant(
            FieldShape.SOURCE,
            "real, seeded:N or none",
            type=object,
            example="Random.seeded(1)",
            flag="--random",
            toml=("random", "kind"),
            name="random",
            family="random",
            parse=Random.parse,
            nothing=Random.nothing,
            kinds=(_REAL, SourceKind("seeded", "1", "the seed"), _NOTHING),
        ),
    )
    """The source behind random_get: real, seeded or none."""
    sockets: tuple[host_objects.sockets.ListenSocket | host_objects.channel.ChannelEnd, ...] = field(
        default=(),
        metadata=grant(
            FieldShape.SOCKETS,
            "grant a listening TCP socket",
            type=(list, tuple),
            example="[listen('127.0.0.1:8080')]",
            flag="--listen",
            toml=("sockets", "listen"),
            family="sock",
            fixed="listening sockets are numbered when a program starts",
        ),
    )
    """Listening sockets and ends of channels (`Channel`), open from the start after the directories."""
    faults: Sequence[str | Fault] = field(
        default=(),
        metadata=grant(
            FieldShape.RULES,
            "fault calls: error=EIO, short=N, delay=50ms or data=flip; when=3+2, path=*.db, p=0.1, seed=7",
            type=(list, tuple),
            example="['fd_write:error=EIO:when=3']",
            flag="--inject",
            toml=("faults", "inject"),
            metavar="CALLS:FAULT[:WHEN]...",
            parse=Fault.parse,
        ),
    )
    """Faults, as `Fault` or its text; kept as text."""
    connect: tuple[str, ...] = field(
        default=(),
        metadata=grant(
            FieldShape.RULES,
            "let a component connect to HOST:PORT (PORT may be *)",
            type=(list, tuple),
            example="['127.0.0.1:8080']",
            flag="--connect",
            toml=("sockets", "connect"),
            component_only="has no call that connects",
            parse=lambda text: host_objects.network.read_connect(text),
            fixed="what may be connected to is set when a program starts",
        ),
    )
    """TCP and UDP addresses to which a component may connect: HOST:PORT."""
    resolve: tuple[str, ...] = field(
        default=(),
        metadata=grant(
            FieldShape.RULES,
            "let a component look up NAME",
            type=(list, tuple),
            example="['example.org']",
            flag="--resolve",
            toml=("sockets", "resolve"),
            component_only="has no call that looks up a name",
            parse=lambda text: host_objects.network.read_name(text),
            fixed="what may be looked up is set when a program starts",
        ),
    )
    """Names that a component may resolve."""
    http: tuple[str, ...] = field(
        default=(),
        metadata=grant(
            FieldShape.RULES,
            "let a component send requests to ORIGIN, such as https://example.org",
            type=(list, tuple),
            example="['https://example.org']",
            flag="--http",
            toml=("sockets", "http"),
            component_only="has no call that sends a request",
            parse=lambda text: host_objects.network.read_origin(text),
            fixed="where requests may go is set when a program starts",
        ),
    )
    """Origins that a component may send HTTP requests to."""
    limits: Limits = field(
        default_factory=Limits,
        metadata=grant(
            FieldShape.LIMITS,
            "limits on every resource",
            type=Limits,
            example="Limits(seconds=5)",
            toml=("limits", ""),
        ),
    )
    """Limits on every resource: fuel, memory, seconds, descriptors, bytes."""
    rights: Rights = field(
        default="strict",
        metadata=grant(
            FieldShape.CHOICE,
            "preview1's rights as specified, or as in Wasmtime today",
            type=object,
            example="'strict'",
            flag="--rights",
            toml=("", "rights"),
            choices=("strict", "compat"),
            fixed="the rights mode is set when a program starts",
        ),
    )
    """Preview1's rights model: "strict" as specified, "compat" as Wasmtime behaves today."""
    ask: bool = field(
        default=False,
        metadata=grant(
            FieldShape.SWITCH,
            "ask you when the program first uses something that is not granted (refuse if you cannot be asked)",
            type=bool,
            example="True",
            flag="--ask",
            toml=("", "ask"),
            fixed="what asks is put in place when a program starts",
        ),
    )
    """Whether the user at the notebook or terminal is asked at the first use of something not granted; if nobody can be
    asked, it is refused."""
    writable_code: bool = field(
        default=False,
        metadata=grant(
            FieldShape.SWITCH,
            "allow a rw folder that this Python imports from, or that holds a virtual environment or a cache",
            type=bool,
            example="True",
            flag="--writable-code",
            toml=("", "writable_code"),
        ),
    )
    """Whether a guest may write where this Python or a compiler would run the code (`code_folders.py`)."""
    features: tuple[str, ...] = field(
        default=(),
        metadata=grant(
            FieldShape.RULES,
            "turn a WebAssembly feature on, such as gc, or off (simd=off); gc, exceptions and function-references are "
            "off for modules that were not compiled here",
            type=(list, tuple),
            example="['gc']",
            flag="--feature",
            toml=("", "features"),
            parse=read_feature,
            fixed="a module is compiled before it starts",
        ),
    )
    """WebAssembly features that are turned on or off: NAME or NAME=off (`engine/compiling/wasm_features.py`)."""
    overrides: Mapping[str, Callable[..., object]] = field(
        default_factory=dict,
        metadata=grant(
            FieldShape.FUNCTIONS,
            "Python functions in place of calls",
            type=Mapping,
            example="{}",
            fixed="calls are linked when a program starts",
        ),
    )
    """Python functions in place of calls: name -> function(original, *decoded arguments)."""

    def __post_init__(self) -> None:
        for name, about in grant_fields(type(self)).items():
            object.__setattr__(self, name, _checked(name, about, getattr(self, name)))  # frozen
        object.__setattr__(self, "withheld", MappingProxyType(_checked_rights(self.dirs, self.withheld)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GrantValue) or type(other) is not type(self):
            return NotImplemented
        return all(given(self, each.name) == given(other, each.name) for each in fields(self))

    def __hash__(self) -> int:
        return hash((tuple(self.dirs), tuple(self.env), self.args, self.stdout, self.stderr, self.rights, self.limits))

    @classmethod
    def nothing(cls, **given: Unpack[GrantArguments]) -> Self:
        """Nothing, not even argv, stdio, clocks or randomness, except what is `given` by name."""
        cls._check_names(given)
        none = {name: about.nothing() for name, about in grant_fields(cls).items() if about.nothing is not None}
        return cls(**{**none, **given})  # type: ignore[arg-type]  # by their names, checked above

    def with_(self, **changes: Unpack[GrantArguments]) -> Self:
        """These grants with some fields replaced; removing a directory removes its withheld rights."""
        self._check_names(changes)
        if "dirs" in changes and "withheld" not in changes:
            changes["withheld"] = {g: names for g, names in self.withheld.items() if g in changes["dirs"]}
        return replace(self, **changes)

    def with_field(self, name: str, value: object) -> Self:
        """These grants with the field `name` replaced, for names known only at run time."""
        changes: dict[str, Any] = {name: value}
        return self.with_(**changes)

    def with_dir(self, guest: str, directory: Directory | str) -> Self:
        """These grants with one more directory (one that replaces another keeps its withheld rights)."""
        given = host_folder(directory) if isinstance(directory, str) else directory
        return self.with_(dirs={**self.dirs, guest: given})

    def without_dir(self, guest: str) -> Self:
        """These grants without the directory at that guest path."""
        if guest not in self.dirs:
            raise GrantError(f"no directory is granted at {guest!r}{nearest(guest, self.dirs)}")
        return self.with_(dirs={g: d for g, d in self.dirs.items() if g != guest})

    @property
    def holds_no_stream(self) -> bool:
        """Whether there is neither argv nor a standard stream: such grants are best written as "nothing, except"."""
        return not (self.args or self.stdout or self.stderr) and self.stdin is None

    def __new__(cls, *args: object, **named: object) -> Self:
        """Refuse an unknown field by its name, with the nearest; the fields themselves are set by `__init__`."""
        cls._check_names(named)
        return super().__new__(cls)

    @classmethod
    def _check_names(cls, given: Mapping[str, object]) -> None:
        known = grant_fields(cls)
        wrong = [name for name in given if name not in known]
        if wrong:
            raise TypeError(f"grants have no field {wrong[0]!r}{nearest(wrong[0], known)}")


def given(grants: GrantValue, name: str) -> object:
    """What a field gives, as a value to compare: directories in memory by their contents and limits, in order."""
    value = getattr(grants, name)
    if name == "dirs":
        return [(guest, memory_key(d) if isinstance(d, MemDir) else d) for guest, d in value.items()]
    if name == "stdin":
        return type(value).__name__, value
    return value


def memory_key(directory: MemDir) -> tuple[object, ...]:
    """A directory in memory as a value: its contents, its quota in bytes and names, whether it is writable."""
    return directory.files(), directory.max_bytes, directory.max_names, directory.writable


def host_folder(path: str, mode: str = DEFAULT_MODE) -> HostDir:
    """The host directory `path`; raises `GrantError` with the reason and the remedy when it cannot be granted."""
    try:
        return HostDir(path, mode=mode)  # type: ignore[arg-type]
    except BadFolder as error:
        raise GrantError(str(error)) from None


def nearest(word: str, valid: Iterable[object]) -> str:
    """`"; did you mean 'x'?"` for the valid name nearest to `word`, or the list of all if none is near."""
    names = sorted(str(v) for v in valid)
    return did_you_mean(word, names, f" (valid: {', '.join(names)})" if 0 < len(names) <= 20 else "")


# ---- what a field may hold


def _checked(name: str, about: GrantField, value: object) -> object:
    """The normalised value. Raises `GrantError` for what a field of this shape cannot hold."""
    if not isinstance(value, about.type):
        if about.type is Mapping:
            raise GrantError(f"{name} is {with_article(type(value).__name__)}, not a mapping: write {about.example}")
        raise GrantError(f"{name}={value!r:.80}: write for example {name}={about.example}")
    check = _CHECKS.get(about.shape)
    return value if check is None else check(name, about, value)


def _dirs(name: str, about: GrantField, value: Mapping[str, object]) -> Mapping[str, Directory]:
    dirs: dict[str, Directory] = {}
    for guest, directory in value.items():
        if isinstance(directory, str):
            directory = host_folder(directory)
        check_guest_path(guest)
        if not isinstance(directory, Directory):
            raise GrantError(
                f"{name}[{guest!r}] is {type(directory).__name__}, not a directory: give HostDir(path), MemDir(), "
                "or an object with the methods of wasilab.capabilities.protocols.Directory"
            )
        dirs[guest] = directory
    if both := copy_in_writable(dirs):
        raise GrantError(
            f"the folder granted as copy at {both[0]!r} lies in the one granted as rw at {both[1]!r}, where the "
            f"program could change it: grant {both[1]!r} as copy or ro, or {both[0]!r} as rw"
        )
    return MappingProxyType(dirs)


def _variables(name: str, about: GrantField, value: Mapping[str, str]) -> Mapping[str, str]:
    for variable, text in value.items():
        if not isinstance(variable, str) or not isinstance(text, str):
            raise GrantError(f"{name}[{variable!r}] must map a str to a str")
        if not variable or "=" in variable or "\0" in variable + text:
            raise GrantError(f"environment variable {variable!r}: a name is not empty and holds no '=' or NUL")
    return MappingProxyType(dict(value))


def _stdin(name: str, about: GrantField, value: object) -> object:
    text = isinstance(value, str) and value != "ask"
    if text or not (value is None or isinstance(value, (str, bytes)) or hasattr(value, "read")):
        raise GrantError(f"{name}={value!r}: give bytes, a file object, 'ask' or None (text: .encode())")
    return value


def _source(name: str, about: GrantField, value: object) -> object:
    if not hasattr(value, "spec") and not hasattr(value, "fill"):
        raise GrantError(f"{name}={value!r:.80}: write for example {name}={about.example}")
    return value


def _choice(name: str, about: GrantField, value: object) -> object:
    if value not in about.choices:
        raise GrantError(f"{name}={value!r}: the modes are {' and '.join(map(repr, about.choices))}")
    return value


def _sockets(name: str, about: GrantField, value: Iterable[object]) -> tuple[object, ...]:
    for socket in value:
        if not hasattr(socket, "address"):
            raise GrantError(f"{name}: {socket!r:.80} is not a socket: write {about.example}")
    return tuple(value)


def listening(sockets: Iterable[T]) -> list[T]:
    """The sockets, all of which listen. Raises `GrantError` for the end of a channel, which only Python can express."""
    for socket in sockets:
        if not hasattr(socket, "accept"):
            raise GrantError(f"{socket!r} is an object of this process: only Python can say it")
    return list(sockets)


def _rules(name: str, about: GrantField, value: Iterable[object]) -> tuple[str, ...]:
    value = [getattr(rule, "rule", rule) for rule in value]  # a `Fault` is its rule
    for rule in value:
        if not isinstance(rule, str) or about.parse is None:
            raise GrantError(f"{name}: {rule!r:.80} is not text: write {about.example}")
        try:
            about.parse(rule)
        except ValueError as error:
            raise GrantError(f"{name}: {error}") from None
    found = tuple(str(rule) for rule in value)
    if name == "features":
        try:
            features(found, foreign=True)
        except FeatureError as error:
            raise GrantError(f"{name}: {error}") from None
    return found


def _functions(name: str, about: GrantField, value: Mapping[str, object]) -> Mapping[str, object]:
    for call, function in value.items():
        if not callable(function):
            raise GrantError(f"{name}[{call!r}] is {with_article(type(function).__name__)}, not a function")
        if call not in SNAPSHOT1:
            raise GrantError(f"{name}[{call!r}]: no such WASI call{nearest(call, SNAPSHOT1)}")
    return MappingProxyType(dict(value))


_CHECKS: Mapping[FieldShape, Callable[[str, GrantField, Any], object]] = {
    FieldShape.DIRS: _dirs, FieldShape.VARIABLES: _variables, FieldShape.STDIN: _stdin, FieldShape.SOURCE: _source,
    FieldShape.CHOICE: _choice, FieldShape.SOCKETS: _sockets, FieldShape.FUNCTIONS: _functions,
    FieldShape.RULES: _rules,
}  # fmt: skip


def _checked_rights(dirs: Iterable[str], withheld: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """`withheld`, normalised, with the names in the order of their bits.

    Raises `GrantError` for a name that is not a right of a directory, and for a directory that is not granted.
    """
    known, granted = of_directories(), list(dirs)
    found: dict[str, tuple[str, ...]] = {}
    for guest, names in withheld.items():
        if guest not in granted:
            raise GrantError(f"withheld[{guest!r}]: no directory is granted there{nearest(guest, granted)}")
        names = names if isinstance(names, str) else tuple(names)
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
            raise GrantError(f"withheld[{guest!r}] is {names!r:.80}: write for example ['path_unlink_file']")
        for name in names:
            if name not in known:
                raise GrantError(f"withheld[{guest!r}]: {name!r} is not a right of a directory{nearest(name, known)}")
        if names:
            found[guest] = tuple(name for name in known if name in names)
    return found


TAKEN = frozenset((*(about.name for about in grant_fields(GrantValue).values() if about.name), "sockets", "+"))
"""The names by which the other grants are switched and counted: no directory may have one of them."""


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
