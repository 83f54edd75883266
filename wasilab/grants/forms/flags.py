"""Grants as command-line flags, both ways: the grammar that the CLI and the cell magic share, and its inverse.

`add_options` puts the flags on an argparse parser, `from_options` builds the `Grants` that they mean, `to_flags`
prints the flags that mean the same as a value. Policy files named by `--policy` are
merged first, in order; then `--deny-all` empties the rest; then every other flag adds to or replaces what stands.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal

from ...capabilities.clocks import Clocks
from ...capabilities.host.hostdir import HostDir
from ...capabilities.host.sockets import listen
from ...capabilities.memory.memdir import MemDir
from ...capabilities.protocols import Directory
from ...capabilities.random import Random
from ...engine.limits import Limits
from ...text.numbers import exact_size, parse_count, parse_size
from ..grants import GrantError, GrantFields, Grants, host_folder, memory_key
from .withheld import in_flags, parse_withheld

MODES = ("ro", "rw", "copy")

LIMIT_FLAGS = {
    "fuel": "--fuel",
    "seconds": "--timeout",
    "memory": "--max-memory",
    "fds": "--max-fds",
    "bytes_written": "--max-written",
    "output": "--max-output",
    "trace": "--max-trace",
    "io": "--max-io",
    "table_elements": "--max-table",
    "instances": "--max-instances",
}
"""The flag of each field of `Limits`."""

COUNTS = ("fuel", "fds", "table_elements", "instances")
"""The limits that are plain numbers; the others are bytes, and `seconds`."""
BOUNDLESS = ("fuel", "seconds", "bytes_written")
"""The limits that can be taken away with "none"."""
UNBOUNDED = "none"

STDIN_BYTES = 1 << 30
"""The longest file that is read into memory to be a guest's stdin."""


def size(text: str) -> int:
    """A number of bytes, such as 64m (`text.numbers.parse_size`)."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def seconds(text: str) -> float:
    """A positive number of seconds."""
    try:
        value = float(text.removesuffix("s"))
    except ValueError:
        value = -1.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds: write for example 2.5")
    return value


def _or_none(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """`read`, with "none" for no bound at all."""

    def either(text: str) -> Any:
        return UNBOUNDED if text == "none" else read(text)

    return either


def count(text: str) -> int:
    """A whole number, such as 1000 or 10M (`text.numbers.parse_count`)."""
    try:
        return parse_count(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


class InMemory(str):
    """The guest path of a `--mem`; it stands in one list with the `--dir`s, because order numbers descriptors."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Put every flag that grants or limits something on `parser`, in two groups of its help."""
    give = parser.add_argument_group("grants (nothing else is there for the guest)")
    add = give.add_argument
    add("--dir", action="append", default=[], metavar="HOST[::GUEST][:ro|:rw|:copy]", dest="dir",
        help="grant a host directory; ro (the default) to read, rw to change it, copy to change a copy in memory")
    add("--mem", action="append", type=InMemory, dest="dir", metavar="GUEST", help="grant an empty directory in memory")
    add("--withhold", action="append", default=[], metavar="GUEST:RIGHT[,RIGHT...]",
        help="withhold preview1 rights, such as path_unlink_file, from a granted directory and all beneath it; or none")
    add("--env", action="append", default=[], metavar="K=V", help="grant an environment variable")
    add("--stdin", metavar="FILE", help="what the guest reads: a file, - for you (or the pipe at hand), none")
    add("--stdin-text", metavar="TEXT", help="the text that the guest reads from stdin")
    add("--clock", metavar="KIND", help="real, frozen[:NS], stepped:NS, coarse:NS or none")
    add("--random", metavar="KIND", help="real, seeded:N or none")
    add("--listen", action="append", default=[], metavar="ADDRESS:PORT", help="grant a listening TCP socket")
    for name, what in (("argv", "the program's arguments"), ("stdout", "stdout"), ("stderr", "stderr")):
        add(f"--{name}", action=argparse.BooleanOptionalAction, default=None, help=f"whether the guest has {what}")
    add("--policy", action="append", default=[], metavar="FILE", help="a policy file (TOML) to start from; repeatable")
    add("--deny-all", action="store_true", help="start from nothing at all, without argv, stdio, clocks, randomness")
    add("--rights", choices=("strict", "compat"), help="preview1's rights as specified, or as Wasmtime has them today")
    add("--ask", action=argparse.BooleanOptionalAction, default=None,
        help="ask you when the program first uses something that is not granted (without you there: refuse)")
    bound = parser.add_argument_group("limits")
    bound.add_argument("--fuel", type=_or_none(count), metavar="N", help="instructions that the guest may execute")
    bound.add_argument(
        "--timeout", type=_or_none(seconds), metavar="SECONDS", dest="seconds", help="wall-clock time of the run"
    )
    for name, flag in LIMIT_FLAGS.items():
        if name not in ("fuel", "seconds"):
            kind: Callable[[str], Any] = count if name in COUNTS else size
            kind = _or_none(kind) if name in BOUNDLESS else kind
            metavar = "N" if name in COUNTS else "BYTES"
            bound.add_argument(flag, type=kind, metavar=metavar, dest=name, help=_limit_help(name))


