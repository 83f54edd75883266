"""The world of a component: its imports and exports with WIT types, read from its bytes alone.

Nothing is validated, compiled or run. Every byte is hostile: a bad index is shown as `?`, and the text of a type is cut
at `MAX_TEXT`, so that nested types cannot make it long.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ...module.module import Module
from ...wasi.components.catalogue import INTERFACES
from ...wasi.components.interfaces import WasiFunction, parts
from . import component_binary as b

MAX_TEXT = 400
"""Maximum characters of a type's text."""
MAX_ITEMS = 10_000
"""Maximum items shown of one interface."""

Item = tuple[str, str]
"""A sort and a text: ("func", "func(x: u32)"), ("type", "record { ... }")."""


class _UsedType(str):
    """The name of a type that an imported interface has, with the interface's name."""

    interface: str


@dataclass
class World:
    """Imports and exports by name: ("func", its type), or an interface with its own items."""

    imports: dict[str, Item | dict[str, Item]] = field(default_factory=dict)
    exports: dict[str, Item | dict[str, Item]] = field(default_factory=dict)

    def wit(self) -> Iterator[str]:
        """The lines of the world in WIT, with versions."""
        yield "world root {"
        for word, items in (("import", self.imports), ("export", self.exports)):
            for name, item in items.items():
                if isinstance(item, tuple):
                    yield f"  {word} {name}: {item[1]};"
                    continue
                yield f"  {word} {name} {{"
                for line in _interface(item):
                    yield f"    {line}"
                yield "  }"
        yield "}"


def _interface(items: dict[str, Item]) -> Iterator[str]:
    """The items of an interface, the functions of a resource inside it."""
    inside: dict[str, list[str]] = {name: [] for name, (_, text) in items.items() if text == "resource"}
    others = []
    for name, (sort, text) in items.items():
        resource = name.partition("]")[2].partition(".")[0] if sort == "func" and name.startswith("[") else ""
        if resource in inside:
            inside[resource].append(_of_resource(name, text, resource))
        else:
            others.append(name)
    for name in others:
        if not inside.get(name):
            yield _declared(name, *items[name])
            continue
        yield f"resource {name} {{"
        for line in inside[name]:
            yield f"  {line}"
        yield "}"


def _of_resource(name: str, text: str, resource: str) -> str:
    kind, method = name[1:].partition("]")[0], name.partition(".")[2]
    if kind == "constructor":
        return f"constructor{text.removeprefix('func').removesuffix(f' -> {resource}')};"
    if kind == "static":
        return f"{method}: static {text};"
    own = f"self: borrow<{resource}>"
    return f"{method}: {text.replace(f'({own}, ', '(', 1).replace(f'({own})', '()', 1)};"


def _declared(name: str, sort: str, text: str) -> str:
    if sort == "func":
        return f"{name}: {text};"
    if isinstance(text, _UsedType):
        return f"use {text.interface}.{{{text if text == name else f'{text} as {name}'}}};"
    if text == "resource":
        return f"resource {name};"
    word, _, rest = text.partition(" ")
    return f"{word} {name} {rest}" if word in ("record", "variant", "enum", "flags") else f"type {name} = {text};"


def world_of(module: Module) -> World:
    """The world of a component. Raises `WasmFormatError` for bytes that are not one."""
    reader = _Reader(None)
    reader.read(b.parse(module.bytes).definitions)
    return reader.world


def asked_functions(module: Module) -> list[WasiFunction]:
    """The WASI functions that a component imports. Raises `WasmFormatError`."""
    found = []
    for name, item in world_of(module).imports.items():
        interface = INTERFACES.get(parts(name))
        if interface is not None and not isinstance(item, tuple):
            found += [interface.functions[inner] for inner in item if inner in interface.functions]
    return found


def unprovided(world: World) -> list[str]:
    """The imported interfaces and functions that wasilab's WASI 0.2 and 0.3 lack, so that the component cannot run."""
    return [
        name for name, item in world.imports.items()
        if item != ("type", "resource") and (isinstance(item, tuple) or parts(name) not in INTERFACES)
    ]  # fmt: skip


def _used(name: str, interface: str) -> _UsedType:
    found = _UsedType(name)
    found.interface = interface
    return found


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."


