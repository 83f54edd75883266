"""The structure of the package: the order of its rooms, no import circles, one place for each dependency and name."""

from __future__ import annotations

import ast
import collections
import gc
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from .structure import (
    PACKAGE,
    ROOT,
    attached,
    circles,
    imports,
    modules,
    named,
    nodes,
    private_reach_ins,
    public_classes,
    room,
    statements,
    tree,
)  # fmt: skip

# A room imports only from itself and from the rooms before it.
ORDER = (
    "version", "lazy", "text", "capabilities", "wasi", "toolchains", "module", "trace", "engine", "grants", "views",
    "runs", "panels", "course", "commands", "magics", "cli", "__main__", "__init__",
)  # fmt: skip

MAX_FILES_IN_A_FOLDER = 12
MAX_LATE_IMPORTS = 8
MAX_LITERAL_GETATTR_IN_VIEWS = 5
MAX_ANY = 145  # 136 when this was set; issue 10 allows 300
MAX_PRIVATE_REACH_INS = 25

# Imports inside functions, `file -> module`: reason.
LATE: dict[str, str] = {
    "engine.sessions -> engine.components.component_session": "a core module is run without the component engine",
    "commands.line.grammar -> engine.compiling.advisories": "only --version names known holes of Wasmtime",
}

# Third-party packages and the rooms that may import them. A room with a path names the only files.
HOMES: dict[str, tuple[str, ...]] = {
    "wasmtime": ("engine", "module", "toolchains"),
    "numpy": ("trace", "views", "grants/advice"),
    "matplotlib": ("views",),
    "PIL": ("views/timeline",),
    "ipywidgets": ("panels",),
    "anywidget": ("views/interactive", "panels"),
    "traitlets": ("views/interactive", "panels"),
    "IPython": ("views/interactive", "magics"),
    "demangle": ("module/symbols.py",),
    "elftools": ("module/dwarf.py", "engine/inside/machine_code.py"),
    "capstone": ("engine/inside/disassembly.py",),
    "pyarrow": ("trace/extras.py", "trace/sql/duckdb_process.py"),
    "duckdb": ("trace/sql/duckdb_process.py",),
    "pandas": ("trace/extras.py",),
    "platformdirs": ("toolchains", "capabilities/host/cache_folders.py"),
    "hatchling": ("engine/native/build.py",),
    "tqdm": ("runs/experiments/sweeping.py",),
}


@pytest.fixture(scope="module", autouse=True)
def _syntax_trees() -> Iterator[None]:
    """They are a million objects: drop them at the end, and keep the garbage collector from walking them until then."""
    gc.disable()
    yield
    tree.cache_clear()
    nodes.cache_clear()
    gc.enable()


# --- what breaks a rule --------------------------------------------------------------------------------------------


def in_circles() -> set[str]:
    return {module for circle in circles() for module in circle}


def upward() -> set[str]:
    """Imports of a room that comes later in the order."""
    place = {name: at for at, name in enumerate(ORDER)}
    return {f"{i.source} -> {i.target}" for i in imports() if place[room(i.target)] > place[room(i.source)]}


def late() -> set[str]:
    return {f"{i.source} -> {i.target}" for i in imports() if i.kind == "function"} - set(LATE)


def for_types_only() -> set[str]:
    """Imports of our own modules under `if TYPE_CHECKING`."""
    return {f"{i.source} -> {i.target}" for i in imports() if i.kind == "typing"}


def long_folders() -> set[str]:
    count = collections.Counter(path.parent.relative_to(ROOT).as_posix() for path in modules().values())
    return {folder for folder, files in count.items() if files > MAX_FILES_IN_A_FOLDER}


def shared_stems() -> set[str]:
    stems = collections.Counter(path.stem for path in modules().values())
    return {stem for stem, times in stems.items() if times > 1 and not stem.startswith("__")}


def shared_classes() -> set[str]:
    return {name for name, homes in public_classes().items() if len(homes) > 1}


def close_matches() -> set[str]:
    """Files beside `text/nearest.py` that look for the nearest name themselves."""
    uses = {module for module, path in modules().items() if "get_close_matches" in path.read_text()}
    return uses - {"text.nearest"}


def strangers() -> set[str]:
    """Third-party packages imported outside their homes."""
    result = set()
    for path in modules().values():
        file = path.relative_to(PACKAGE).as_posix()
        for node, _ in statements(path):
            if isinstance(node, ast.ImportFrom) and node.level:
                continue
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            for package in {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"wasilab"}:
                if not any(file == home or file.startswith(home + "/") for home in HOMES.get(package, ())):
                    result.add(f"{file} -> {package}")
    return result