def _limit_help(name: str) -> str:
    default = next(f.default for f in fields(Limits) if f.name == name)
    words = {
        "memory": "linear memory", "fds": "open descriptors", "bytes_written": "bytes written in all",
        "output": "output kept", "trace": "trace kept in memory", "io": "bytes that one call may move",
        "table_elements": "elements of all tables", "instances": "instances in the run",
    }[name]
    return f"{words} (default {exact_size(default) if isinstance(default, int) else default})"


def parse_dir(text: str) -> tuple[str, HostDir]:
    """`HOST[::GUEST][:ro|:rw|:copy]` -> (guest path, directory). The guest path defaults to the host path as given."""
    body, mode = text, "ro"
    head, colon, tail = text.rpartition(":")
    if colon and tail in MODES and ("::" in head or not head.endswith(":")):  # HOST::ro is a guest path
        body, mode = head, tail
    elif colon and head and "::" not in text[len(head) - 1 :] and tail and "/" not in tail and not os.path.isdir(text):
        raise GrantError(f"--dir {text}: the mode {tail!r} is not one of ro, rw, copy")
    host, sep, guest = body.partition("::")
    if sep and not guest:
        raise GrantError(f"--dir {text}: the guest path after '::' is empty; write for example {host}::/data")
    if not host:
        raise GrantError(f"--dir {text}: the host directory is empty; write for example .::/data")
    return (guest if sep else host.rstrip("/") or "/"), host_folder(host, mode)


def parse_env(text: str) -> tuple[str, str]:
    """`K=V` -> (K, V); `K` alone takes the value from the host's environment and fails when it is not set there."""
    name, equals, value = text.partition("=")
    if not equals:
        if name not in os.environ:
            raise GrantError(f"--env {name}: not set in the host's environment; write --env {name}=VALUE")
        value = os.environ[name]
    return name, value