class _Reader:
    """The index spaces of one component, component type or instance type, as text."""

    def __init__(self, outer: _Reader | None) -> None:
        self.outer = outer
        self.world = World()
        self.types: list[str | tuple[b.Definition, ...]] = []
        self.functions: list[str] = []
        self.instances: list[dict[str, Item]] = []
        self.components: list[_Reader | None] = []
        self.imported: dict[int, str] = {}
        """The names of imported instances, by the identity of their items."""

    def read(self, definitions: tuple[b.Definition, ...]) -> None:
        """Read the definitions."""
        for definition in definitions:
            if isinstance(definition, b.TypeDefinition):
                self.types.append(self._type(definition))
            elif isinstance(definition, b.AliasDefinition):
                self._alias(definition)
            elif isinstance(definition, b.ImportDefinition):
                found = self.world.imports[definition.name] = self._described(definition.name, definition.desc)
                if isinstance(found, dict):
                    self.imported[id(found)] = definition.name
            elif isinstance(definition, b.ExportDeclaration):
                self.world.exports[definition.name] = self._described(definition.name, definition.desc)
            elif isinstance(definition, b.ExportDefinition):
                self._export(definition)
            elif isinstance(definition, b.Lift):
                self.functions.append(self.text(definition.type))
            elif isinstance(definition, b.InstanceDefinition):
                self._instance(definition)
            elif isinstance(definition, b.ComponentBody):
                inner = _Reader(self)
                inner.read(definition.definitions)
                self.components.append(inner)

    # ---- types

    def text(self, type_: b.Type | None) -> str:
        """A type in use."""
        if type_ is None:
            return "_"
        if isinstance(type_, str):
            return type_
        found = self.types[type_] if 0 <= type_ < len(self.types) else "?"
        return found if isinstance(found, str) else "?"

    def _type(self, definition: b.TypeDefinition) -> str | tuple[b.Definition, ...]:
        kind, body, text = definition.kind, definition.body, self.text
        if kind in ("component", "instance"):
            made: tuple[b.Definition, ...] = tuple(body)
            return made
        if kind == "resource":
            return "resource"
        if kind == "primitive":
            return str(body)
        if kind == "func":
            params = ", ".join(f"{name}: {text(type_)}" for name, type_ in body[0])
            result = "" if body[1] is None else f" -> {text(body[1])}"
            return _cut(f"{'async ' if body[2] else ''}func({params}){result}")
        if kind == "record":
            return _cut(f"record {{ {', '.join(f'{name}: {text(type_)}' for name, type_ in body)} }}")
        if kind == "variant":
            cases = (name if type_ is None else f"{name}({text(type_)})" for name, type_ in body)
            return _cut(f"variant {{ {', '.join(cases)} }}")
        if kind in ("enum", "flags"):
            return _cut(f"{kind} {{ {', '.join(body)} }}")
        if kind == "result":
            ok, error = body
            inside = text(ok) if error is None else f"{text(ok)}, {text(error)}"
            return _cut("result" if ok is None and error is None else f"result<{inside}>")
        if kind == "own":
            return text(body)
        if kind in ("borrow", "option"):
            return _cut(f"{kind}<{text(body)}>")
        if kind in ("stream", "future"):
            return _cut(kind if body is None else f"{kind}<{text(body)}>")
        if kind == "list":
            return _cut(f"list<{text(body[0])}>" if body[1] is None else f"list<{text(body[0])}, {body[1]}>")
        return _cut(f"{kind}<{', '.join(text(type_) for type_ in body)}>")

    # ---- imports, exports, aliases

    def _described(self, name: str, desc: b.ExternDesc) -> Item | dict[str, Item]:
        """The text of an import's type; also adds it to the index space."""
        if desc.sort == "func":
            self.functions.append(self.text(desc.number))
            return "func", self.functions[-1]
        if desc.sort == "type":
            of = "resource" if desc.number is None else self.text(desc.number)
            self.types.append(name)
            return "type", of
        if desc.sort == "instance":
            items = self._instance_type(desc.number)
            self.instances.append(items)
            return items
        if desc.sort == "component":
            self.components.append(None)
        return desc.sort, desc.sort

    def _instance_type(self, number: int | None) -> dict[str, Item]:
        found = self.types[number] if number is not None and 0 <= number < len(self.types) else "?"
        if isinstance(found, str):
            return {}
        inner = _Reader(self)
        inner.read(found)
        exports = list(inner.world.exports.items())[:MAX_ITEMS]
        return {name: item for name, item in exports if isinstance(item, tuple)}

    def _alias(self, definition: b.AliasDefinition) -> None:
        if definition.kind == "outer":
            reader: _Reader | None = self
            for _ in range(definition.outward):
                reader = reader.outer if reader is not None else None
            if definition.sort == "type":
                types = reader.types if reader is not None else []
                self.types.append(types[definition.index] if definition.index < len(types) else "?")
            elif definition.sort == "component":
                components = reader.components if reader is not None else []
                self.components.append(components[definition.index] if definition.index < len(components) else None)
            return
        if definition.kind != "export":
            return
        items = self.instances[definition.index] if definition.index < len(self.instances) else {}
        text = items.get(definition.name, ("", "?"))[1]
        if definition.sort == "type":
            interface = self.imported.get(id(items))
            self.types.append(definition.name if interface is None else _used(definition.name, interface))
        elif definition.sort == "func":
            self.functions.append(text)
        elif definition.sort == "instance":
            self.instances.append({})
        elif definition.sort == "component":
            self.components.append(None)

    def _item(self, name: str, item: b.SortIndex) -> Item | dict[str, Item]:
        if item.sort == "func":
            return "func", self.functions[item.number] if item.number < len(self.functions) else "?"
        if item.sort == "type":
            return "type", self.text(item.number)
        if item.sort == "instance":
            return self.instances[item.number] if item.number < len(self.instances) else {}
        return item.sort, item.sort

    def _instance(self, definition: b.InstanceDefinition) -> None:
        if definition.component is None:
            items = {name: self._item(name, item) for name, item in definition.exports}
        else:
            inside = self.components[definition.component] if definition.component < len(self.components) else None
            items = inside.world.exports if inside is not None else {}
        self.instances.append({name: item for name, item in items.items() if isinstance(item, tuple)})

    def _export(self, definition: b.ExportDefinition) -> None:
        found = self._item(definition.name, definition.item)
        self.world.exports[definition.name] = found
        if definition.item.sort == "func" and isinstance(found, tuple):
            self.functions.append(found[1])
        elif definition.item.sort == "type":
            self.types.append(definition.name)
        elif definition.item.sort == "instance" and isinstance(found, dict):
            self.instances.append(found)
        elif definition.item.sort == "component":
            self.components.append(None)
