"""The source of the package as the tests of its structure read it: modules, imports, circles, private names."""

from __future__ import annotations

import ast
import collections
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

BLOCKS = ("body", "orelse", "handlers", "finalbody", "cases")
"""The fields of a syntax tree's nodes that hold statements."""
ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "wasilab"


@dataclass(frozen=True)
class Import:
    """One import of a module of the package by another."""

    source: str
    target: str
    kind: str
    """"module", "function", "typing" (under `if TYPE_CHECKING`) or "lazy" (a name given to `lazy.attach`)."""
    line: int
    relative: bool


@cache
def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name without `wasilab.`; the package itself is `__init__`."""
    return {dotted(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def room(module: str) -> str:
    return module.split(".")[0]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def nodes(path: Path) -> list[ast.AST]:
    """Every node of a file's tree, as `ast.walk` gives them in twice the time."""
    found: list[ast.AST] = [tree(path)]
    for node in found:
        for value in vars(node).values():
            if isinstance(value, ast.AST):
                found.append(value)
            elif isinstance(value, list):
                found.extend(part for part in value if isinstance(part, ast.AST))
    return found


@cache
def statements(path: Path) -> list[tuple[ast.Import | ast.ImportFrom, str]]:
    """(import statement, kind) of a file."""
    found = []

    def visit(node: ast.AST, kind: str) -> None:
        for field in BLOCKS:
            for child in getattr(node, field, ()):
                if isinstance(child, (ast.Import, ast.ImportFrom)):
                    found.append((child, kind))
                elif isinstance(child, ast.If) and named(child.test) == "TYPE_CHECKING":
                    visit(child, "typing")
                elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    visit(child, "function")
                else:
                    visit(child, kind)

    visit(tree(path), "module")
    return found


def named(node: ast.expr) -> str:
    """The name or the last part of the dotted name that an expression is."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


@cache
def imports() -> list[Import]:
    """Every import of one module of the package by another, of whatever kind."""
    known = modules()
    result = []
    for source, path in known.items():
        package = ["wasilab", *path.relative_to(PACKAGE).parts[:-1]]
        for node, kind in statements(path):
            names: list[str] = []
            relative = isinstance(node, ast.ImportFrom) and node.level > 0
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                base = package[: len(package) - node.level + 1] if node.level else []
                stem = ".".join([*base, *([node.module] if node.module else [])])
                names = [f"{stem}.{alias.name}" for alias in node.names]
            for name in names:
                if name.split(".")[0] != "wasilab":
                    continue
                target = name.removeprefix("wasilab").removeprefix(".") or "__init__"
                if target not in known:
                    target = target.rpartition(".")[0] or "__init__"
                if target != source:
                    result.append(Import(source, target, kind, node.lineno, relative))
        for line, home in attached(path):
            target = ".".join([*package[1:], home])
            assert target in known, f"{source}:{line} names {target}, which is not there"
            result.append(Import(source, target, "lazy", line, relative=True))
    return result


def attached(path: Path) -> Iterator[tuple[int, str]]:
    """(line, module below the package) of each name that a package's `__init__.py` gives to `lazy.attach`."""
    calls = [node for node in nodes(path) if isinstance(node, ast.Call) and named(node.func) == "attach"]
    for node in nodes(path) if calls else ():
        if isinstance(node, ast.Dict):
            for value in node.values:
                if isinstance(value, ast.Constant):
                    yield value.lineno, str(value.value).partition(":")[0]


def circles() -> list[list[str]]:
    """Modules that import each other in a circle: the strongly connected components of more than one (Tarjan)."""
    graph = collections.defaultdict(list)
    for found in imports():
        graph[found.source].append(found.target)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    result: list[list[str]] = []

    def visit(v: str) -> None:
        index[v] = low[v] = len(index)
        stack.append(v)
        for w in graph.get(v, ()):
            if w not in index:
                visit(w)
                low[v] = min(low[v], low[w])
            elif w in stack:
                low[v] = min(low[v], index[w])
        if low[v] == index[v]:
            at = stack.index(v)
            component, stack[at:] = stack[at:], []
            if len(component) > 1:
                result.append(sorted(component))

    for module in modules():
        if module not in index:
            visit(module)
    return result


def public_classes() -> dict[str, list[str]]:
    """Name of each public top-level class: the modules that define it."""
    result = collections.defaultdict(list)
    for module, path in modules().items():
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                result[node.name].append(module)
    return result


def private_reach_ins(path: Path) -> Iterator[tuple[int, str]]:
    """(line, name) of every private name of somebody else that a test uses.

    A test's own names do not count: what it reads of `self` or `cls`, and what the test files define themselves.
    """
    for node in nodes(path):
        if isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in defined_by_tests():
            if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")):
                yield node.lineno, node.attr
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("wasilab"):
            yield from ((node.lineno, alias.name) for alias in node.names if is_private(alias.name))


def is_private(name: str) -> bool:
    """A name with one leading underscore; `_repr_html_` and its like are IPython's and ctypes' protocols."""
    namedtuple = ("_asdict", "_replace", "_fields", "_make")
    return name.startswith("_") and not name.startswith("__") and not name.endswith("_") and name not in namedtuple


@cache
def defined_by_tests() -> frozenset[str]:
    names = set()
    for path in (ROOT / "tests").rglob("*.py"):
        for node in nodes(path):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                names.add(node.name)
            elif (
                isinstance(node, ast.Attribute)
                and isinstance(node.ctx, ast.Store)
                and isinstance(node.value, ast.Name)
                and node.value.id == "self"
            ):
                names.add(node.attr)
    return frozenset(names)
