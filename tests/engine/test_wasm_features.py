"""WebAssembly features: new ones are off for foreign modules and enabled by name; Wasmtime's advisories."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from wasilab import Grants
from wasilab.engine.compiling import engines
from wasilab.engine.compiling.advisories import ADVISORIES, advisories, installed, warning
from wasilab.engine.compiling.engine_options import EngineOptionError, EngineOptions
from wasilab.engine.compiling.wasm_features import FEATURES, FeatureError, features, missing_feature, read_feature
from wasilab.grants.value import GrantError
from wasilab.module.module import Module, load
from wasilab.runs.runner import run as run_program

from .guests import run

NEEDS = {
    "gc": '(module (type $s (struct (field i32))) (func (export "_start") (drop (struct.new $s (i32.const 1)))))',
    "exceptions": '(module (tag $t) (func (export "_start") (block $h (try_table (catch $t $h) (throw $t)))))',
    "function-references": """(module (type $f (func)) (elem declare func $nothing) (func $nothing (type $f))
      (func (export "_start") (call_ref $f (ref.func $nothing))))""",
    "tail-call": '(module (func $nothing) (func (export "_start") (return_call $nothing)))',
    "simd": '(module (func (export "_start") (drop (i32x4.add (v128.const i64x2 0 0) (v128.const i64x2 0 0)))))',
    "relaxed-simd": """(module (func (export "_start") (drop (i8x16.relaxed_swizzle
      (v128.const i64x2 0 0) (v128.const i64x2 0 0)))))""",
    "multi-memory": '(module (memory 1) (memory 1) (func (export "_start")))',
    "memory64": '(module (memory i64 1) (func (export "_start")))',
    "multi-value": '(module (func $two (result i32 i32) (i32.const 1) (i32.const 2)) (func (export "_start")))',
    "bulk-memory": """(module (memory 1) (func (export "_start")
      (memory.fill (i32.const 0) (i32.const 0) (i32.const 0))))""",
    "threads": '(module (memory 1) (func (export "_start") (drop (i32.atomic.load (i32.const 0)))))',
    "wide-arithmetic": """(module (func (export "_start")
      (i64.add128 (i64.const 1) (i64.const 0) (i64.const 1) (i64.const 0)) (drop) (drop)))""",
    "custom-page-sizes": '(module (memory 1 (pagesize 1)) (func (export "_start")))',
    "compact-imports": """(module (import "wasi_snapshot_preview1"
      (item "sched_yield" (func $yield (result i32))) (item "proc_exit" (func (param i32))))
      (func (export "_start") (drop (call $yield))))""",
}
"""A feature, and a program that does not work without it."""
OFF = ("gc", "exceptions", "function-references", "custom-page-sizes", "compact-imports")


@pytest.mark.parametrize("name", OFF)
def test_a_new_feature_is_off_for_a_stranger_and_the_error_says_how_to_turn_it_on(name: str) -> None:
    outcome = run(load(NEEDS[name].encode(), name="stranger.wasm")).outcome
    assert (outcome.kind, outcome.exit_code) == ("error", 1)
    assert outcome.message == (
        f"stranger.wasm needs the WebAssembly feature {name} ({FEATURES[name].words}), which is off for modules that "
        f"were not compiled here; turn it on with --feature {name}"
    )


@pytest.mark.parametrize("name", NEEDS)
def test_a_feature_that_is_turned_on_works_and_one_turned_off_is_named(name: str) -> None:
    program = load(NEEDS[name].encode())
    assert run(program, switches=[name]).outcome.ok
    outcome = run(program, switches=[f"{name}=off"]).outcome
    assert f"needs the WebAssembly feature {name} (" in outcome.message
    assert outcome.message.endswith(f"turn it on with --feature {name}")


def test_a_module_that_a_compiler_made_here_has_every_feature() -> None:
    stranger = load(NEEDS["gc"].encode())
    assert run(Module(stranger.bytes, "here", source="", lang="c")).outcome.ok
    assert not run(Module(stranger.bytes, "text", source="", lang="wat")).outcome.ok


@pytest.mark.parametrize("switch", ["stack-switching", "stack-switching=off"])
def test_a_feature_that_ends_the_process_is_refused(switch: str) -> None:
    with pytest.raises(FeatureError, match="stack-switching is always off: Wasmtime 50 ends the whole process"):
        features([switch], foreign=True)
    program = load(b'(module (type $f (func)) (type $c (cont $f)) (func (export "_start") (drop (ref.null $c))))')
    for module in (program, Module(program.bytes, "here", source="", lang="c")):
        assert "stack switching is disabled" in run(module).outcome.message


def test_a_stranger_among_the_preloads_takes_the_features_away() -> None:
    program = Module(load(NEEDS["gc"].encode()).bytes, "here", source="", lang="c")
    assert run(program, preload={"x": load(b"(module)")}).outcome.kind == "error"


def test_a_grant_turns_a_feature_on() -> None:
    grants = Grants(features=["gc"])
    assert run_program(load(NEEDS["gc"].encode()), grants=grants).outcome.ok
    assert grants.to_flags() == ["--feature", "gc"]
    assert 'features = ["gc"]' in grants.to_toml()


@pytest.mark.parametrize(
    ("switches", "changed"),
    [
        ([], {}),
        (["gc"], {"gc": True, "function-references": True}),
        (["simd=off"], {"simd": False, "relaxed-simd": False}),
        (["gc", "gc=off"], {"gc": False}),
        (["gc=off", "gc=on"], {"gc": True, "function-references": True}),
        (["reference-types=off"], {"reference-types": False}),
    ],
)
def test_a_switch_takes_along_what_it_needs_and_what_needs_it(switches: list[str], changed: dict[str, bool]) -> None:
    assert dict(features(switches, foreign=True)) == {name: name not in OFF for name in FEATURES} | changed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gcc", "unknown WebAssembly feature 'gcc'; did you mean 'gc'?"),
        ("", "unknown WebAssembly feature ''"),
        ("gc=no", "'gc=no': write gc to turn the feature on, or gc=off"),
        ("gc=", "'gc=': write gc to turn the feature on, or gc=off"),
        ("=off", "unknown WebAssembly feature ''"),
    ],
)
def test_a_wrong_switch_is_one_sentence(text: str, said: str) -> None:
    with pytest.raises(FeatureError) as caught:
        read_feature(text)
    assert said in str(caught.value)


@pytest.mark.parametrize("order", [1, -1])
def test_switches_that_cannot_be_together_are_refused_before_an_engine_is_made(order: int) -> None:
    switches = ["gc", "function-references=off"][::order]
    with pytest.raises(EngineOptionError) as caught:
        EngineOptions(features=tuple(switches))
    assert str(caught.value) == "the WebAssembly feature gc needs function-references, which is turned off"
    with pytest.raises(GrantError, match="gc needs function-references"):
        Grants(features=switches)


def test_no_pair_of_switches_ends_the_process() -> None:
    """Wasmtime ends it for a combination that it does not allow, so all are tried in a process of their own."""
    text = f"""
