"""Convert grants to and from a Python expression, for pasting and for the metadata of traces.

`from_python` reads such an expression without evaluating it. It accepts only literals and the few constructors that
build grants, because a trace file may be hostile.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import TypeVar

from ...capabilities import host as host_objects
from ...capabilities.clocks import Clocks
from ...capabilities.memory.memdir import MemDir
from ...capabilities.protocols import Directory
from ...capabilities.random import Random
from ...engine.limits import Limits
from ...text.numbers import with_article
from ..fields import FieldShape, grant_fields
from ..value import GrantError, GrantValue, given, host_folder, memory_key

G = TypeVar("G", bound=GrantValue)

_CONSTRUCTORS: Mapping[str, Callable[..., object]] = {
    "HostDir": host_folder,
    "MemDir": MemDir,
    "Limits": Limits,
    "listen": lambda address: host_objects.sockets.listen(address),
    **{f"Clocks.{name}": getattr(Clocks, name) for name in ("real", "frozen", "stepped", "coarse", "nothing")},
    **{f"Random.{name}": getattr(Random, name) for name in ("real", "seeded", "nothing")},
}


def to_python(grants: GrantValue, *, contents: int | None = None) -> str:
    """A Python expression that builds `grants` (objects of your own classes print as their `repr`).

    `contents`: the files of a directory in memory are omitted if they take more characters than this.
    """
    default = type(grants)()
    parts: list[str] = []
    for name, about in grant_fields(type(grants)).items():
        value = getattr(grants, name)
        if given(grants, name) == given(default, name):
            continue
        match about.shape:
            case FieldShape.LIMITS:
                changed = ((f.name, getattr(value, f.name)) for f in fields(Limits))
                text = f"Limits({_keywords((n, v) for n, v in changed if v != getattr(default.limits, n))})"
            case FieldShape.DIRS:
                text = _dict((guest, _directory(directory, contents)) for guest, directory in value.items())
            case FieldShape.WITHHELD:
                text = _dict((guest, repr(list(names))) for guest, names in value.items())
            case FieldShape.VARIABLES | FieldShape.FUNCTIONS:
                text = _dict((key, repr(item)) for key, item in value.items())
            case FieldShape.SOCKETS | FieldShape.RULES:
                text = repr(list(value))
            case _:
                text = repr(value)
        parts.append(f"{name}={text}")
    return f"{type(grants).__name__}({', '.join(parts)})"


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


def _dict(items: Iterable[tuple[str, str]]) -> str:
    return f"{{{', '.join(f'{key!r}: {text}' for key, text in items)}}}"


def _keywords(items: Iterable[tuple[str, object]]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in items)


def from_python(text: str, kind: type[G]) -> G:
    """The grants of class `kind` that `to_python` wrote as `text`, parsed without evaluation.

    Raises `GrantError` for anything but literals and the constructors of grants, and for what cannot be granted (any
    more), such as a folder that is gone.
    """
    constructors: dict[str, Callable[..., object]] = {**_CONSTRUCTORS, kind.__name__: kind}
    try:
        grants = _value(ast.parse(text, mode="eval").body, constructors)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise GrantError(f"cannot read the grants {text[:80]!r}: {error}") from None
    if not isinstance(grants, kind):
        raise GrantError(f"not {with_article(kind.__name__)} expression: {text[:80]!r}")
    return grants


def _value(node: ast.expr, constructors: Mapping[str, Callable[..., object]]) -> object:
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func) if isinstance(node.func, (ast.Name, ast.Attribute)) else ""
        if name not in constructors or any(word.arg is None for word in node.keywords):
            raise ValueError(f"{name or 'an expression'} is not a constructor of grants")
        arguments = [_value(argument, constructors) for argument in node.args]
        return constructors[name](*arguments, **{str(w.arg): _value(w.value, constructors) for w in node.keywords})
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {
            _value(key, constructors): _value(value, constructors)
            for key, value in zip(node.keys, node.values, strict=True)
            if key is not None
        }
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(item, constructors) for item in node.elts]
    return ast.literal_eval(node)
