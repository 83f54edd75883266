"""The house stands: lower floors never import higher ones, and each dependency is imported in one place."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "wasilab"
FILES = sorted(PACKAGE.rglob("*.py"))

FLOORS = {
    "text": 0,
    "capabilities": 1, "wasi": 1, "toolchains": 1,
    "trace": 2, "module": 2,
    "engine": 3, "grants": 3,
    "runs": 4,
    "views": 5, "panel": 5, "commands": 5,
    "cli": 6, "magics": 6, "__main__": 6,
}  # fmt: skip

# Who may import what, by the first part of the name imported.
HOMES = {
    "wasmtime": {"engine", "module", "toolchains"},
    "matplotlib": {"views"},
    "ipywidgets": {"views", "panel", "magics"},
    "anywidget": {"views", "panel"},
    "IPython": {"views", "magics"},
    "elftools": {"module"},
    "pyarrow": {"trace"},
    "duckdb": {"trace"},
    "pandas": {"trace"},
    "perfetto": {"trace"},
    "platformdirs": {"toolchains"},
}


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, absolute dotted name) of every import in a file, wherever it stands."""
    here = ["wasilab", *path.relative_to(PACKAGE).with_suffix("").parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: -node.level] if node.level else []
            if here[-1] == "__init__" and node.level:
                base = here[:-1][: len(here[:-1]) - node.level + 1]
            stem = ".".join([*base, *([node.module] if node.module else [])])
            yield node.lineno, stem
            if stem == "wasilab":
                yield from ((node.lineno, f"wasilab.{alias.name}") for alias in node.names)


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_imports_only_its_own_floor_and_lower_ones(path: Path) -> None:
    me = FLOORS.get(room(path))
    if me is None:
        assert room(path) in ("__init__", "examples"), f"{path} stands on no floor"
        return
    wrong = [
        f"{path}:{line} imports {name}"
        for line, name in imports(path)
        if name.startswith("wasilab.") and FLOORS.get(name.split(".")[1], 0) > me
    ]
    assert not wrong, "\n".join(wrong)


def test_capabilities_and_toolchains_know_nothing_of_wasi_or_each_other() -> None:
    strangers = {
        "capabilities": ("wasi", "toolchains"),
        "toolchains": ("wasi", "capabilities"),
        "wasi": ("toolchains",),
    }
    wrong = [
        f"{path}:{line} imports {name}"
        for path in FILES
        for line, name in imports(path)
        if name.startswith("wasilab.") and name.split(".")[1] in strangers.get(room(path), ())
    ]
    assert not wrong, "\n".join(wrong)


def test_each_dependency_is_imported_in_its_own_rooms_only() -> None:
    wrong = [
        f"{path}:{line} imports {name}"
        for path in FILES
        for line, name in imports(path)
        if room(path) not in HOMES.get(name.split(".")[0], {room(path)})
    ]
    assert not wrong, "\n".join(wrong)


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert not [p for p in FILES if p.stem in {"utils", "util", "helpers", "common", "misc"}]


def test_the_top_of_the_repository_holds_only_what_was_chosen() -> None:
    top = subprocess.run(
        ["git", "ls-tree", "--name-only", "HEAD"], cwd=PACKAGE.parent, capture_output=True, text=True, check=False
    )
    allowed = {"pyproject.toml", "wasilab", "notebooks", "tests", "binder", "README.md", "LICENSE", ".gitignore", ".ci"}
    assert set(top.stdout.split()) <= allowed


def test_importing_the_package_brings_in_nothing_heavy() -> None:
    code = "import sys, wasilab; print([m for m in ('wasmtime','numpy','matplotlib','IPython') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_resolves() -> None:
    import wasilab

    for name in wasilab.__all__:
        assert getattr(wasilab, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing_like_it'"):
        _ = wasilab.nothing_like_it
