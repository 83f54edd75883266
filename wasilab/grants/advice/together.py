"""The union of several runs' grants, from which advice for all of them is made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ...capabilities.memory.memdir import MemDir
from ...capabilities.protocols import Directory
from ..grants import Grants


def merged(several: Iterable[Grants]) -> Grants:
    """The union of all of them; where two differ on one name, the wider of two modes, else the later."""
    together: Grants | None = None
    for grants in several:
        if together is None:
            together = grants
            continue
        dirs = dict(together.dirs)
        for guest, directory in grants.dirs.items():
            if guest not in dirs or _width(directory) >= _width(dirs[guest]):
                dirs[guest] = directory
        together = replace(
            grants,
            dirs=dirs,
            withheld=_withheld(together, grants),
            env={**together.env, **grants.env},
            args=together.args or grants.args,
            stdin=grants.stdin if grants.stdin not in (None, b"") else together.stdin,
            stdout=together.stdout or grants.stdout,
            stderr=together.stderr or grants.stderr,
            clocks=grants.clocks if grants.clocks.spec != "none" else together.clocks,
            random=grants.random if grants.random.spec != "none" else together.random,
            sockets=tuple(dict.fromkeys((*together.sockets, *grants.sockets))),
            connect=tuple(dict.fromkeys((*together.connect, *grants.connect))),
            resolve=tuple(dict.fromkeys((*together.resolve, *grants.resolve))),
            http=tuple(dict.fromkeys((*together.http, *grants.http))),
            features=tuple(dict.fromkeys((*together.features, *grants.features))),
        )
    assert together is not None
    return together


def _width(directory: Directory) -> int:
    if isinstance(directory, MemDir):
        return 0
    return {"ro": 1, "copy": 2, "rw": 3}.get(str(getattr(directory, "mode", "")), 0)


def _withheld(one: Grants, other: Grants) -> dict[str, tuple[str, ...]]:
    """The rights withheld by both of two grants."""
    both: dict[str, tuple[str, ...]] = {}
    for guest in {**one.withheld, **other.withheld}:
        sides = [set(g.withheld.get(guest, ())) for g in (one, other) if guest in g.dirs]
        both[guest] = tuple(set.intersection(*sides))
    return both