def from_options(options: argparse.Namespace, base: Grants | None = None) -> Grants:
    """The grants that parsed flags mean, on top of `base` (default: `Grants()`) and the policy files named.

    Raises `GrantError` (or the `OSError` of a directory that cannot be opened) with one sentence naming the flag.
    """
    grants = base if base is not None else Grants()
    if options.policy:
        from .toml import merge_files

        grants = merge_files(grants, options.policy)
    if options.deny_all:
        grants = Grants.nothing(limits=grants.limits, rights=grants.rights)
    dirs: dict[str, Directory] = dict(grants.dirs)
    for given_dir in options.dir:
        guest, directory = (given_dir, MemDir()) if isinstance(given_dir, InMemory) else parse_dir(_words(given_dir))
        dirs[str(guest)] = directory
    env = dict(grants.env)
    for given_env in options.env:  # in a notebook, {a_mapping} gives several at once
        env.update(given_env if isinstance(given_env, Mapping) else [parse_env(_words(given_env))])
    withheld: dict[str, tuple[str, ...]] = {}
    for given_rights in options.withhold:
        guest, names = parse_withheld(_words(given_rights))
        withheld[guest] = (*withheld.get(guest, ()), *names)
    changes: GrantFields = {"dirs": dirs, "env": env, "withheld": {**grants.withheld, **withheld}}
    if options.stdin is not None and options.stdin_text is not None:
        raise GrantError("--stdin and --stdin-text: give one of them")
    if options.stdin_text is not None:
        text = options.stdin_text
        changes["stdin"] = text if isinstance(text, bytes) else _words(text).encode()
    elif options.stdin is not None:
        changes["stdin"] = _read_stdin(options.stdin)
    if options.clock is not None:
        changes["clocks"] = _spec("--clock", _words(options.clock), Clocks.parse)
    if options.random is not None:
        changes["random"] = _spec("--random", _words(options.random), Random.parse)
    if options.listen:
        changes["sockets"] = (*grants.sockets, *(_spec("--listen", _words(a), listen) for a in options.listen))
    if options.argv is not None:
        changes["args"] = options.argv
    if options.stdout is not None:
        changes["stdout"] = options.stdout
    if options.stderr is not None:
        changes["stderr"] = options.stderr
    if options.rights is not None:
        changes["rights"] = options.rights
    if options.ask is not None:
        changes["ask"] = options.ask
    asked = {name: getattr(options, name) for name in LIMIT_FLAGS}
    bounds = {name: None if v == UNBOUNDED else v for name, v in asked.items() if v is not None}
    if bounds:
        try:
            changes["limits"] = replace(grants.limits, **bounds)  # type: ignore[arg-type]  # checked by Limits
        except ValueError as error:
            raise GrantError(str(error)) from None
    return grants.with_(**changes)


def _words(given: object) -> str:
    """An option's value as text: in a notebook `{expression}` may have given a path or a number."""
    if isinstance(given, (str, os.PathLike, int, float)):
        return os.fsdecode(given) if isinstance(given, os.PathLike) else str(given)
    raise GrantError(f"{given!r:.80} is a {type(given).__name__}: text or a path can stand here")


def _spec(flag: str, text: str, parse: Any) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise GrantError(f"{flag} {text}: {error}") from None


def _read_stdin(path: object) -> bytes | Literal["ask"] | None:
    if isinstance(path, bytes):
        return path
    path = _words(path)
    if path == "-":
        return "ask"
    if path == "none":
        return None
    try:
        return read_input(Path(path).expanduser())
    except OSError as error:
        raise GrantError(f"--stdin {path}: {error.strerror or error}") from None
    except GrantError as error:
        raise GrantError(f"--stdin {error}") from None


def read_input(path: Path) -> bytes:
    """What a file holds, for a guest to read as its stdin; raises `OSError`, `GrantError` for one that is too long."""
    with path.open("rb") as file:
        data = file.read(STDIN_BYTES + 1)
    if len(data) > STDIN_BYTES:
        raise GrantError(f"{path}: that is more than {exact_size(STDIN_BYTES)}; ask for stdin (-) and pipe it in")
    return data


