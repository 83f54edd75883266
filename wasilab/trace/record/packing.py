"""Lists of byte strings, tables of descriptor lives and the program of a recording as bytes, for the files of a trace.

The input of reading is untrusted: a length is checked before it is used, and ValueError or struct.error is raised for
corrupt bytes. Not for: calls (`container.py`).
"""

from __future__ import annotations

import itertools
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from .layout import Life

_LIFE = struct.Struct("<IIIBBxxqq")
"""Of a `Life`: life, fd, generation, kind, whether there is a preopen name, opened_seq, closed_seq."""
_MOVE = struct.Struct("<qII")
"""One of `Life.moves`."""
_LENGTH = struct.Struct("<Q")
_MOST_MODULES = 1000
_MOST_NAME = 1 << 12


def pack_list(items: Sequence[bytes]) -> bytes:
    """A list of byte strings: how many (u32), the length of each (u32), the strings."""
    return struct.pack(f"<I{len(items)}I", len(items), *map(len, items)) + b"".join(items)


def unpack_list(data: memoryview, most: int = 1 << 32) -> list[bytes]:
    """The inverse of `pack_list`, for at most `most` items; raises ValueError or struct.error for corrupt data."""
    (count,) = struct.unpack_from("<I", data)
    if 4 + 4 * count > len(data) or count > most:
        raise ValueError("a list is longer than its block")
    found = []
    at = 4 + 4 * count
    for length in struct.unpack_from(f"<{count}I", data, 4):
        found.append(bytes(data[at : at + length]))
        at += length
    if at != len(data):
        raise ValueError("a list's length does not match its block")
    return found


def pack_lives(lives: Sequence[Life]) -> bytes:
    """Descriptor lives as an array of fixed-size entries, their paths, their preopen names and their moves."""
    table = b"".join(
        _LIFE.pack(
            life.life, life.fd, life.generation, life.kind, life.preopen is not None, life.opened_seq, life.closed_seq
        )
        for life in lives
    )
    moves = (b"".join(itertools.starmap(_MOVE.pack, life.moves)) for life in lives)
    texts = [(life.path, life.preopen or b"", m) for life, m in zip(lives, moves, strict=True)]
    if any(life.type or life.parent for life in lives):
        more = [(life.type.encode(), struct.pack("<I", life.parent)) for life in lives]
        paths = pack_list([part for one, two in zip(texts, more, strict=True) for part in (*one, *two)])
    else:
        paths = pack_list([part for one in texts for part in one])
    return struct.pack("<I", len(lives)) + table + paths


def unpack_lives(data: memoryview) -> list[Life]:
    """The inverse of `pack_lives`; raises ValueError or struct.error for corrupt data."""
    (count,) = struct.unpack_from("<I", data)
    size = count * _LIFE.size
    if 4 + size > len(data):
        raise ValueError("a table is longer than its block")
    rows = _LIFE.iter_unpack(data[4 : 4 + size])
    paths = unpack_list(data[4 + size :])
    if len(paths) == 2 * count:  # from a version without moves
        paths = [text for i in range(count) for text in (paths[2 * i], paths[2 * i + 1], b"")]
    resources = [("", 0)] * count
    if len(paths) == 5 * count and count:  # of a component: each also has a type and a parent
        resources = [
            (paths[5 * i + 3].decode("utf-8", "replace"), struct.unpack("<I", paths[5 * i + 4])[0])
            for i in range(count)
        ]
        paths = [text for i in range(count) for text in paths[5 * i : 5 * i + 3]]
    if len(paths) != 3 * count:
        raise ValueError("a table of descriptors does not have their paths")
    return [
        Life(life, fd, generation, paths[3 * i], kind, opened, closed, paths[3 * i + 1] if has else None,
             tuple(_MOVE.iter_unpack(paths[3 * i + 2])), *resources[i])
        for i, (life, fd, generation, kind, has, opened, closed) in enumerate(rows)
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoredModule:
    """A module in a recording."""

    preload: str
    """The name by which the program imports it; "" for the program itself, which comes first."""
    name: str
    """Its name in reports."""
    data: bytes | memoryview
    """The binary."""


def pack_modules(modules: Sequence[StoredModule]) -> list[bytes | bytearray | memoryview]:
    """A program as the parts of a block: a JSON list of its modules' names and sizes, and their bytes."""
    rows = [{"preload": module.preload, "name": module.name, "size": len(module.data)} for module in modules]
    head = json.dumps(rows, ensure_ascii=True).encode()
    return [_LENGTH.pack(len(head)), head, *(module.data for module in modules)]


def unpack_modules(body: memoryview) -> list[StoredModule]:
    """The inverse of `pack_modules`, without a copy of the bytes; raises ValueError or struct.error."""
    (length,) = _LENGTH.unpack_from(body)
    at = _LENGTH.size + length
    if at > len(body):
        raise ValueError("the list of modules is longer than its block")
    rows = json.loads(bytes(body[_LENGTH.size : at]))
    if not isinstance(rows, list) or not 0 < len(rows) <= _MOST_MODULES:
        raise ValueError("the list of modules is not a list")
    found = []
    for row in rows:
        preload, name, size = _row(row)
        if size > len(body) - at:
            raise ValueError("a module is longer than its block")
        found.append(StoredModule(preload, name, body[at : at + size]))
        at += size
    if at != len(body) or found[0].preload or any(not module.preload for module in found[1:]):
        raise ValueError("the modules do not match their list")
    return found


def _row(row: object) -> tuple[str, str, int]:
    if not isinstance(row, dict):
        raise ValueError("the list of modules is not valid")
    preload, name, size = row.get("preload"), row.get("name"), row.get("size")
    if not isinstance(preload, str) or not isinstance(name, str) or max(len(preload), len(name)) > _MOST_NAME:
        raise ValueError("the name of a module is not a text, or too long")
    if type(size) is not int or size < 0:
        raise ValueError("the size of a module is not a number")
    return preload, name, size
