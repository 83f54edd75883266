"""Convert grants to and from command-line flags: the grammar shared by the CLI and the cell magic, and its inverse.

`add_options` adds the flags to an argparse parser, `from_options` builds grants from parsed flags, `to_flags` prints
the flags equivalent to a value. Policy files named by `--policy` are merged first, in order; then `--deny-all` empties
the rest; then every other flag adds to or replaces the result. Each shape of a field (`FieldShape`) has a function here
for each of the three.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from ...capabilities import host as host_objects
from ...capabilities.host.features import DEFAULT_MODE
from ...capabilities.host.hostdir import HostDir
from ...capabilities.memory.memdir import MemDir
from ...capabilities.protocols import Directory
from ...engine.limits import BOUNDS, DEFAULTS, NONE, Bound, Limits
from ...text.numbers import parse_size, with_article
from ...text.template import Template
from ..fields import FieldShape, GrantField, grant_fields
from ..value import MODES, GivenStdin, GrantError, GrantValue, host_folder, listening, memory_key, nearest
from .toml import merge_files, read_input, spec_of
from .withheld import in_flags, parse_withheld

G = TypeVar("G", bound=GrantValue)

def size(text: str) -> int:
    """A number of bytes, such as 64m (`text.numbers.parse_size`), for argparse."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


class InMemory(str):
    """The guest path of a `--mem`, kept in one list with the `--dir`s because their order numbers the descriptors."""


class Mapped(Template):
    """The value of a `--mapdir`, GUEST::HOST: the order of Wasmtime 0.3; kept in the same list as the `--dir`s."""


# ---- the options


def add_options(parser: argparse.ArgumentParser, kind: type[GrantValue] = GrantValue) -> None:
    """Add every flag that grants or limits something to `parser`, in two help groups."""
    give = parser.add_argument_group("grants (the guest has nothing else)")
    bound = parser.add_argument_group("limits")
    give.add_argument(
        "--policy", action="append", default=[], metavar="FILE", help="a policy file (TOML) to start from; repeatable"
    )
    give.add_argument(
        "--deny-all", action="store_true", help="start from nothing, without argv, stdio, clocks, randomness"
    )
    for name, about in grant_fields(kind).items():
        if about.shape is FieldShape.LIMITS:
            _add_limits(bound)
        elif about.flag:
            _add(give, name, about)


def _add(group: argparse._ArgumentGroup, name: str, about: GrantField) -> None:
    add, flag, words = group.add_argument, about.flag, about.words
    match about.shape:
        case FieldShape.DIRS:
            metavar = "HOST[::GUEST][:ro|:rw|:copy]"
            add(flag, action="append", type=Template, default=[], metavar=metavar, dest=_dest(name), help=words)
            add("--mapdir", action="append", type=Mapped, dest=_dest(name), metavar="GUEST::HOST[:ro|:rw|:copy]",
                help="the same with the guest's path first, as in Wasmtime's older command line")  # fmt: skip
            add("--mem", action="append", type=InMemory, dest=_dest(name), metavar="GUEST",
                help="grant an empty directory in memory")  # fmt: skip
        case FieldShape.WITHHELD:
            add(flag, action="append", default=[], metavar="GUEST:RIGHT[,RIGHT...]", dest=_dest(name), help=words)
        case FieldShape.VARIABLES:
            add(flag, action="append", default=[], metavar="K=V", dest=_dest(name), help=words)
        case FieldShape.SOCKETS:
            add(flag, action="append", default=[], metavar="ADDRESS:PORT", dest=_dest(name), help=words)
        case FieldShape.RULES:
            usual = {"connect": "HOST:PORT", "resolve": "NAME", "features": "NAME[=off]"}
            metavar = about.metavar or usual.get(name, "ORIGIN")
            add(flag, action="append", default=[], metavar=metavar, dest=_dest(name), help=words)
        case FieldShape.SWITCH:
            add(flag, action=argparse.BooleanOptionalAction, default=None, dest=_dest(name), help=words)
        case FieldShape.STDIN:
            add(flag, metavar="FILE", dest=_dest(name), help=words)
            add(f"{flag}-text", metavar="TEXT", dest=_dest(f"{name}_text"), help="the text that the guest reads")
        case FieldShape.SOURCE:
            add(flag, metavar="KIND", dest=_dest(name), help=words)
        case FieldShape.CHOICE:
            add(flag, choices=about.choices, dest=_dest(name), help=words)


