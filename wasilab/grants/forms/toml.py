"""Policy files: grants as TOML, to keep beside a program and to hand to somebody else.

    rights = "strict"                                   # or "compat"
    ask = false                                         # true: ask a person for what is not granted
    deny_all = true                                     # start from nothing; default: from the default grants

    [dirs]
    "/data" = { host = "data", mode = "ro" }            # host paths are relative to the policy file
    "/tmp" = { memory = true, max_bytes = 1048576 }
    "/out" = { host = "out", mode = "rw", withhold = ["path_unlink_file"] }    # rights that it lacks

    [env]
    LANG = "C"

    [stdio]
    argv = true
    stdin = "empty"                                     # or "ask", "none"; or stdin_text = "...", stdin_file = "..."
    stdout = true
    stderr = true

    [clocks]
    kind = "real"                                       # frozen:NS, stepped:NS, coarse:NS, none

    [random]
    kind = "seeded:1"                                   # real, none

    [sockets]
    listen = ["127.0.0.1:8080"]

    [limits]
    seconds = 10.0

A later file adds to and overrides an earlier one; flags come after the files. An unknown key is an error that
names the nearest valid one, because a misspelt restriction that is ignored is a hole.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterable, Mapping
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
from ..grants import GrantError, GrantFields, Grants, host_folder, memory_key, nearest
from .flags import BOUNDLESS, UNBOUNDED, read_input, spec_of

_TABLES: Mapping[str, tuple[str, ...]] = {
    "stdio": ("argv", "stdin", "stdin_text", "stdin_file", "stdout", "stderr"),
    "clocks": ("kind",),
    "random": ("kind",),
    "sockets": ("listen",),
    "limits": tuple(f.name for f in fields(Limits)),
}
_TOP = ("rights", "deny_all", "ask", "dirs", "env", *_TABLES)
_DIR = ("host", "mode", "memory", "max_bytes", "withhold")


def load(*paths: str | os.PathLike[str]) -> Grants:
    """The grants of policy files, merged in order onto the default grants."""
    return merge_files(Grants(), paths)


def merge_files(grants: Grants, paths: Iterable[str | os.PathLike[str]]) -> Grants:
    """`grants` with each policy file applied in turn. Raises `GrantError` naming the file, the key and the remedy."""
    for path in paths:
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise GrantError(f"policy {path}: {getattr(error, 'strerror', None) or error}") from None
        grants = merge_text(grants, text, folder=Path(path).parent, name=str(path))
    return grants


def merge_text(grants: Grants, text: str, *, folder: Path | None = None, name: str = "policy") -> Grants:
    """`grants` with the policy `text` applied; host paths are relative to `folder` (default: the current one)."""
    try:
        policy = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise GrantError(f"policy {name}: not TOML: {error}") from None
    try:
        return _merge(grants, policy, folder or Path())
    except (GrantError, ValueError, OSError) as error:
        raise GrantError(f"policy {name}: {error}") from None


def _merge(grants: Grants, policy: dict[str, Any], folder: Path) -> Grants:
    _only(policy, _TOP, "")
    for table, keys in _TABLES.items():
        _only(_table(policy, table), keys, f"[{table}] ")
    if _kind(policy, "deny_all", bool, False):
        grants = Grants.nothing(limits=grants.limits, rights=grants.rights)
    changes: GrantFields = {}
    if "rights" in policy:
        changes["rights"] = _kind(policy, "rights", str)
    if "ask" in policy:
        changes["ask"] = _kind(policy, "ask", bool)
    dirs: dict[str, Directory] = dict(grants.dirs)
    withheld = dict(grants.withheld)
    for guest, entry in _table(policy, "dirs").items():
        dirs[guest] = _directory(guest, entry, folder)
        withheld[guest] = _kind(entry, "withhold", list, [])
    changes["dirs"], changes["withheld"] = dirs, withheld
    changes["env"] = {**grants.env, **_table(policy, "env")}
    stdio = _table(policy, "stdio")
    if "argv" in stdio:
        changes["args"] = _kind(stdio, "argv", bool)
    if "stdout" in stdio:
        changes["stdout"] = _kind(stdio, "stdout", bool)
    if "stderr" in stdio:
        changes["stderr"] = _kind(stdio, "stderr", bool)
    given = [key for key in ("stdin", "stdin_text", "stdin_file") if key in stdio]
    if len(given) > 1:
        raise GrantError(f"[stdio] {' and '.join(given)}: give one of them")
    if given:
        changes["stdin"] = _stdin(given[0], _kind(stdio, given[0], str), folder)
    if "kind" in _table(policy, "clocks"):
        changes["clocks"] = Clocks.parse(_kind(policy["clocks"], "kind", str))
    if "kind" in _table(policy, "random"):
        changes["random"] = Random.parse(_kind(policy["random"], "kind", str))
    addresses = _kind(_table(policy, "sockets"), "listen", list, [])
    if addresses:
        changes["sockets"] = (*grants.sockets, *(listen(str(address)) for address in addresses))
    bounds = _table(policy, "limits")
    if bounds:
        bounds = {k: None if k in BOUNDLESS and v == UNBOUNDED else v for k, v in bounds.items()}
        changes["limits"] = replace(grants.limits, **bounds)
    return grants.with_(**changes)


def _only(table: Mapping[str, Any], valid: Iterable[str], where: str) -> None:
    for key in table:
        if key not in valid:
            raise GrantError(f"{where}{key!r} is not a key of a policy{nearest(key, valid)}")


def _table(policy: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = policy.get(key, {})
    if not isinstance(value, dict):
        raise GrantError(f"{key!r} must be a table: write [{key}]")
    return value


def _kind(table: Mapping[str, Any], key: str, kind: type, default: Any = None) -> Any:
    value = table.get(key, default)
    if key in table and type(value) is not kind:
        raise GrantError(f"{key} = {value!r}: must be a {kind.__name__}")
    return value


def _directory(guest: str, entry: Any, folder: Path) -> Directory:
    if not isinstance(entry, dict):
        raise GrantError(f'dirs.{guest!r}: write {{ host = "folder", mode = "ro" }} or {{ memory = true }}')
    _only(entry, _DIR, f"dirs.{guest!r}: ")
    if _kind(entry, "memory", bool, False):
        if "host" in entry or "mode" in entry:
            raise GrantError(f"dirs.{guest!r}: memory = true goes without host and mode")
        return MemDir(max_bytes=_kind(entry, "max_bytes", int)) if "max_bytes" in entry else MemDir()
    if "host" not in entry or "max_bytes" in entry:
        raise GrantError(f'dirs.{guest!r}: write {{ host = "folder", mode = "ro" }} or {{ memory = true }}')
    host = Path(_kind(entry, "host", str)).expanduser()
    return host_folder(str(host if host.is_absolute() else folder / host), _kind(entry, "mode", str, "ro"))


def _stdin(key: str, value: str, folder: Path) -> bytes | Literal["ask"] | None:
    if key == "stdin_text":
        return value.encode()
    if key == "stdin_file":
        return read_input(folder / value)
    kinds: dict[str, bytes | Literal["ask"] | None] = {"empty": b"", "ask": "ask", "none": None}
    if value not in kinds:
        raise GrantError(f"[stdio] stdin = {value!r}{nearest(value, kinds)}")
    return kinds[value]


def save(grants: Grants, path: str | os.PathLike[str]) -> None:
    """Write `grants` as a policy file; relative host paths are rewritten to be relative to it.

    Raises `GrantError` for what a policy cannot say, and for a file that cannot be written.
    """
    try:
        folder = Path(path).resolve().parent
        Path(path).write_text(to_toml(grants, folder=folder), encoding="utf-8")
    except OSError as error:
        folder_there = isinstance(error, IsADirectoryError)
        what = "that is a folder: name a file in it" if folder_there else error.strerror or error
        raise GrantError(f"cannot write the policy file {os.fspath(path)!r}: {what}") from None


def to_toml(grants: Grants, *, folder: Path | None = None) -> str:
    """The policy text that gives `grants`; what stands at its default is left out.

    Raises `GrantError` for what a policy cannot say (overrides, directories and streams of a class of your own).
    """
    if grants.overrides:
        raise GrantError(f"the overrides ({', '.join(grants.overrides)}) are Python: a policy cannot say them")
    bare = not (grants.args or grants.stdout or grants.stderr) and grants.stdin is None
    start = Grants.nothing() if bare else Grants()
    lines: list[str] = []
    if grants.rights != start.rights:
        lines.append(f"rights = {_toml(grants.rights)}")
    if grants.ask:
        lines.append("ask = true")
    if bare:
        lines.append("deny_all = true")
    tables: dict[str, dict[str, str]] = {
        "dirs": {_toml(g): _dir_toml(g, d, folder, grants.withheld.get(g, ())) for g, d in grants.dirs.items()},
        "env": {_toml(name): _toml(value) for name, value in grants.env.items()},
        "stdio": _stdio_toml(grants, start),
        "clocks": {"kind": _toml(spec_of(grants.clocks, "a policy"))} if grants.clocks != start.clocks else {},
        "random": {"kind": _toml(spec_of(grants.random, "a policy"))} if grants.random != start.random else {},
        "sockets": {"listen": f"[{', '.join(_toml(s.address) for s in grants.sockets)}]"} if grants.sockets else {},
        "limits": {
            f.name: _toml(UNBOUNDED if getattr(grants.limits, f.name) is None else getattr(grants.limits, f.name))
            for f in fields(Limits)
            if getattr(grants.limits, f.name) != f.default
        },
    }
    for name, rows in tables.items():
        if rows:
            lines += ["", f"[{name}]", *(f"{key} = {value}" for key, value in rows.items())]
    return "\n".join(lines).lstrip("\n") + "\n" if lines else "# the default grants\n"


def _stdio_toml(grants: Grants, start: Grants) -> dict[str, str]:
    rows: dict[str, str] = {}
    if type(grants.stdin) is not type(start.stdin) or grants.stdin != start.stdin:
        if grants.stdin is None or grants.stdin == "ask":
            rows["stdin"] = _toml("none" if grants.stdin is None else "ask")
        elif isinstance(grants.stdin, bytes):
            try:
                rows["stdin_text"] = _toml(grants.stdin.decode())
            except UnicodeDecodeError:
                raise GrantError("stdin is not UTF-8 text: save it to a file and write stdin_file") from None
        else:
            raise GrantError(f"stdin is a {type(grants.stdin).__name__}: a policy cannot say it")
    for key, field in (("argv", "args"), ("stdout", "stdout"), ("stderr", "stderr")):
        if getattr(grants, field) != getattr(start, field):
            rows[key] = _toml(getattr(grants, field))
    return rows


def _dir_toml(guest: str, directory: Directory, folder: Path | None, withheld: Iterable[str]) -> str:
    lacks = f", withhold = [{', '.join(map(_toml, withheld))}]" if withheld else ""
    if isinstance(directory, HostDir):
        host = str(directory.path)
        if folder is not None and not os.path.isabs(host):
            host = os.path.relpath(directory.real, folder)
        return f"{{ host = {_toml(host)}, mode = {_toml(directory.mode)}{lacks} }}"
    if isinstance(directory, MemDir):
        files, max_bytes, *rest = memory_key(directory)
        _, usual_bytes, *usual = memory_key(MemDir())
        if files or rest != usual:
            raise GrantError(f"the directory in memory at {guest!r} has contents or rules: a policy cannot say it")
        bound = f", max_bytes = {max_bytes}" if max_bytes != usual_bytes else ""
        return f"{{ memory = true{bound}{lacks} }}"
    raise GrantError(f"the directory at {guest!r} is a {type(directory).__name__}: a policy cannot say it")


def _toml(value: str | int | float | bool) -> str:
    # A JSON string is a TOML basic string, save DEL, which TOML wants escaped.
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise GrantError(f"{value!r} is not Unicode text: a policy cannot say it") from None
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
