"""Limits on compiling: modules that take Cranelift long or much memory end with a sentence, others are not slowed."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from wasilab.capabilities.waiting import Interrupted
from wasilab.engine.compiling import bounded, costs, engines, small
from wasilab.engine.compiling.wasm_features import features
from wasilab.engine.limits import Limits
from wasilab.engine.worker import start
from wasilab.module.module import Module, load
from wasilab.wasi.host import Host

from .guests import run, wat


def leb(number: int) -> bytes:
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def command(bodies: list[bytes], locals_: int = 0) -> Module:
    """A command of these function bodies (the last is `_start`), each with so many locals."""
    declared = b"\x01" + leb(locals_) + b"\x7f" if locals_ else b"\x00"
    code = b"".join(leb(len(declared + body)) + declared + body for body in bodies)
    count = leb(len(bodies))
    sections = [
        (1, b"\x01\x60\x00\x00"),
        (3, count + b"\x00" * len(bodies)),
        (7, b"\x01\x06_start\x00" + leb(len(bodies) - 1)),
        (10, count + code),
    ]
    return Module(b"\0asm\1\0\0\0" + b"".join(bytes([n]) + leb(len(b)) + b for n, b in sections))


def loops(number: int, locals_: int) -> Module:
    """Nested loops over locals that each of them may change: what Cranelift takes grows with the product and beyond."""
    used = b"".join(b"\x20" + leb(n) + b"\x41\x01\x6a\x21" + leb(n) for n in range(locals_))
    return command([b"\x03\x40" * number + used + b"\x20\x00\x0d\x00\x0b" * number + b"\x0b"], locals_)


SLOW = loops(1000, 100)
"""8 KB that take a minute."""
LARGE = command([b"\x0b"] * 100_000)
"""0.4 MB that take 500 MB."""
MEDIUM = command([b"\x41\x00\x1a" * 700 + b"\x0b"] * 20)
"""Not small, and quickly compiled."""


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known of any module."""
    monkeypatch.setenv("WASILAB_CACHE_DIR", str(tmp_path / "wasilab"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    engines.clear()


def test_a_module_that_takes_too_long_ends_with_the_limit_and_its_flag() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    outcome = run(SLOW, limits=Limits(compile_seconds=0.5)).outcome
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (outcome.kind, outcome.exit_code) == ("limit", 137)
    assert outcome.message == (
        "compiling module to machine code takes more than 0.5 s of processor time; raise it with --max-compile-time"
    )
    assert after.ru_utime - before.ru_utime < 5


def test_a_module_that_takes_too_much_memory_ends_with_the_limit_and_its_flag() -> None:
    outcome = run(LARGE, limits=Limits(compile_memory=100 << 20)).outcome
    assert (outcome.kind, outcome.exit_code) == ("limit", 137)
    assert outcome.message == (
        "compiling module to machine code takes more than 100m of memory; raise it with --max-compile-memory"
    )


def test_a_module_within_the_limits_runs_and_its_cost_is_known_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not small.is_small(MEDIUM)
    assert run(MEDIUM).outcome.ok
    chosen = engines.settings(features((), foreign=True), fuel=False)
    cost = costs.known_cost(costs.identity(MEDIUM.sha256, chosen))
    assert cost is not None
    assert 0 <= cost.seconds < 60  # less than half a millisecond where Wasmtime's cache has the code
    assert cost.memory > 1 << 20
    engines.clear()
    monkeypatch.setattr(bounded, "compiled", None)
    assert run(MEDIUM).outcome.ok


def test_the_memory_of_this_process_is_no_cost_of_a_compile() -> None:
    large = bytearray(os.urandom(1 << 20)) * 300
    assert run(MEDIUM).outcome.ok
    cost = costs.known_cost(costs.identity(MEDIUM.sha256, engines.settings(features((), foreign=True), fuel=False)))
    assert cost is not None
    assert cost.memory < len(large)


@pytest.mark.skipif(shutil.which("gcc") is None or sys.platform != "linux", reason="builds a library to preload")
def test_what_the_environment_loads_into_every_process_is_not_loaded_into_the_compiling_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, library = tmp_path / "ends.c", tmp_path / "ends.so"
    source.write_text("#include <unistd.h>\n__attribute__((constructor)) static void ends(void) { _exit(9); }\n")
    subprocess.run(["gcc", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    monkeypatch.setenv("LD_PRELOAD", str(library))
    assert subprocess.run(["true"], check=False).returncode == 9
    assert run(MEDIUM).outcome.ok


def test_a_cost_above_the_limit_of_this_run_is_not_trusted() -> None:
    chosen = engines.settings(features((), foreign=True), fuel=False)
    costs.remember(costs.identity(SLOW.sha256, chosen), costs.Cost(100.0, 1 << 20))
    assert run(SLOW, limits=Limits(compile_seconds=0.2)).outcome.kind == "limit"


def test_costs_in_a_folder_that_others_can_write_are_not_believed(tmp_path: Path) -> None:
    chosen = engines.settings(features((), foreign=True), fuel=False)
    costs.remember(costs.identity(SLOW.sha256, chosen), costs.Cost(0.01, 1 << 20))
    os.chmod(tmp_path / "wasilab", 0o777)
    assert run(SLOW, limits=Limits(compile_seconds=0.2)).outcome.kind == "limit"


def test_damaged_costs_are_not_known() -> None:
    name = costs.identity(MEDIUM.sha256, ())
    costs.remember(name, costs.Cost(1.0, 1))
    path = next((costs.cache_folder() / "compiled").iterdir())
    for text in ("", "x", "1", "1 2 3", "nan", "\xff"):
        path.write_text(text, "latin-1")
        assert costs.known_cost(name) is None


def test_costs_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "_MOST", 10)
    for number in range(25):
        costs.remember(str(number), costs.Cost(1.0, 1))
    assert len(list((costs.cache_folder() / "compiled").iterdir())) <= 10


def test_small_modules_are_compiled_without_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "compiled", None)
    assert run(wat("", "(loop $l (br_if $l (i32.const 0)))")).outcome.ok
    assert run(MEDIUM, limits=Limits(compile_seconds=None, compile_memory=None, fuel=0)).outcome.kind == "limit"


@pytest.mark.parametrize("shape", [(60, 60), (20, 200), (120, 20), (2, 320), (1, 400)])
def test_the_worst_small_modules_take_little(shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    locals_, number = shape
    module = loops(number, locals_)
    while not small.is_small(module):  # the worst of this shape that still passes
        number = number * 9 // 10
        module = loops(number, locals_)
    before = resource.getrusage(resource.RUSAGE_SELF)
    request = engines.CompileRequest(features((), foreign=True), seconds=small.SECONDS, memory=small.MEMORY)
    engines.acquire([module], request)
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert number > 1
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2 * small.SECONDS


@pytest.mark.parametrize(
    "module",
    [SLOW, LARGE, MEDIUM, loops(400, 20), command([b"\x0b"] * 300, 100), command([b"\x0b"], 40_000)],
    ids=["slow", "large", "medium", "loops", "locals", "many locals"],
)
def test_what_its_sizes_do_not_bound_is_not_small(module: Module) -> None:
    assert not small.is_small(module)


def test_damaged_code_is_refused_by_wasmtime_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "compiled", None)
    damaged = Module(b"\0asm\1\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x03\x05\xff\xff")
    assert small.is_small(damaged)
    assert "is not valid WebAssembly" in run(damaged, invoke="f").outcome.message or run(damaged).outcome.exit_code == 1


def test_an_invalid_module_that_is_not_small_gets_wasmtimes_words() -> None:
    outcome = run(command([b"\x6a" + b"\x01" * 20_000 + b"\x0b"])).outcome
    assert outcome.kind == "error"
    assert "is not valid WebAssembly" in outcome.message
    assert "type mismatch" in outcome.message


def test_an_interrupt_ends_the_process_that_compiles() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Interrupted):
        bounded.compiled("slow", SLOW.bytes, (), bounded.CompileBounds(), stop.is_set)


def test_an_interrupted_run_leaves_no_process_behind() -> None:
    running = start(SLOW, Host())
    running.interrupt()
    assert running.wait(60) is not None
    assert running.outcome is not None
    assert running.outcome.kind == "interrupt"


@pytest.mark.parametrize("reply", [b"", b"ok", b"what 1 2\n", b"ok\n"])
def test_a_process_that_ends_without_a_reply_is_an_error_in_words(
    reply: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "child.py"
    script.write_text(f"import os; os.write(1, {reply!r})")
    monkeypatch.setattr(bounded, "_SCRIPT", script)
    outcome = run(MEDIUM).outcome
    assert outcome.kind == "limit"
    assert outcome.message.startswith("compiling module to machine code")


def test_limits_hold_for_the_code_of_components_too() -> None:
    core = LARGE.bytes
    component = b"\0asm\x0d\0\x01\0" + b"\x01" + leb(len(core)) + core
    outcome = run(load(component), limits=Limits(compile_memory=100 << 20)).outcome
    assert outcome.kind == "limit"
    assert "--max-compile-memory" in outcome.message