def _dest(name: str) -> str:
    """The attribute of a namespace for a field of `Grants` or `Limits`; no command has one of that name."""
    return f"grant_{name}"


def _given(options: argparse.Namespace, name: str) -> Any:
    return getattr(options, _dest(name))


def leaves_stdin_open(options: argparse.Namespace) -> bool:
    """Whether no flag sets the guest's stdin, so that the user may be asked."""
    return _given(options, "stdin") is None and _given(options, "stdin_text") is None and not options.deny_all


_OF_COMPILING = ("compile_seconds", "compile_memory")


def add_compile_limits(group: argparse._ArgumentGroup) -> None:
    """Add the flags that limit compiling, for a command that only compiles."""
    _add_limits(group, _OF_COMPILING)


def compile_limits(options: argparse.Namespace) -> Limits:
    """The limits of compiling among parsed flags; every other limit has its default."""
    return _read_limits(options, Limits(), _OF_COMPILING)


def _add_limits(group: argparse._ArgumentGroup, names: Iterable[str] = BOUNDS) -> None:
    for name in names:
        bound = BOUNDS[name]
        usual = DEFAULTS[name]
        default = "" if usual is None else f" (default {bound.text(usual)})"
        group.add_argument(
            bound.flag, type=_limit(bound), metavar=bound.metavar, dest=_dest(name), help=bound.words + default
        )


def _limit(bound: Bound) -> Callable[[str], float | str]:
    """The value of a limit for argparse, which takes None for "not given": "none" stays a text."""

    def value(text: str) -> float | str:
        try:
            found = bound.parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        if found is not None and found >= 1 << 63:
            raise argparse.ArgumentTypeError(f"{text!r} is too large: write less than 2**63")
        return NONE if found is None else found

    return value


# ---- flags to grants


def from_options(options: argparse.Namespace, base: G, *, on_policy: Callable[[G], object] | None = None) -> G:
    """The grants given by parsed flags, on top of `base` and the named policy files.

    `on_policy` is called with `base` and the additions of the policy files, if any. Raises `GrantError` with one
    sentence naming the flag.
    """
    grants = base
    if options.policy:
        grants = merge_files(base, options.policy)
        if on_policy is not None:
            on_policy(grants)
    if options.deny_all:
        grants = type(grants).nothing(limits=grants.limits, rights=grants.rights)
    changes: dict[str, Any] = {}
    for name, about in grant_fields(type(grants)).items():
        if about.flag or about.shape is FieldShape.LIMITS:
            now = getattr(grants, name)
            value = _read(options, name, about, now)
            if value is not now:
                changes[name] = value
    if "dirs" in changes and "withheld" not in changes:
        changes["withheld"] = grants.withheld  # a folder that is named again keeps its withheld rights
    granted = changes.get("dirs", grants.dirs)
    for guest in changes.get("withheld", ()):
        if guest not in granted:
            raise GrantError(f"--withhold {guest}: no directory is granted there{nearest(guest, granted)}")
    return grants.with_(**changes)


