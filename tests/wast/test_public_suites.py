"""The public scripts of WebAssembly: `WASM_SPEC_TESTS` names a folder of them (`test/core` of WebAssembly/spec, or
WebAssembly/testsuite with its proposals). Every assertion must hold, but those listed here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wasilab.engine.wast.script import ScriptVerdict
from wasilab.runs.scripts import ScriptSource, ScriptTotals, run_scripts

FOLDER = os.environ.get("WASM_SPEC_TESTS", "")
FILES = sorted(Path(FOLDER).rglob("*.wast")) if FOLDER else []
NOT_HERE = ("custom", "custom-descriptors", "legacy")
"""Folders of what this Wasmtime does not have: reading custom sections, and two proposals."""
SKIPPED = {"extern.wast": ["the host cannot make a value of type anyref"]}
"""File -> why its assertions are not run."""


@pytest.mark.slow
@pytest.mark.skipif(not FOLDER, reason="WASM_SPEC_TESTS names no folder")
@pytest.mark.parametrize("folder", sorted({file.parent for file in FILES} or {Path()}), ids=lambda f: f.name)
def test_every_assertion_of_the_public_suites_holds(folder: Path) -> None:
    if any(part in NOT_HERE for part in folder.parts):
        pytest.skip("WASM_SPEC_TESTS: Wasmtime does not have this")
    failed: list[str] = []
    skipped: dict[str, list[str]] = {}
    totals = ScriptTotals()

    def note(source: ScriptSource, verdict: ScriptVerdict) -> None:
        if verdict.outcome == "failed":
            failed.append(f"{source.name}:{verdict.line}: {verdict.command}: {verdict.words}")
        elif verdict.outcome == "skipped":
            skipped.setdefault(source.name, []).append(verdict.words)

    run_scripts([ScriptSource(f.name, f) for f in FILES if f.parent == folder], totals, note, seconds=60)
    assert failed == []
    assert skipped == {name: why for name, why in SKIPPED.items() if name in skipped}
    assert totals.holds