def to_flags(grants: Grants, *, bare: bool | None = None) -> list[str]:
    """Flags that `from_options` turns back into `grants`; `[]` for the default.

    `bare`: whether they start from `--deny-all` (default: when that is how such grants are thought of: no argv, no
    standard stream). Raises `GrantError` for what flags cannot say: overrides, contents of a directory in memory,
    streams, clocks and directories of a class of your own.
    """
    if bare is None:
        bare = not (grants.args or grants.stdout or grants.stderr) and grants.stdin is None
    start = Grants.nothing() if bare else Grants()
    flags = ["--deny-all"] if bare else []
    for guest, directory in grants.dirs.items():
        flags += dir_flags(guest, directory)
    for value in in_flags(grants.withheld):
        flags += _option("--withhold", value)
    for name, value in grants.env.items():
        flags += _option("--env", f"{name}={value}")
    if not _same(grants.stdin, start.stdin):
        flags += _stdin_flags(grants.stdin)
    for flag, now, before in (("--clock", grants.clocks, start.clocks), ("--random", grants.random, start.random)):
        if now != before:
            flags += [flag, spec_of(now, "flags")]
    for socket in grants.sockets:
        flags += ["--listen", socket.address]
    for name, flag in (("args", "argv"), ("stdout", "stdout"), ("stderr", "stderr")):
        if getattr(grants, name) != getattr(start, name):
            flags.append(f"--{flag}" if getattr(grants, name) else f"--no-{flag}")
    if grants.rights != "strict":
        flags += ["--rights", grants.rights]
    if grants.ask:
        flags.append("--ask")
    for name, flag in LIMIT_FLAGS.items():
        value = getattr(grants.limits, name)
        if value != getattr(start.limits, name):
            sized = isinstance(value, int) and name not in COUNTS
            flags += [flag, UNBOUNDED if value is None else exact_size(value) if sized else str(value)]
    if grants.overrides:
        raise GrantError(f"the overrides ({', '.join(grants.overrides)}) are Python functions: flags cannot say them")
    return flags


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _option(flag: str, value: str) -> list[str]:
    """The words of an option; a value that looks like an option itself is tied to it."""
    return [f"{flag}={value}"] if value.startswith("-") else [flag, value]


def spec_of(source: Clocks | Random, form: str) -> str:
    """The textual form of clocks or randomness; raises `GrantError` where they are of a class of your own."""
    if source.spec == "custom":
        raise GrantError(f"{type(source).__name__} of your own: {form} cannot say it, Python can")
    return source.spec


def _stdin_flags(stdin: Any) -> list[str]:
    if stdin is None:
        return ["--stdin", "none"]
    if stdin == "ask":
        return ["--stdin", "-"]
    if isinstance(stdin, bytes):
        try:
            text = stdin.decode()
        except UnicodeDecodeError:
            text = "\0"
        if "\0" in text:
            raise GrantError("stdin is not plain UTF-8 text: save it to a file and write --stdin FILE")
        return _option("--stdin-text", text)
    raise GrantError(f"stdin is a {type(stdin).__name__}: flags cannot say it")


def dir_flags(guest: str, directory: Directory) -> list[str]:
    """The flags that grant `directory` at `guest`; raises `GrantError` for what flags cannot say."""
    if isinstance(directory, HostDir):
        return folder_words(guest, directory.path, directory.mode)
    if isinstance(directory, MemDir):
        if memory_key(directory) != memory_key(MemDir()):
            raise GrantError(f"the directory in memory at {guest!r} has contents or limits: flags cannot say it")
        return _option("--mem", guest)
    raise GrantError(f"the directory at {guest!r} is a {type(directory).__name__}: flags cannot say it, Python can")


def folder_words(guest: str, host: str, mode: str) -> list[str]:
    """The words that grant the folder `host` of the host at `guest`; raises `GrantError` for what flags cannot say."""
    if "::" in host or host.endswith(":"):
        raise GrantError(f"the folder {host!r}: flags cannot say its colons, a policy file can")
    body = host if (host.rstrip("/") or "/") == guest else f"{host}::{guest}"
    # The mode is left out where it is the default and nothing could be mistaken for one.
    usual = mode == "ro" and ":" not in body.replace("::", "", 1)
    return _option("--dir", body if usual else f"{body}:{mode}")
