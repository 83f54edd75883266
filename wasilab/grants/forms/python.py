"""Grants as a Python expression, both ways: what a person can paste, and what a trace says of its run.

`from_python` reads such an expression without evaluating it: it knows literals and the few constructors that build
grants, and nothing else, because a trace file may come from anybody.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any

from ...capabilities.clocks import Clocks
from ...capabilities.host.sockets import listen
from ...capabilities.memory.memdir import MemDir
from ...capabilities.protocols import Directory
from ...capabilities.random import Random
from ...engine.limits import Limits
from ..grants import GrantError, Grants, given, host_folder, memory_key

_CALLS: dict[str, Callable[..., Any]] = {
    "Grants": Grants,
    "HostDir": host_folder,
    "MemDir": MemDir,
    "Limits": Limits,
    "listen": listen,
    **{f"Clocks.{name}": getattr(Clocks, name) for name in ("real", "frozen", "stepped", "coarse", "nothing")},
    **{f"Random.{name}": getattr(Random, name) for name in ("real", "seeded", "nothing")},
}


def to_python(grants: Grants, *, contents: int | None = None) -> str:
    """A Python expression that builds `grants` (objects of your own classes print as their `repr`).

    `contents`: the files of a directory in memory are left out where they take more characters than this.
    """
    default = Grants()
    parts: list[str] = []
    for field in fields(Grants):
        value = getattr(grants, field.name)
        if given(grants, field.name) == given(default, field.name):
            continue
        if field.name == "limits":
            changed = {f.name: getattr(value, f.name) for f in fields(Limits) if getattr(value, f.name) != f.default}
            parts.append(f"limits=Limits({_keywords(changed.items())})")
        elif field.name == "dirs":
            parts.append(f"dirs={{{', '.join(f'{guest!r}: {_directory(d, contents)}' for guest, d in value.items())}}}")
        elif field.name == "withheld":
            parts.append(f"withheld={{{', '.join(f'{guest!r}: {list(names)!r}' for guest, names in value.items())}}}")
        elif field.name in ("env", "overrides"):
            parts.append(f"{field.name}={{{', '.join(f'{k!r}: {v!r}' for k, v in value.items())}}}")
        elif field.name == "sockets":
            parts.append(f"sockets=[{', '.join(f'listen({s.address!r})' for s in value)}]")
        else:
            parts.append(f"{field.name}={value!r}")
    return f"Grants({', '.join(parts)})"


def _directory(directory: Directory, contents: int | None) -> str:
    if not isinstance(directory, MemDir):
        return repr(directory)
    files, max_bytes, max_names, writable = memory_key(directory)
    _, usual_bytes, usual_names, _ = memory_key(MemDir())
    parts = [repr(files)] if files else []
    if contents is not None and sum(map(len, parts)) > contents:
        parts = []
    parts += [f"max_bytes={max_bytes}"] if max_bytes != usual_bytes else []
    parts += [f"max_names={max_names}"] if max_names != usual_names else []
    parts += [] if writable else ["mode='ro'"]
    return f"MemDir({', '.join(parts)})"


def _keywords(items: Iterable[tuple[str, Any]]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in items)


def from_python(text: str) -> Grants:
    """The grants that `to_python` wrote as `text`, read and not evaluated.

    Raises `GrantError` for anything but literals and the constructors of grants, and for what cannot be granted (any
    more), such as a folder that is gone.
    """
    try:
        grants = _value(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise GrantError(f"cannot read the grants {text[:80]!r}: {error}") from None
    if not isinstance(grants, Grants):
        raise GrantError(f"{text[:80]!r} is no grants")
    return grants


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func) if isinstance(node.func, (ast.Name, ast.Attribute)) else ""
        if name not in _CALLS or any(word.arg is None for word in node.keywords):
            raise ValueError(f"{name or 'an expression'} is no constructor of grants")
        return _CALLS[name](*map(_value, node.args), **{str(word.arg): _value(word.value) for word in node.keywords})
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {_value(k): _value(v) for k, v in zip(node.keys, node.values, strict=True) if k is not None}
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(item) for item in node.elts]
    return ast.literal_eval(node)
