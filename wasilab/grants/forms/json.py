"""Convert grants to and from plain JSON values without loss, to send them or keep them with a recording.

    {"version": 1,
     "dirs": [{"guest": "/data", "host": "/home/me/data", "named": "data", "mode": "ro", "device": 2049, "inode": 71},
              {"guest": "/tmp", "memory": {"a.txt": {"text": "..."}, "b": {"base64": "..."}, "c": {"link": "a.txt"},
                                           "d": {"folder": true}}, "mode": "rw", "max_bytes": 1, "max_names": 1}],
     "withheld": {"/data": ["fd_readdir"]}, "env": {"LANG": "C"}, "args": true, "stdin": {"text": ""}, ...}

Every field is written, so that a different default in a later version changes nothing. A host folder is reopened by its
absolute path, and must be the same folder: device and inode are compared. Overrides and objects of your own classes
cannot be written. Reading is strict: anything that the writer would not produce raises `GrantError`.
"""

from __future__ import annotations

import binascii
import os
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from ...capabilities import host as host_objects
from ...capabilities.host.hostdir import HostDir
from ...capabilities.memory.memdir import Files, MemDir, Symlink
from ...capabilities.protocols import Directory
from ...engine.limits import BOUNDS, Limits
from ...text.numbers import with_article
from ..fields import FieldShape, GrantField, grant_fields
from ..value import MODES, GrantError, GrantValue, listening, nearest
from .toml import spec_of

G = TypeVar("G", bound=GrantValue)

VERSION = 1
_HOST_KEYS = ("guest", "host", "named", "mode", "device", "inode", "max_bytes", "max_names")
_MEMORY_KEYS = ("guest", "memory", "mode", "max_bytes", "max_names")


# ---- grants to a value


def to_value(grants: GrantValue) -> dict[str, object]:
    """`grants` as JSON values. Raises `GrantError` for what JSON cannot hold."""
    value: dict[str, object] = {"version": VERSION}
    for name, about in grant_fields(type(grants)).items():
        value[name] = _written(name, about, getattr(grants, name))
    return value


def _written(name: str, about: GrantField, value: Any) -> object:
    match about.shape:
        case FieldShape.DIRS:
            return [_directory_value(guest, directory) for guest, directory in value.items()]
        case FieldShape.WITHHELD:
            return {guest: list(names) for guest, names in value.items()}
        case FieldShape.VARIABLES:
            return dict(value)
        case FieldShape.SOURCE:
            return spec_of(value, "a value")
        case FieldShape.SOCKETS:
            return [socket.address for socket in listening(value)]
        case FieldShape.LIMITS:
            return {limit: getattr(value, limit) for limit in BOUNDS}
        case FieldShape.STDIN if isinstance(value, bytes):
            return _bytes_value(value)
        case FieldShape.STDIN if value is not None and value != "ask":
            raise GrantError(f"{name} is {with_article(type(value).__name__)}: a value cannot express it")
        case FieldShape.FUNCTIONS if value:
            raise GrantError(f"{name} ({', '.join(value)}) are Python functions: a value cannot hold them")
        case FieldShape.FUNCTIONS:
            return {}
    return value


def _directory_value(guest: str, directory: Directory) -> dict[str, object]:
    if isinstance(directory, HostDir):
        device, inode = directory.identity
        found: dict[str, object] = {"guest": guest, "host": directory.real, "named": directory.path}
        found |= {"mode": directory.mode, "device": device, "inode": inode}
        return {**found, "max_bytes": directory.max_bytes, "max_names": directory.max_names}
    if isinstance(directory, MemDir):
        files = {path: _node_value(node) for path, node in directory.files().items()}
        mode = "rw" if directory.writable else "ro"
        bounds = {"max_bytes": directory.max_bytes, "max_names": directory.max_names}
        return {"guest": guest, "memory": files, "mode": mode, **bounds}
    raise GrantError(
        f"the directory at {guest!r} is {with_article(type(directory).__name__)}: a value cannot express "
        "it"
    )


def _node_value(node: bytes | Symlink | Mapping[str, bytes]) -> dict[str, object]:
    if isinstance(node, bytes):
        return _bytes_value(node)
    return {"link": str(node)} if isinstance(node, Symlink) else {"folder": True}


def _bytes_value(data: bytes) -> dict[str, object]:
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"base64": binascii.b2a_base64(data, newline=False).decode()}


# ---- a value to grants


