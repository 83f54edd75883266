"""`%%wast` in a real kernel: lines of the cell's own numbers, an interrupt with the results so far, completion."""

from __future__ import annotations

import pytest

from wasilab.magics.cells.completion import suggestions

from .conftest import Cell, Kernel

SCRIPT = """(module (func (export "one") (result i32) (i32.const 1)) (func (export "long") (loop $l (br $l))))
(assert_return (invoke "one") (i32.const 1))
(assert_return (invoke "one") (i32.const 2)) ;; it's wrong: {one} "two"
"""


@pytest.mark.kernel
def test_a_script_cell_says_what_fails_in_its_own_lines(kernel: Kernel) -> None:
    for magic in ("%%wast", "%%wasi wast --timeout 5"):
        done = kernel.run(f"{magic}\n{SCRIPT}")
        assert done.status == "ok"
        lines = done.stdout.splitlines()
        assert lines[0] == "script:4: assert_return: one(): expected i32 2, got i32 1"
        assert lines[1].startswith("1 script: 1 of 2 assertions hold, 1 fails (")
        assert len(lines) == 2


@pytest.mark.kernel
def test_an_interrupt_ends_a_script_cell_with_the_results_so_far(kernel: Kernel) -> None:
    stopped: list[Cell] = []

    def stop(sofar: Cell) -> None:
        if not stopped and "expected i32 2" in sofar.stdout:
            stopped.append(sofar)
            kernel.interrupt()

    code = f'%%wast --timeout 60\n{SCRIPT}(invoke "long")\n'
    done = kernel.finish(kernel.send(code), on_output=stop, patience=30.0)
    assert done.status == "error"
    assert "Interrupt" in done.ename
    assert "1 of 2 assertions hold, 1 fail" in done.stdout
    assert "interrupted: these are the results so far" in done.stdout
    assert kernel.run("1 + 1").text == "2"


@pytest.mark.kernel
def test_wrong_cells_are_one_sentence(kernel: Kernel) -> None:
    assert "the script is empty" in kernel.run("%%wast\n\n").evalue
    assert "unknown option --tim" in kernel.run(f"%%wast --tim 3\n{SCRIPT}").evalue
    assert "unknown WebAssembly feature 'gcc'" in kernel.run(f"%%wast --feature gcc\n{SCRIPT}").evalue
    assert "script:2: it cannot be parsed: " in kernel.run("%%wast\n(modul)").stdout


def test_the_command_is_completed() -> None:
    assert "wast" in suggestions("%wasi wa", [], [])[1]
    assert suggestions("%wasi wast --ti", [], [])[1] == ["--timeout"]