def parse_dir(given: str | Template) -> tuple[str, HostDir]:
    """`HOST[::GUEST][:ro|:rw|:copy]` -> (guest path, directory). The guest path defaults to the host path as given.

    The value of an `{expression}` is a path or part of one: colons in it are not separators.
    """
    template = given if isinstance(given, Template) else Template(given)
    drive, rest = os.path.splitdrive(template.pattern)  # "C:" on Windows, nothing elsewhere
    body, mode = rest, DEFAULT_MODE
    head, colon, tail = rest.rpartition(":")
    if colon and tail in MODES and ("::" in head or not head.endswith(":")):  # HOST::ro is a guest path
        body, mode = head, tail
    elif colon and head and "::" not in rest[len(head) - 1 :] and tail and "/" not in tail:
        if template.fill(tail) in MODES:
            raise GrantError(f"--dir {template}: write the mode itself; the value of an {{expression}} is only a path")
        if not os.path.isdir(str(template)):
            raise GrantError(f"--dir {template}: the mode {template.fill(tail)!r} is not one of {', '.join(MODES)}")
    before, sep, after = body.partition("::")
    host, guest = template.fill(before), template.fill(after)
    if sep and not guest:
        raise GrantError(f"--dir {template}: the guest path after '::' is empty; write for example {host}::/data")
    if not host:
        raise GrantError(f"--dir {str(template)!r}: the host directory is empty; write for example .::/data")
    host = drive + host
    if sep and _swapped(host, guest):
        raise GrantError(
            f"--dir {template}: the host has no folder {host!r}, but it has {guest!r}: --dir is HOST::GUEST "
            f"(--mapdir is GUEST::HOST): write --dir {guest}::{host}"
        )
    return (guest if sep else host.replace(os.sep, "/").rstrip("/") or "/"), host_folder(host, mode)


def parse_mapdir(given: str | Template) -> tuple[str, HostDir]:
    """`GUEST::HOST[:ro|:rw|:copy]` -> (guest path, directory). A value that looks swapped is refused with the order."""
    template = given if isinstance(given, Template) else Template(given)
    before, sep, after = template.pattern.partition("::")
    if not sep or not before or not after:
        raise GrantError(f"--mapdir {template}: write GUEST::HOST, for example /data::. (--dir is HOST::GUEST)")
    body, colon, mode = after.rpartition(":")
    if not colon or mode not in MODES:
        body, mode = after, DEFAULT_MODE
    guest, host = template.fill(before), template.fill(body)
    if _swapped(host, guest):
        raise GrantError(
            f"--mapdir {template}: the host has no folder {host!r}, but it has {guest!r}: --mapdir is GUEST::HOST "
            f"(--dir is HOST::GUEST): write --mapdir {host}::{guest}"
        )
    return guest, host_folder(host, mode)


def _swapped(host: str, guest: str) -> bool:
    """Whether a pair of paths looks swapped."""
    try:
        return not os.path.isdir(os.path.expanduser(host)) and os.path.isdir(os.path.expanduser(guest))
    except ValueError:  # a NUL in a path
        return False


def parse_env(text: str) -> tuple[str, str]:
    """`K=V` -> (K, V); `K` alone takes the value from the host's environment and fails if it is not set there."""
    name, equals, value = text.partition("=")
    if not name:
        raise GrantError(f"--env {text!r}: the variable has no name; write --env NAME=VALUE, or NAME for the host's")
    if not equals:
        if name not in os.environ:
            raise GrantError(f"--env {name}: not set in the host's environment; write --env {name}=VALUE")
        value = os.environ[name]
    return name, value


def _read(options: argparse.Namespace, name: str, about: GrantField, now: Any) -> object:
    """The value given by one field's flags, on top of `now`; `now` itself if there are none."""
    given: Any = None if about.shape is FieldShape.LIMITS else _given(options, name)
    match about.shape:
        case FieldShape.DIRS:
            return _read_dirs(given, now)
        case FieldShape.WITHHELD:
            return _read_withheld(given, now)
        case FieldShape.VARIABLES:
            return _read_variables(given, now)
        case FieldShape.SWITCH | FieldShape.CHOICE:
            return now if given is None else given
        case FieldShape.SOURCE:
            return now if given is None else _parsed(about.flag, given, about.parse)
        case FieldShape.SOCKETS:
            listen = host_objects.sockets.listen if given else None
            return (*now, *(_parsed(about.flag, text, listen) for text in given or ()))
        case FieldShape.RULES:
            if not given:
                return now
            for text in given:
                _parsed(about.flag, text, about.parse)
            return (*now, *given)
        case FieldShape.STDIN:
            return _read_stdin(about.flag, given, _given(options, f"{name}_text"), now)
        case FieldShape.LIMITS:
            return _read_limits(options, now)
    return now


