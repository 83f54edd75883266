"""Policy files: grants as TOML, to keep with a program and to share.

    rights = "strict"                                   # or "compat"
    ask = false                                         # true: ask the user for what is not granted
    deny_all = true                                     # start from nothing; default: from the default grants

    [dirs]
    "/data" = { host = "data", mode = "ro" }            # host paths are relative to the policy file
    "/tmp" = { memory = true, max_bytes = 1048576 }
    "/out" = { host = "out", mode = "rw", withhold = ["path_unlink_file"] }    # rights that it lacks

    [env]
    LANG = "C"

    [stdio]
    argv = true
    stdin = "empty"                                     # or "ask", "none"; or stdin_text = "..."; or stdin_file =
                                                        # "...": a file in the policy's folder
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

A policy may be untrusted. It names folders and sockets, which are shown before a run, but it cannot copy an arbitrary
host file into a guest's stdin. Only a regular file of bounded size is read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from ...capabilities import host as host_objects
from ...capabilities.host.features import DEFAULT_MODE
from ...capabilities.host.hostdir import HostDir
from ...capabilities.memory.memdir import MemDir
from ...capabilities.protocols import Directory
from ...engine.limits import BOUNDS, DEFAULTS, NONE
from ...text.escape import shorten
from ...text.numbers import exact_size, with_article
from ..fields import FieldShape, GrantField, grant_fields
from ..value import GivenStdin, GrantError, GrantValue, host_folder, listening, memory_key, nearest

G = TypeVar("G", bound=GrantValue)
K = TypeVar("K")
Table = Mapping[str, Any]

_DIR = ("host", "mode", "memory", "max_bytes", "withhold")
STDIN_BYTES = 1 << 30
"""The largest file that is read into memory for a guest's stdin."""
POLICY_BYTES = 1 << 20
"""The largest policy file."""
LONGEST_MESSAGE = 500
"""The most characters of an error message: it shows values that can be long."""


# ---- a policy to grants


def merge_files(grants: G, paths: Iterable[str | os.PathLike[str]]) -> G:
    """`grants` with each policy file applied in turn. Raises `GrantError` naming the file, the key and the remedy."""
    for path in paths:
        try:
            text = _regular_file(Path(path), POLICY_BYTES).decode()
        except UnicodeDecodeError:
            raise GrantError(f"policy {path}: not UTF-8 text") from None
        except (OSError, ValueError) as error:
            raise GrantError(f"policy {path}: {getattr(error, 'strerror', None) or error}") from None
        grants = merge_text(grants, text, folder=Path(path).parent, name=str(path))
    return grants


def merge_text(grants: G, text: str, *, folder: Path | None = None, name: str = "policy") -> G:
    """`grants` with the policy `text` applied; host paths are relative to `folder` (default: the current one)."""
    import tomllib  # imported only when a policy is read

    try:
        policy = tomllib.loads(text)
    except ValueError as error:
        raise GrantError(f"policy {name}: not TOML: {error}") from None
    except RecursionError:
        raise GrantError(f"policy {name}: its arrays or tables are nested too deeply") from None
    try:
        return _merge(grants, policy, folder or Path())
    except (ValueError, OSError) as error:
        raise GrantError(f"policy {name}: {shorten(str(error), LONGEST_MESSAGE)}") from None
    except RecursionError:  # the message would have shown such a value
        raise GrantError(f"policy {name}: its arrays or tables are nested too deeply") from None


def _merge(grants: G, policy: Table, folder: Path) -> G:
    about = grant_fields(type(grants))
    _check_keys(policy, about)
    if _kind(policy, "deny_all", bool, False):
        grants = type(grants).nothing(limits=grants.limits, rights=grants.rights)
    changes: dict[str, Any] = {}
    for name, field in about.items():
        table = field.toml[0]
        now = getattr(grants, name)
        value = _read(_table(policy, table) if table else policy, field, now, folder)
        if value is not now:
            changes[name] = value
    return grants.with_(**changes)


def _check_keys(policy: Table, about: Mapping[str, GrantField]) -> None:
    """Raise `GrantError` for a key that no field has, naming the nearest one."""
    tables: dict[str, list[str]] = {}
    free = {"dirs"}
    for field in about.values():
        table, key = field.toml
        if not key:
            free.add(table)
        keys = [key, *(f"{key}_text", f"{key}_file")] if field.shape is FieldShape.STDIN else [key]
        tables.setdefault(table, []).extend(keys if key else [])
    tables["limits"] = list(BOUNDS)
    free -= {"", "limits"}
    _only(policy, ["deny_all", *tables.pop("", []), *tables, *(name for name in free if name not in tables)], "")
    for table, keys in tables.items():
        rows = _table(policy, table)
        if table not in free:
            _only(rows, keys, f"[{table}] ")


def _only(table: Table, valid: Iterable[str], where: str) -> None:
    for key in table:
        if key not in valid:
            raise GrantError(f"{where}{key!r} is not a key of a policy{nearest(key, valid)}")


