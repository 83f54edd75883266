"""Many calls of the functions of WASI 0.2 and 0.3 with core words that seeds make up; see `abi_fuzz.py`.

`.ci/run` makes 200,000 calls (WASILAB_FUZZ_CALLS); the long form is `python -m tests.components.abi_fuzz`.
"""

from __future__ import annotations

import os

import pytest

from . import abi_fuzz

CALLS = int(os.environ.get("WASILAB_FUZZ_CALLS", "20_000"))


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_no_call_does_what_it_must_not() -> None:
    found = abi_fuzz.run(CALLS, seed=CALLS)
    assert found.wrong == []
    assert len(found.answered) > 200, sorted(set(found.names) - set(found.answered))