# --- the rules -----------------------------------------------------------------------------------------------------


def test_every_room_has_its_place_in_the_order() -> None:
    assert {room(module) for module in modules()} <= set(ORDER)
    assert len(set(ORDER)) == len(ORDER)


def test_a_room_imports_only_rooms_before_it() -> None:
    assert upward() == set()


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Of any kind: at module level, inside functions, and under `if TYPE_CHECKING`."""
    assert in_circles() == set()


def test_imports_inside_functions_are_few_and_have_a_reason() -> None:
    assert late() == set()
    existing = {f"{i.source} -> {i.target}" for i in imports() if i.kind == "function"}
    assert set(LATE) <= existing, f"no longer there: {set(LATE) - existing}"
    assert len(LATE) <= MAX_LATE_IMPORTS
    assert all(LATE.values())


def test_nothing_of_ours_is_imported_for_types_only() -> None:
    assert for_types_only() == set()


def test_our_own_modules_are_imported_by_relative_names() -> None:
    """An absolute name would not be found in the way the other rules look for it."""
    assert not [f"{i.source}:{i.line}" for i in imports() if not i.relative]


def test_a_folder_holds_few_files() -> None:
    assert long_folders() == set()


def test_no_two_modules_have_one_name() -> None:
    assert shared_stems() == set()
    assert not {path.stem for path in modules().values()} & {"utils", "util", "helpers", "common", "misc"}


def test_no_two_public_classes_have_one_name() -> None:
    assert shared_classes() == set()


def test_the_nearest_name_is_looked_for_in_one_file() -> None:
    assert close_matches() == set()


def test_each_dependency_is_imported_in_its_home_only() -> None:
    assert strangers() == set()


# Texts made for people that carry a value beside them (`Need`, `Remedy`).
MADE_FOR_PEOPLE = {"reason", "sentence", "remedy", "flag", "why", "hint"}
READS_TEXT = {
    "startswith", "endswith", "partition", "rpartition", "split", "removeprefix", "removesuffix", "find", "index",
}  # fmt: skip
MAY_READ = {"views.interactive.feed": "a person searches in what is shown"}


def test_nothing_is_read_out_of_a_sentence_or_a_flag() -> None:
    """What a refusal needs is a value: only `grants/remedy.py` knows how it is written."""

    def of_people(node: ast.AST) -> bool:
        return any(isinstance(part, ast.Attribute) and part.attr in MADE_FOR_PEOPLE for part in ast.walk(node))

    found = set()
    for module, path in modules().items():
        if room(module) in ("toolchains", "module", "text") or module in ("grants.remedy", *MAY_READ):
            continue
        for node in nodes(path):
            if isinstance(node, ast.Compare) and any(isinstance(op, (ast.In, ast.NotIn)) for op in node.ops):
                if any(of_people(side) for side in node.comparators):
                    found.add(f"{module}:{node.lineno}")
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                arguments = node.args if named(node.func.value) in ("re", "shlex") else []
                target = [node.func.value] if node.func.attr in READS_TEXT else arguments
                if any(of_people(part) for part in target):
                    found.add(f"{module}:{node.lineno}")
    assert not found


def test_the_rooms_below_the_command_line_know_no_flag_of_it() -> None:
    found = []
    for module, path in modules().items():
        if room(module) not in ("capabilities", "wasi", "trace"):
            continue
        docstrings = {id(node.value) for node in nodes(path) if isinstance(node, ast.Expr)}
        texts = [node for node in nodes(path) if isinstance(node, ast.Constant) and id(node) not in docstrings]
        for node in texts:
            if isinstance(node.value, str) and re.search(r"(^|[\s(])--[a-z]", node.value):
                found.append(f"{module}:{node.lineno}: {node.value!r}")
    assert not found, "\n".join(found)


def test_views_do_not_ask_a_run_by_name_what_it_has() -> None:
    calls = [
        f"{module}:{node.lineno}"
        for module, path in modules().items()
        if room(module) == "views"
        for node in nodes(path)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("getattr", "hasattr")
        and len(node.args) > 1
        and isinstance(node.args[1], ast.Constant)
    ]
    assert len(calls) <= MAX_LITERAL_GETATTR_IN_VIEWS, "\n".join(calls)


def test_few_values_have_no_type() -> None:
    uses = [
        f"{module}:{node.lineno}"
        for module, path in modules().items()
        for node in nodes(path)
        if isinstance(node, ast.Name) and node.id == "Any"
    ]
    assert len(uses) <= MAX_ANY, f"{len(uses)} uses of Any"


def test_tests_use_few_private_names() -> None:
    uses = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for line, name in private_reach_ins(path)
        if name not in ("_start", "_initialize", "_exit")  # exports named by WASI, and a public function of `os`
    ]
    assert len(uses) <= MAX_PRIVATE_REACH_INS, f"{len(uses)}\n" + "\n".join(uses)


NOT_FOR_A_RUN = (
    "numpy", "matplotlib", "PIL", "ipywidgets", "anywidget", "IPython", "elftools", "asyncio", "pyarrow", "duckdb",
    "wasilab.views.report", "wasilab.views.timeline", "wasilab.views.interactive", "wasilab.views.plots",
    "wasilab.views.display",
    "wasilab.panels", "wasilab.toolchains", "wasilab.grants.advice", "wasilab.magics",
    "wasilab.trace.trace", "wasilab.trace.columns", "wasilab.trace.answers", "wasilab.trace.strace",
)  # fmt: skip
"""What a run of a .wasm does not import, if nothing is to be shown of it."""

def test_the_top_of_the_repository_contains_only_the_listed_entries() -> None:
    top = subprocess.run(
        ["git", "ls-tree", "--name-only", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    chosen = {"pyproject.toml", "wasilab", "notebooks", "tests", "binder", "README.md", "LICENSE", ".gitignore", ".ci"}
    assert set(top.stdout.split()) <= chosen


def imported_by(code: str, stdin: Path | str = os.devnull) -> set[str]:
    """The modules that a process has imported after `code`."""
    code = f"{code}\nimport sys; print(*sys.modules)"
    with open(stdin) as given:
        done = subprocess.run([sys.executable, "-c", code], stdin=given, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def under(modules: set[str], names: Iterable[str]) -> list[str]:
    """Those of `modules` that are one of `names` or below one."""
    return sorted(m for m in modules if any(m == name or m.startswith(name + ".") for name in names))


def test_importing_the_package_imports_nothing_heavy() -> None:
    imported = imported_by("import wasilab")
    assert under(imported, ("wasmtime", "numpy", "matplotlib", "IPython")) == []
    assert len(under(imported, ("wasilab",))) <= 3


def test_a_run_imports_neither_views_nor_compilers_nor_advice(tmp_path: Path) -> None:
    """`wasilab run hello.wasm`, whose start-up time a person waits for: see `python -m tests.bench`."""
    import wasmtime

    file = tmp_path / "hello.wasm"
    file.write_bytes(wasmtime.wat2wasm('(module (memory (export "memory") 1) (func (export "_start")))'))
    code = f"from wasilab.cli import main; assert main(['run', {str(file)!r}]) == 0"
    assert under(imported_by(code), NOT_FOR_A_RUN) == []
    assert under(imported_by(code, stdin=file), NOT_FOR_A_RUN) == []  # then its calls are asked for reads of stdin


def test_every_public_name_resolves() -> None:
    import wasilab

    for module in modules():
        if module not in ("__main__", "cli"):
            importlib.import_module(f"wasilab.{module}" if module != "__init__" else "wasilab")
    for name in wasilab.__all__:
        assert callable(getattr(wasilab, name)), f"{name} is hidden by a module of that name"
    with pytest.raises(AttributeError, match="no attribute 'nothing_like_it'"):
        _ = wasilab.nothing_like_it


def test_type_checkers_see_what_is_imported_on_first_use() -> None:
    """A package with lazy names has a stub that imports just those, from where they are."""
    for path in modules().values():
        lazy = {home for _, home in attached(path)}
        if lazy:
            stub = ast.parse(path.with_suffix(".pyi").read_text())
            told = {home_of(node, alias.name, path) for node in stub.body if isinstance(node, ast.ImportFrom)
                    for alias in node.names if node.module != "version"}  # fmt: skip
            assert told == lazy, path


def home_of(node: ast.ImportFrom, name: str, package: Path) -> str:
    """The module below a package that a line of its stub imports `name` from, or that `name` is."""
    module = f"{node.module}.{name}" if node.module else name
    file = package.parent.joinpath(*module.split(".")).with_suffix(".py")
    return module if file.exists() or file.with_suffix("").is_dir() else str(node.module)