def _table(policy: Table, key: str) -> Table:
    value = policy.get(key, {})
    if not isinstance(value, dict):
        raise GrantError(f"{key!r} must be a table: write [{key}]")
    return value


def _kind(table: Table, key: str, kind: type[K], default: K | None = None) -> K:
    value = table.get(key, default)
    if key in table and type(value) is not kind:
        raise GrantError(f"{key} = {value!r}: must be {with_article(kind.__name__)}")
    return cast(K, value)


def _read(rows: Table, about: GrantField, now: Any, folder: Path) -> object:
    """The value of one field in the table `rows`, on top of `now`; `now` itself if it is not given."""
    key = about.toml[1]
    match about.shape:
        case FieldShape.DIRS if rows:
            return {**now, **{guest: _directory(guest, entry, folder) for guest, entry in rows.items()}}
        case FieldShape.WITHHELD if rows:
            return {**now, **{guest: _kind(entry, "withhold", list, []) for guest, entry in rows.items()}}
        case FieldShape.VARIABLES if rows:
            return {**now, **rows}
        case FieldShape.SWITCH:
            return _kind(rows, key, bool, now)
        case FieldShape.CHOICE:
            return _kind(rows, key, str, now)
        case FieldShape.SOURCE if key in rows and about.parse is not None:
            return about.parse(_kind(rows, key, str))
        case FieldShape.SOCKETS if key in rows:
            return (*now, *(host_objects.sockets.listen(str(address)) for address in _kind(rows, key, list)))
        case FieldShape.RULES if key in rows:
            return (*now, *map(str, _kind(rows, key, list)))
        case FieldShape.LIMITS if rows:
            bounds = {k: None if BOUNDS[k].none and v == NONE else v for k, v in rows.items()}
            return replace(now, **bounds)
        case FieldShape.STDIN:
            return _read_stdin(rows, about, now, folder)
    return now


def _read_stdin(rows: Table, about: GrantField, now: object, folder: Path) -> object:
    table, key = about.toml
    given = [each for each in (key, f"{key}_text", f"{key}_file") if each in rows]
    if len(given) > 1:
        raise GrantError(f"[{table}] {' and '.join(given)}: give one of them")
    if not given:
        return now
    value: str = _kind(rows, given[0], str)
    if given[0] == f"{key}_text":
        return value.encode()
    if given[0] == f"{key}_file":
        return _beside(folder, value, given[0])
    kinds: dict[str, GivenStdin] = {"empty": b"", "ask": "ask", "none": None}
    if value not in kinds:
        raise GrantError(f"[{table}] {key} = {value!r}{nearest(value, kinds)}")
    return kinds[value]


def _directory(guest: str, entry: object, folder: Path) -> Directory:
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
    return host_folder(str(host if host.is_absolute() else folder / host), _kind(entry, "mode", str, DEFAULT_MODE))


def read_input(path: Path) -> bytes:
    """The whole contents of the user's file, device or pipe, for a guest to read as its stdin.

    Raises `OSError`, `GrantError` for one that is too long.
    """
    with path.open("rb") as file:
        try:
            return _bounded(file, STDIN_BYTES)
        except GrantError as error:
            raise GrantError(f"{path}: {error}; ask for stdin (-) and pipe it in") from None


def _beside(folder: Path, name: str, key: str) -> bytes:
    """The contents of the regular file `name`, which must be in the folder of the policy that names it."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise GrantError(f"{key} = {name!r:.80}: not in the folder of the policy; if you want it read: --stdin FILE")
    try:
        return _regular_file(path, STDIN_BYTES)
    except (OSError, GrantError) as error:
        raise GrantError(f"{key} = {name!r:.80}: {getattr(error, 'strerror', None) or error}") from None


def _regular_file(path: Path, most: int) -> bytes:
    """A regular file's contents. Raises `OSError`, `GrantError` for a pipe, a device, a folder or a longer file."""
    if path.exists():
        _check_regular(path.stat().st_mode)  # check first: opening a device can have side effects
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags), "rb") as file:
        _check_regular(os.fstat(file.fileno()).st_mode)
        return _bounded(file, most)


def _check_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe" if stat.S_ISFIFO(mode) else "a device or socket"
        raise GrantError(f"that is {kind}, not a file")


def _bounded(file: BinaryIO, most: int) -> bytes:
    data = file.read(most + 1)
    if len(data) > most:
        raise GrantError(f"that is more than {exact_size(most)} bytes")
    return data


# ---- grants to a policy


def save(grants: GrantValue, path: str | os.PathLike[str]) -> None:
    """Write `grants` as a policy file; relative host paths are rewritten to be relative to it.

    Raises `GrantError` for what a policy cannot express, and for a file that cannot be written.
    """
    try:
        folder = Path(path).resolve().parent
        Path(path).write_text(to_toml(grants, folder=folder), encoding="utf-8")
    except OSError as error:
        folder_there = isinstance(error, IsADirectoryError)
        what = "that is a folder: name a file in it" if folder_there else error.strerror or error
        raise GrantError(f"cannot write the policy file {os.fspath(path)!r}: {what}") from None


