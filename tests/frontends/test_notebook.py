"""The first notebook, as it lies in the repository, and as a reader runs it and tries what its text offers."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from wasilab.commands.notebook.cell_line import build_cell
from wasilab.toolchains.diagnostics import ToolchainMissing
from wasilab.toolchains.registry import toolchain_for

FILE = Path(__file__).parents[2] / "notebooks" / "00-start-here.ipynb"
BOOK = json.loads(FILE.read_text(encoding="utf-8"))
CODE = [cell for cell in BOOK["cells"] if cell["cell_type"] == "code"]
TEXT = "\n\n".join("".join(cell["source"]) for cell in BOOK["cells"] if cell["cell_type"] == "markdown")


def test_it_is_stored_executed_in_order_without_an_error() -> None:
    assert [cell["execution_count"] for cell in CODE] == list(range(1, len(CODE) + 1))
    assert not [out for cell in CODE for out in cell["outputs"] if out["output_type"] == "error"]
    said = "".join("".join(out.get("text", "")) for cell in CODE for out in cell["outputs"])
    assert "copied 53 bytes" in said


def test_every_report_in_it_can_be_read_without_a_kernel() -> None:
    reports = [
        "".join(out["data"]["text/html"]) for cell in CODE if "%wasi " in "".join(cell["source"])
        for out in cell["outputs"] if out["output_type"] == "execute_result"
    ]  # fmt: skip
    assert len(reports) == 5
    assert all("WASI calls" in report for report in reports)
    assert all(
        "application/vnd.jupyter.widget-view+json" not in out.get("data", {}) for c in CODE for out in c["outputs"]
    )


def test_it_is_small_and_names_no_path_of_the_machine_that_made_it() -> None:
    assert FILE.stat().st_size < 400_000
    assert not re.findall(r"/(?:tmp|home|root|work|Users|usr|opt)/", FILE.read_text(encoding="utf-8"))
    assert {tuple(cell["metadata"]) for cell in BOOK["cells"]} == {()}


def test_every_option_in_its_text_exists() -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", TEXT))
    assert len(named) >= 5
    assert named <= set(build_cell().takes_value())


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    try:
        toolchain_for("c").find()
    except ToolchainMissing as missing:
        pytest.skip(str(missing))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    made = InteractiveShell()
    for cell in CODE:
        found = made.run_cell("".join(cell["source"]))
        assert found.success, "".join(cell["source"])
    yield made
    made.history_manager.enabled = False
    os.chdir(tmp_path)


def value(shell: InteractiveShell, cell: str) -> Any:
    found = shell.run_cell(cell)
    assert found.success, cell
    return found.result


@pytest.mark.toolchain
def test_what_its_text_suggests_to_try_has_the_stated_result(shell: InteractiveShell) -> None:
    offered = re.findall(r"`(granted\.[^`]+)`", TEXT)
    assert len(offered) > 3
    for code in offered:
        assert value(shell, f"({code},)")
    assert value(shell, "%wasi run --dir in::/data --dir out:rw copy /data/poem.txt out/b.txt").exit_code == 0
    value(shell, "%wasi run --dir in --dir out:copy copy in/poem.txt out/c.txt")
    value(shell, "kept = _")
    assert "c.txt" in str(value(shell, "kept.changes"))
    assert not Path("out/c.txt").exists()
    value(shell, "kept.changes.apply()")
    assert Path("out/c.txt").exists()
    assert value(shell, "%wasi run --dir in copy in/poem.txt in/poem.txt").exit_code == 1
    assert value(shell, "%wasi run --dir in:rw copy in/poem.txt in/poem.txt").exit_code == 0
    assert Path("in/poem.txt").read_text() == ""
    tells = '#include <stdio.h>\n#include <time.h>\nint main(void) { printf("%lld", (long long)time(NULL)); }\n'
    assert value(shell, f"%%wasi c --clock frozen:1000000000\n{tells}").stdout == "1"
    assert value(shell, f"%%wasi c --clock none\n{tells}").denied
    assert value(shell, "%%wasi c --timeout 0.2\nint main(void) { for (;;) ; }\n").outcome.kind == "limit"
    assert "panel" in type(value(shell, "%wasi grants copy")).__module__
    Path("in/link").symlink_to("/etc")
    assert value(shell, "%wasi run --dir in --dir out:rw copy in/link/hostname out/s.txt").denied
    assert not Path("out/s.txt").exists()
