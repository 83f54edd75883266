"""Many calls with arguments that hypothesis and seeds make up; see `fuzz.py` for what must hold.

`.ci/run` makes 200,000 calls (WASILAB_FUZZ_CALLS); the long form is `python -m tests.hostile.fuzz --calls 10000000`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from wasilab.wasi.preview1.spec import MODULES, SNAPSHOT1

from . import fuzz
from .conftest import PYTHON_HERE, descriptors
from .surface import SECRET, SIZE, Pools, footprint, interpreter

CALLS = int(os.environ.get("WASILAB_FUZZ_CALLS", "20_000"))
DRIVEN = 20
"""Cases whose shape and seed hypothesis chooses (and shrinks); the rest follow from consecutive seeds."""


@pytest.fixture(scope="module")
def ground() -> Iterator[fuzz.Ground]:
    ground = fuzz.Ground()
    yield ground
    ground.remove()


SHAPES = st.builds(
    fuzz.Shape,
    module=st.sampled_from(sorted(MODULES)),
    rights=st.sampled_from(["strict", "compat"]),
    raw=st.booleans(),
    wild=st.sampled_from([0, 1, 24]),
    length=st.integers(1, 200),
    sequences=st.integers(1, 4),
    singles=st.integers(0, 8),
)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_no_call_does_what_it_must_not(ground: fuzz.Ground) -> None:
    found = fuzz.Found()
    fuzz.run_case(ground, 0, fuzz.Found())
    before, base = descriptors(), fuzz.resident()

    @settings(
        max_examples=DRIVEN, deadline=None, database=None, suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )  # fmt: skip
    @given(seed=st.integers(0, 1 << 32), shape=SHAPES)
    def driven(seed: int, shape: fuzz.Shape) -> None:
        this = fuzz.Found()
        fuzz.run_case(ground, seed, this, shape)
        found.calls += this.calls
        found.names += this.names
        assert not this.wrong, "\n".join(this.wrong)

    driven()
    seed = 0
    while found.calls < CALLS:
        seed += 1
        fuzz.run_case(ground, seed, found)
        assert not found.wrong, "\n".join(found.wrong)
    fuzz.check_process(found, before, base, seed)
    assert not found.wrong, "\n".join(found.wrong)
    assert set(found.names) >= set(MODULES["wasi_snapshot_preview1"]) - {"proc_exit"}, "a call was never made"
    assert found.errnos[0] > CALLS // 10, "hardly any call got past the first check"
    assert len(found.errnos) > 20


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "public"])
def test_connections_whose_peer_talks_are_fuzzed(ground: fuzz.Ground, raw: bool) -> None:
    found = fuzz.Found()
    for seed in (1, 2, 3):
        fuzz.run_case(ground, seed, found, fuzz.Shape(raw=raw, wild=0, listening=True, sequences=8, singles=0))
    assert not found.wrong, "\n".join(found.wrong)
    assert {"sock_accept", "sock_recv", "sock_send"} <= set(found.succeeded), found.succeeded
    assert found.succeeded["sock_recv"] > 5, found.succeeded


@pytest.mark.slow
def test_a_case_is_repeatable(ground: fuzz.Ground) -> None:
    shape = replace(fuzz.Shape.of(5), length=60, sequences=2, singles=0)
    ends = []
    for _ in range(2):
        found = fuzz.Found()
        fuzz.run_case(ground, 5, found, shape)
        ends.append((found.calls, found.errnos, found.ends, found.wrong))
    assert ends[0] == ends[1]


_TOLD = """
import hashlib, random
from dataclasses import replace
from tests.hostile import fuzz
from tests.hostile.surface import Pools

made = hashlib.sha256()
for module in ("wasi_snapshot_preview1", "wasi_unstable"):
    for seed in (1, 77):
        pools = Pools(random.Random(seed), module, 1)
        for _ in range(3):
            made.update(pools.image())
            made.update(pools.sequence(200)[0])
found, ground = fuzz.Found(), fuzz.Ground()
fuzz.run_case(ground, 6, found, replace(fuzz.Shape.of(6), sequences=3, singles=2))
ground.remove()
print(made.hexdigest(), found.calls, sorted(found.errnos.items()), sorted(found.ends.items()), found.wrong)
"""


@pytest.mark.slow
def test_a_seed_means_the_same_in_every_process() -> None:
    """A finding in CI must be a finding at home: the same calls, arguments and answers whatever Python hashes by."""
    told = {
        subprocess.run(
            [sys.executable, "-c", _TOLD],
            capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2], timeout=120,
            env={**PYTHON_HERE, "PYTHONHASHSEED": hashing},
        ).stdout
        for hashing in ("0", "1", "4711")
    }  # fmt: skip
    assert len(told) == 1
    assert int(told.pop().split()[1]) > 300


@pytest.mark.slow
def test_the_fuzzer_finds_planted_bugs(ground: fuzz.Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with holes, one for each property: the fuzzer must find every one of them."""

    def broken(name: str, function: Callable[..., Any]) -> list[str]:
        found = fuzz.Found()
        with monkeypatch.context() as patch:
            patch.setitem(SNAPSHOT1, name, replace(SNAPSHOT1[name], function=function))
            for seed in range(100, 103):
                fuzz.run_case(ground, seed, found, fuzz.Shape(sequences=4, singles=0))
        return found.wrong

    outside = ground.base / "outside"

    def crashes(host: object, *arguments: object) -> int:
        raise RuntimeError("a bug")

    def escapes(host: object, *arguments: object) -> None:
        (outside / "made").write_bytes(b"")

    def tells(host: object, descriptor: object, buffers: list[memoryview]) -> int:
        data = SECRET
        for buffer in buffers:
            if len(buffer) >= len(data):
                buffer[: len(data)] = data
                return len(data)
        return 0

    def strange(host: object, *arguments: object) -> None:
        from wasilab.wasi.errnos import WasiError

        raise WasiError(200)  # type: ignore[arg-type]

    assert any("the host failed" in wrong for wrong in broken("fd_seek", crashes))
    assert any("outside" in wrong for wrong in broken("path_create_directory", escapes))
    assert any("a secret of the outside" in wrong for wrong in broken("fd_read", tells))
    assert any("no errno" in wrong for wrong in broken("fd_sync", strange))
    assert not broken("sched_yield", lambda host: None)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_the_interpreter_covers_every_call(module: str) -> None:
    import random

    text = interpreter(module)
    pools = Pools(random.Random(1), module, 2)
    drawn = set()
    for _ in range(400):
        _, operations = pools.sequence(200)
        drawn |= {number for number, _ in operations}
        for number, words in operations:
            if number < len(pools.calls):
                call = pools.calls[number]
                assert len(words) == len(call.signature)
                assert all(end >= start for start, end in footprint(call, words, bytes(SIZE)))
    assert drawn >= set(range(len(pools.calls)))
    assert all(f'"{name}"' in text for name in MODULES[module])