def to_toml(grants: GrantValue, *, folder: Path | None = None) -> str:
    """The policy text for `grants`, without defaults.

    Raises `GrantError` for what a policy cannot say (overrides, directories and streams of a class of your own).
    """
    bare = grants.holds_no_stream
    start = type(grants).nothing() if bare else type(grants)()
    tables: dict[str, dict[str, str]] = {"": {"deny_all": "true"} if bare else {}}
    entries: dict[str, dict[str, str]] = {}
    for name, about in grant_fields(type(grants)).items():
        value, usual = getattr(grants, name), getattr(start, name)
        if about.shape is FieldShape.DIRS:
            entries = {guest: _dir_toml(guest, directory, folder) for guest, directory in value.items()}
            tables[about.toml[0]] = {}
        elif about.shape is FieldShape.WITHHELD:
            for guest, names in value.items():
                entries[guest]["withhold"] = f"[{', '.join(map(_toml, names))}]"
        else:
            tables.setdefault(about.toml[0], {}).update(_written(about, value, usual))
    tables["dirs"] = {_toml(guest): _inline(entry) for guest, entry in entries.items()}
    top = [f"{key} = {value}" for key, value in tables.pop("").items()]
    lines = sorted(top, key=lambda line: line.startswith("deny_all"))
    for name, rows in tables.items():
        if rows:
            lines += ["", f"[{name}]", *(f"{key} = {value}" for key, value in rows.items())]
    return "\n".join(lines).lstrip("\n") + "\n" if lines else "# the default grants\n"


def spec_of(source: object, form: str) -> str:
    """The textual form of clocks or randomness; raises `GrantError` for objects of your own classes."""
    spec: str = getattr(source, "spec", "custom")
    if spec == "custom":
        raise GrantError(f"{type(source).__name__} of your own: {form} cannot say it, Python can")
    return spec


def _inline(entry: Mapping[str, str]) -> str:
    return f"{{ {', '.join(f'{key} = {value}' for key, value in entry.items())} }}"


def _dir_toml(guest: str, directory: Directory, folder: Path | None) -> dict[str, str]:
    if isinstance(directory, HostDir):
        host = str(directory.path)
        if folder is not None and not os.path.isabs(host):
            host = os.path.relpath(directory.real, folder)
        return {"host": _toml(host), "mode": _toml(directory.mode)}
    if isinstance(directory, MemDir):
        files, max_bytes, *rest = memory_key(directory)
        _, usual_bytes, *usual = memory_key(MemDir())
        if files or rest != usual:
            raise GrantError(f"the directory in memory at {guest!r} has contents or rules: a policy cannot say it")
        return {"memory": "true", **({"max_bytes": str(max_bytes)} if max_bytes != usual_bytes else {})}
    raise GrantError(f"the directory at {guest!r} is {with_article(type(directory).__name__)}: a policy cannot say it")


def _written(about: GrantField, value: Any, start: object) -> dict[str, str]:
    """The keys of one field and their values as TOML, if it differs from `start`."""
    key = about.toml[1]
    match about.shape:
        case FieldShape.VARIABLES:
            return {_toml(name): _toml(text) for name, text in value.items()}
        case FieldShape.SWITCH | FieldShape.CHOICE if value != start:
            return {key: _toml(value)}
        case FieldShape.SOURCE if value != start:
            return {key: _toml(spec_of(value, "a policy"))}
        case FieldShape.SOCKETS if value:
            return {key: f"[{', '.join(_toml(socket.address) for socket in listening(value))}]"}
        case FieldShape.RULES if value:
            return {key: f"[{', '.join(map(_toml, value))}]"}
        case FieldShape.LIMITS:
            found = {name: getattr(value, name) for name in BOUNDS if getattr(value, name) != DEFAULTS[name]}
            return {name: _toml(NONE if bound is None else bound) for name, bound in found.items()}
        case FieldShape.STDIN if type(value) is not type(start) or value != start:
            return _write_stdin(key, value)
        case FieldShape.FUNCTIONS if value:
            raise GrantError(f"the overrides ({', '.join(value)}) are Python: a policy cannot say them")
    return {}


def _write_stdin(key: str, value: object) -> dict[str, str]:
    if value is None or value == "ask":
        return {key: _toml("none" if value is None else "ask")}
    if not isinstance(value, bytes):
        raise GrantError(f"stdin is {with_article(type(value).__name__)}: a policy cannot say it")
    try:
        return {f"{key}_text": _toml(value.decode())}
    except UnicodeDecodeError:
        raise GrantError(f"stdin is not UTF-8 text: save it to a file and write {key}_file") from None


def _toml(value: str | int | float | bool) -> str:
    import json  # imported only when a policy is written

    if not isinstance(value, str):
        return json.dumps(value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise GrantError(f"{value!r} is not Unicode text: a policy cannot say it") from None
    # A JSON string is a TOML basic string. Control and invisible characters are escaped in TOML's syntax.
    text = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in text)
