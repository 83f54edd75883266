"""Times that a person feels: importing the package, a WAT cell and a changed C cell from Enter to the report."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

_WAT = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 16) "hello {n}\\n")
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 8))
    (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"""
_C = '#include <stdio.h>\nint main(void) {{ printf("hello {n}\\n"); return 0; }}\n'


def import_ms(statement: str, rounds: int = 5) -> float:
    """Milliseconds that a fresh interpreter takes for `statement`, the best of several."""
    code = f"import time; t = time.perf_counter(); {statement}; print(1000 * (time.perf_counter() - t))"
    return min(
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout)
        for _ in range(rounds)
    )


def cell_ms(lang: str, template: str, rounds: int = 7) -> float | None:
    """Milliseconds from source text to the finished HTML report, the median over changed sources; None: no compiler."""
    import wasilab
    from wasilab.toolchains.diagnostics import ToolchainMissing

    stamp = time.time_ns()
    times = []
    for n in range(rounds + 1):
        start = time.perf_counter()
        try:
            module = wasilab.compile(template.format(n=stamp + n), lang)
        except ToolchainMissing:
            return None
        run = wasilab.run(module)
        run._repr_mimebundle_()
        times.append(1000 * (time.perf_counter() - start))
        assert run.exit_code == 0, run.error
    return statistics.median(times[1:])


def lines() -> list[str]:
    """The figures as text."""
    bare, ours = import_ms("import wasmtime"), import_ms("import wasmtime, wasilab")
    engine = import_ms("import wasmtime; from wasilab import run")
    found = [
        f"import wasmtime {bare:.0f} ms; import wasilab on top {ours - bare:+.0f} ms; "
        f"with its engine loaded {engine - bare:+.0f} ms"
    ]
    for label, lang, template in (("a WAT cell", "wat", _WAT), ("a changed C cell", "c", _C)):
        took = cell_ms(lang, template)
        found.append(f"{label} from source to report: {'no compiler' if took is None else f'{took:.0f} ms'}")
    return found
