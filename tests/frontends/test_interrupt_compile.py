"""Interrupt while a compiler works: the cell is over at once, the compiler too, and the kernel is as before."""

from __future__ import annotations

import pytest

from wasilab.toolchains.diagnostics import ToolchainMissing
from wasilab.toolchains.registry import toolchain_for

from .conftest import Cell, Kernel

pytestmark = [pytest.mark.kernel, pytest.mark.toolchain]

# The compiler itself computes for a minute or so: two thousand million steps in a constant expression.
ENDLESS = """%%wasi c++ -- -fconstexpr-steps=2147483647
constexpr long work() { long s = 0; for (long i = 0; i < 400000000; i++) s ^= i; return s; }
static_assert(work() != 1);
int main() {}
"""


def test_interrupt_ends_a_compile(kernel: Kernel) -> None:
    try:
        toolchain_for("c++").find()
    except ToolchainMissing as missing:
        pytest.skip(str(missing))
    interrupted = []

    def once_it_compiles(cell: Cell) -> None:
        if not interrupted and any("compiling cell.cpp" in str(data) for data in cell.displays):
            interrupted.append(True)
            kernel.interrupt()

    done = kernel.finish(kernel.send(ENDLESS), on_output=once_it_compiles)
    assert done.status == "error"
    assert "Interrupt" in done.ename
    shown = [str(data.get("text/plain", "")) for data in done.displays]
    assert any("compiling cell.cpp" in text and text.endswith(" s") for text in shown)
    assert shown[-1] == ""
    assert kernel.run("6 * 7").text == "42"