import itertools
from wasilab.engine.compiling import engines
from wasilab.engine.compiling.engine_options import EngineOptions
from wasilab.engine.compiling.wasm_features import FeatureError, features
switches = [name + state for name in {list(FEATURES)!r} for state in ("", "=off")]
same_bits = EngineOptions(nan_canonical=True, max_stack=2 << 20).settings
refused, settings = 0, set()
for foreign, pair in itertools.product((True, False), itertools.product(switches, repeat=2)):
    try:
        chosen = features(pair, foreign=foreign)
    except FeatureError:
        refused += 1
        continue
    settings |= {{engines.settings(chosen, fuel=False), engines.settings(chosen, fuel=True, further=same_bits)}}
for each in settings:
    engines.new_engine(each, disk_cache=False)
print("alive", refused > 0, len(settings) > 200)
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert done.stdout == "alive True True\n", done.stderr[-2000:]


def test_an_error_of_another_kind_is_not_taken_for_a_missing_feature() -> None:
    now = features((), foreign=True)
    assert missing_feature("type mismatch: expected i32, found i64", now) is None
    assert missing_feature("exceptions proposal not enabled", features(["exceptions"], foreign=True)) is None


def test_the_installed_wasmtime_has_no_published_hole() -> None:
    version = installed()
    assert version is not None
    assert advisories(version) == []
    assert warning(version) == ""


@pytest.mark.parametrize(
    ("version", "number"), [("50.0.1", 0), ("49.0.2", 0), ("49.0.0", 4), ("48.0.3", 3), ("24.0.13", 2), ("x", 0)]
)
def test_holes_by_version(version: str, number: int) -> None:
    assert len(advisories(version)) == number


def test_the_warning_names_the_hole_its_page_and_the_remedy() -> None:
    said = warning("49.0.0")
    assert said.startswith("wasmtime 49.0.0 has 4 published holes; install a newer one: pip install -U wasmtime\n")
    assert "https://github.com/bytecodealliance/wasmtime/security/advisories/GHSA-32h6-97mm-8q3c" in said
    assert len({each.id for each in ADVISORIES}) == len(ADVISORIES)


def test_a_cache_of_machine_code_that_others_can_write_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert engines.cache_trouble() is None
    (tmp_path / "wasmtime").mkdir(mode=0o777)
    (tmp_path / "wasmtime").chmod(0o777)
    assert "other users can write to the cache folder" in str(engines.cache_trouble())