def _read_dirs(given: list[InMemory | Template], now: Mapping[str, Directory]) -> Mapping[str, Directory]:
    found = dict(now)
    here: dict[str, Directory] = {}
    guest: str
    directory: Directory
    for each in given:
        if isinstance(each, InMemory):
            guest, directory = str(each), MemDir()
        else:
            guest, directory = parse_mapdir(each) if isinstance(each, Mapped) else parse_dir(each)
        # The same folder may be named again with another mode, as the remedy of a refusal does.
        if guest in here and _place(here[guest]) != _place(directory):
            raise GrantError(
                f"two folders are granted at {guest!r}, {_place(here[guest])} and {_place(directory)}: "
                "omit one, or give it another guest path, as in --dir HOST::GUEST"
            )
        here[guest] = found[guest] = directory
    return found if given else now


def _place(directory: Directory) -> str:
    """Where a folder that flags name is."""
    return repr(directory.real) if isinstance(directory, HostDir) else "a folder in memory"


def _read_withheld(given: list[str], now: Mapping[str, Iterable[str]]) -> Mapping[str, Iterable[str]]:
    found: dict[str, tuple[str, ...]] = {}
    for text in given:
        guest, names = parse_withheld(text)
        found[guest] = (*found.get(guest, ()), *names)
    return {**now, **found} if found else now


def _read_variables(given: list[str], now: Mapping[str, str]) -> Mapping[str, str]:
    return {**now, **dict(map(parse_env, given))} if given else now


def _read_stdin(flag: str, file: str | None, text: str | None, now: object) -> object:
    if file is not None and text is not None:
        raise GrantError(f"{flag} and {flag}-text: give one of them")
    if text is not None:
        return text.encode()
    return now if file is None else _stdin(flag, file)


def _read_limits(options: argparse.Namespace, now: Limits, names: Iterable[str] = BOUNDS) -> Limits:
    given = {limit: value for limit in names if (value := _given(options, limit)) is not None}
    bounds: dict[str, Any] = {limit: None if value == NONE else value for limit, value in given.items()}
    try:
        return replace(now, **bounds) if bounds else now
    except ValueError as error:
        raise GrantError(str(error)) from None


def _parsed(flag: str, text: str, parse: Callable[[str], object] | None) -> object:
    assert parse is not None, f"{flag} is described with a way to read it"
    try:
        return parse(text)
    except ValueError as error:
        # A parser may begin its message with the text ("clock 'frozen:x': ..."), which the flag has just shown.
        kind, quoted, rest = str(error).partition(f"{text!r}: ")
        message = rest if quoted and " " not in kind.strip() else str(error)
        raise GrantError(f"{flag} {text or repr(text)}: {message}") from None


def _stdin(flag: str, path: str) -> GivenStdin:
    if path == "-":
        return "ask"
    if path == "none":
        return None
    try:
        return read_input(Path(path).expanduser())
    except OSError as error:
        raise GrantError(f"{flag} {path}: {error.strerror or error}") from None
    except GrantError as error:
        raise GrantError(f"{flag} {error}") from None


# ---- grants to flags


