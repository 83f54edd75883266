"""The component model's own .wast files, run by our engine.

`COMPONENT_MODEL_TESTS` names the folder `test/` of WebAssembly/component-model; `wasilab wast` runs the same.
What fails is listed here with its reason; a file that is not listed must pass.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wasilab.engine.wast.script import ScriptVerdict
from wasilab.runs.scripts import ScriptSource, ScriptTotals, run_scripts
from wasilab.toolchains.wasm_tools.wasm_tools_program import INSTALL_TOOLS, find_wasm_tools

FOLDER = os.environ.get("COMPONENT_MODEL_TESTS", "")
WASM_TOOLS = find_wasm_tools()[0] if FOLDER else None
FILES = sorted(Path(FOLDER).rglob("*.wast")) if FOLDER else []
EXPECTED: dict[str, tuple[int, str]] = {
    "async/cancellable.wast": (-1, "wasm-tools 1.253 no longer reads the option `cancellable`"),
    "async/sync-streams.wast": (1, "expects a task that waits in a synchronous write to let another one begin"),
    "binary/binary.wast": (1, "the option `cancellable` is no longer part of the binary format"),
    "validation/kebab.wast": (1, "Wasmtime takes `a-1` and `a1` for the same name"),
}
"""File -> (assertions that fail, why); -1 for a file that cannot be read at all."""


@pytest.mark.skipif(not FOLDER, reason="COMPONENT_MODEL_TESTS names no folder")
@pytest.mark.skipif(WASM_TOOLS is None, reason=f"COMPONENT_MODEL_TESTS needs wasm-tools: {INSTALL_TOOLS}")
@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(FOLDER)))
def test_the_component_models_own_scripts_pass(file: Path) -> None:
    allowed, reason = EXPECTED.get(str(file.relative_to(FOLDER)), (0, ""))
    failed: list[str] = []
    totals = ScriptTotals()

    def note(source: ScriptSource, verdict: ScriptVerdict) -> None:
        if verdict.outcome != "passed":
            failed.append(f"line {verdict.line}: {verdict.command}: {verdict.words}")

    run_scripts([ScriptSource(file.name, file)], totals, note, seconds=60)
    if allowed == -1:
        assert totals.not_run, "it can be read now: take it off the list"
        return
    assert not totals.not_run, failed
    assert len(failed) == allowed, "\n".join([reason, *failed])