def from_value(value: object, kind: type[G], *, same_folders: bool = True) -> G:
    """The grants of class `kind` that `to_value` wrote.

    `same_folders`: whether a host folder must be the one that was granted, by device and inode (False if the value
    comes from another machine with the same folders at the same paths). Raises `GrantError` for invalid values, and for
    what cannot be granted (any more), such as a folder that is gone or was replaced.
    """
    about = grant_fields(kind)
    rows = _mapping(value, "the grants")
    if rows.get("version") != VERSION:
        raise GrantError(f"the grants are of version {rows.get('version')!r:.20}; this wasilab reads version {VERSION}")
    _only(rows, ("version", *about), "the grants")
    try:
        fields: dict[str, Any] = {n: _read(n, about[n], rows[n], same_folders) for n in about if n in rows}
        return kind(**fields)
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise error if isinstance(error, GrantError) else GrantError(f"the grants cannot be read: {error}") from None


def _read(name: str, about: GrantField, value: object, same_folders: bool) -> object:
    match about.shape:
        case FieldShape.DIRS:
            entries = [_mapping(entry, name) for entry in _list(value, name)]
            return {_text(entry, "guest", name): _directory(entry, name, same_folders) for entry in entries}
        case FieldShape.WITHHELD:
            return {guest: _list(names, name) for guest, names in _mapping(value, name).items()}
        case FieldShape.VARIABLES:
            return _mapping(value, name)
        case FieldShape.SOURCE if isinstance(value, str) and about.parse is not None:
            return about.parse(value)
        case FieldShape.SOCKETS:
            return tuple(host_objects.sockets.listen(str(address)) for address in _list(value, name))
        case FieldShape.LIMITS:
            bounds: dict[str, Any] = _mapping(value, name)
            _only(bounds, BOUNDS, name)
            return Limits(**bounds)
        case FieldShape.STDIN if isinstance(value, dict):
            return _bytes(value, name)
        case FieldShape.FUNCTIONS if value:
            raise GrantError(f"{name}: a value cannot hold functions")
    return value


def _directory(entry: Mapping[str, object], name: str, same_folders: bool) -> Directory:
    guest = entry["guest"]
    bounds: dict[str, Any] = {key: entry[key] for key in ("max_bytes", "max_names") if key in entry}
    if any(type(bound) is not int or bound < 0 for bound in bounds.values()):
        raise GrantError(f"{name}[{guest!r}]: max_bytes and max_names are whole numbers")
    mode = _text(entry, "mode", name)
    if "memory" in entry:
        _only(entry, _MEMORY_KEYS, f"{name}[{guest!r}]")
        files: dict[str, Files | bytes | Symlink] = {
            path: _node(_mapping(node, path), path) for path, node in _mapping(entry["memory"], name).items()
        }
        return MemDir(files, mode=mode, **bounds)  # type: ignore[arg-type]  # MemDir checks the mode
    _only(entry, _HOST_KEYS, f"{name}[{guest!r}]")
    if mode not in MODES:
        raise GrantError(f"{name}[{guest!r}]: the mode {mode!r} is not one of {', '.join(MODES)}")
    host, named = _text(entry, "host", name), _text(entry, "named", name)
    if not os.path.isabs(host):
        raise GrantError(f"{name}[{guest!r}]: {host!r} is not an absolute path")
    # The original name is kept if it leads to the same folder, so that flags and Python show it as before.
    path = named if os.path.realpath(os.path.expanduser(named)) == host else host
    directory = HostDir(path, mode, **bounds)
    if same_folders and directory.identity != (entry["device"], entry["inode"]):
        raise GrantError(
            f"{host!r} is not the folder that was granted at {guest!r}: another one is there now; grant it anew, or "
            "read the value with same_folders=False"
        )
    return directory


def _node(node: Mapping[str, object], path: str) -> bytes | Symlink | dict[str, bytes]:
    if node.get("folder") is True and len(node) == 1:
        return {}
    if "link" in node and len(node) == 1:
        return Symlink(_text(node, "link", path))
    return _bytes(node, path)


def _bytes(node: Mapping[str, object], what: str) -> bytes:
    text, base64 = node.get("text"), node.get("base64")
    if len(node) == 1 and isinstance(text, str):
        return text.encode()
    if len(node) == 1 and isinstance(base64, str):
        try:
            return binascii.a2b_base64(base64, strict_mode=True)
        except ValueError:  # binascii.Error, or text beyond ASCII
            pass
    raise GrantError(f"{what}: these are not the contents of a file")


def _mapping(value: object, what: str) -> dict[str, object]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise GrantError(f"{what}: {type(value).__name__} where a mapping of names is expected")
    return value


def _list(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise GrantError(f"{what}: {type(value).__name__} where a list is expected")
    return value


def _text(entry: Mapping[str, object], key: str, what: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str):
        raise GrantError(f"{what}: {key} is missing or not text")
    return value


def _only(table: Mapping[str, object], valid: Collection[str], where: str) -> None:
    for key in table:
        if key not in valid:
            raise GrantError(f"{where}: unknown key {key!r}{nearest(key, valid)}")