def to_flags(grants: GrantValue, *, bare: bool | None = None) -> list[str]:
    """Flags that `from_options` converts back to `grants`; `[]` for the default.

    `bare`: whether they start from `--deny-all` (default: if there is neither argv nor a standard stream). Raises
    `GrantError` for what flags cannot express: overrides, contents of a directory in memory,
    streams, clocks and directories of a class of your own.
    """
    if bare is None:
        bare = grants.holds_no_stream
    start = type(grants).nothing() if bare else type(grants)()
    flags = ["--deny-all"] if bare else []
    for name, about in grant_fields(type(grants)).items():
        flags += _written(about, getattr(grants, name), getattr(start, name))
    return flags


def _option(flag: str, value: str) -> list[str]:
    """The words of an option; a value that looks like an option is joined with `=`."""
    return [f"{flag}={value}"] if value.startswith("-") else [flag, value]


def _written(about: GrantField, value: Any, start: object) -> list[str]:
    """The flags of one field, if it differs from `start`."""
    match about.shape:
        case FieldShape.DIRS:
            return [word for guest, directory in value.items() for word in dir_flags(guest, directory)]
        case FieldShape.WITHHELD:
            return [word for text in in_flags(value) for word in _option(about.flag, text)]
        case FieldShape.VARIABLES:
            return [word for name, text in value.items() for word in _option(about.flag, f"{name}={text}")]
        case FieldShape.SWITCH if value != start:
            return [about.flag if value else about.flag.replace("--", "--no-", 1)]
        case FieldShape.CHOICE if value != start:
            return [about.flag, value]
        case FieldShape.SOURCE if value != start:
            return [about.flag, spec_of(value, "flags")]
        case FieldShape.SOCKETS:
            return [word for socket in listening(value) for word in (about.flag, socket.address)]
        case FieldShape.RULES:
            return [word for rule in value for word in _option(about.flag, rule)]
        case FieldShape.LIMITS:
            changed = [name for name in BOUNDS if getattr(value, name) != getattr(start, name)]
            return [word for name in changed for word in (BOUNDS[name].flag, BOUNDS[name].text(getattr(value, name)))]
        case FieldShape.STDIN if type(value) is not type(start) or value != start:
            return _write_stdin(about.flag, value)
        case FieldShape.FUNCTIONS if value:
            raise GrantError(f"the overrides ({', '.join(value)}) are Python functions: flags cannot express them")
    return []


def _write_stdin(flag: str, value: object) -> list[str]:
    if value is None or value == "ask":
        return [flag, "none" if value is None else "-"]
    if not isinstance(value, bytes):
        raise GrantError(f"stdin is {with_article(type(value).__name__)}: flags cannot express it")
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise GrantError("stdin is not plain UTF-8 text: save it to a file and write --stdin FILE")
    return _option(f"{flag}-text", text)


def dir_flags(guest: str, directory: Directory) -> list[str]:
    """The flags that grant `directory` at `guest`; raises `GrantError` for what flags cannot express."""
    if isinstance(directory, HostDir):
        return folder_words(guest, directory.path, directory.mode)
    if isinstance(directory, MemDir):
        if memory_key(directory) != memory_key(MemDir()):
            raise GrantError(f"the directory in memory at {guest!r} has contents or limits: flags cannot express it")
        return _option("--mem", guest)
    raise GrantError(
        f"the directory at {guest!r} is {with_article(type(directory).__name__)}: flags cannot express it, Python "
        "can"
    )


def folder_words(guest: str, host: str, mode: str) -> list[str]:
    """The words that grant the host folder `host` at `guest`; raises `GrantError` for what flags cannot express."""
    if "::" in host or host.endswith(":"):
        raise GrantError(f"the folder {host!r}: flags cannot express its colons, a policy file can")
    body = host if (host.rstrip("/") or "/") == guest else f"{host}::{guest}"
    # The mode is omitted if it is the default and nothing could be mistaken for one.
    usual = mode == DEFAULT_MODE and ":" not in body.replace("::", "", 1)
    return _option("--dir", body if usual else f"{body}:{mode}")
