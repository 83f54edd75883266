"""Writes the declarations of WASI 0.2 as WIT packages, for compilers that make components.

The result is one text: the packages with every interface and function that wasilab provides, preceded by the world
`command`, which imports them and exports `wasi:cli/run`. It is made from the declarations that the engine links, so a
program cannot be compiled against a function that does not exist.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from ..interfaces import Interface

VERSION = "0.2.12"
"""The written version: the functions of 0.2.x are those of its last release."""
_KEYWORDS = frozenset({
    "as", "async", "bool", "borrow", "char", "constructor", "enum", "export", "f32", "f64", "flags", "from", "func",
    "future", "import", "in", "include", "interface", "list", "option", "own", "package", "record", "resource",
    "result", "s16", "s32", "s64", "s8", "static", "stream", "string", "tuple", "type", "u16", "u32", "u64", "u8",
    "use", "variant", "with", "world",
})  # fmt: skip
_OWN = re.compile(r"\bown<([a-z0-9-]+)>")
_FIELD = re.compile(r"(?<=[(,{] )([a-z][a-z0-9-]*)(?=:)|(?<=\()([a-z][a-z0-9-]*)(?=:)")
_METHOD = re.compile(r"\[(method|static|constructor)\]([a-z0-9-]+)(?:\.([a-z0-9-]+))?")


def command_wit(
    interfaces: Mapping[tuple[str, str], Interface],
    package: str = "wasilab:cell",
    imports: Collection[str] | None = None,
) -> str:
    """A world `command` of `package` that imports interfaces of 0.2, and the packages that these are in.

    `imports`: the names of those that it imports; None for all.
    """
    found = [interface for (_, version), interface in interfaces.items() if version == "0.2"]
    by_package: dict[str, list[Interface]] = {}
    for interface in found:
        by_package.setdefault(interface.name.partition("/")[0], []).append(interface)
    lines = [f"package {package};", "", "world command {"]
    lines += [
        f"  import {interface.name}@{VERSION};" for interface in found if imports is None or interface.name in imports
    ]
    lines += [f"  export wasi:cli/run@{VERSION};", "}"]
    for name, members in by_package.items():
        lines += ["", f"package {name}@{VERSION} {{"]
        for interface in members:
            lines += _interface(interface)
        if name == "wasi:cli":
            lines += ["  interface run {", "    run: func() -> result;", "  }"]
        lines.append("}")
    return "\n".join(lines) + "\n"


def _interface(interface: Interface) -> Iterator[str]:
    yield f"  interface {interface.name.partition('/')[2]} {{"
    methods: dict[str, list[str]] = {name: [] for name in interface.resources}
    functions = []
    for function in interface.functions.values():
        matched = _METHOD.fullmatch(function.name)
        type_ = _type(function.type)
        if matched is None:
            functions.append(f"    {_marked(function.name)}: {'async ' if function.is_async else ''}func{type_};")
            continue
        kind, resource, name = matched.groups()
        if kind == "method":
            type_ = re.sub(r"^\(self: borrow<[a-z0-9-]+>(, )?", "(", type_)
            methods[resource].append(f"      {_marked(name)}: func{type_};")
        elif kind == "static":
            methods[resource].append(f"      {_marked(name)}: static func{type_};")
        else:
            methods[resource].append(f"      constructor{type_.partition(' -> ')[0]};")
    for name, text in interface.types.items():
        yield f"    {_declared(name, text, interface.name.partition('/')[0])}"
    for name, members in methods.items():
        yield f"    resource {name} {{"
        yield from members
        yield "    }"
    yield from functions
    yield "  }"


def _declared(name: str, text: str, package: str) -> str:
    word, _, rest = text.partition(" ")
    if word == "use":
        rest, _, there = rest.partition(" as ")
        inside, _, interface = rest.partition("/")
        where = interface if inside == package else f"{rest}@{VERSION}"  # a package does not depend on itself
        return f"use {where}.{{{f'{there} as ' if there else ''}{_marked(name)}}};"
    if word in ("record", "variant", "enum", "flags"):
        return f"{word} {_marked(name)} {_type(rest)}"
    return f"type {_marked(name)} = {_type(text)};"


def _type(text: str) -> str:
    """A type in WIT: `own<x>` is `x`, and a name that is a keyword is escaped."""
    return _FIELD.sub(lambda m: _marked(m[1] or m[2]), _OWN.sub(r"\1", text))


def _marked(name: str) -> str:
    return f"%{name}" if name in _KEYWORDS else name
