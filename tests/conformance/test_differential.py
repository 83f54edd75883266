"""The same calls under wasilab and under Wasmtime's own WASI: errnos, results, output and the directory left behind.

Some 4,500 scenarios in ten families, the last of them random programs, each in a fresh directory, on a folder of the
host and in memory, with strict and compat rights; those on paths also on a read-only grant. Where the hosts disagree,
`differences.py` says why, or the test fails.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from pathlib import Path

import pytest

from ..folders import in_memory
from . import random_programs, scenarios
from .compare import Result, disagreement, run_ours, run_theirs
from .differences import DIFFERENCES, LARGEST_POSITION, Difference

# They run in one worker, for the results under Wasmtime and the differences found are shared (tests/conftest.py).
pytestmark = pytest.mark.slow

FAMILIES = {family.name: family for family in (*scenarios.FAMILIES, random_programs.family())}
Theirs = Callable[[str, str], dict[str, Result]]
RUNS = [
    *(pytest.param(family, "rw", id=family) for family in FAMILIES),
    *(pytest.param(family, "ro", id=f"{family}-read-only") for family in ("path_one", "path_two")),
]
KINDS = ("host", "memory")
RIGHTS = ("compat", "strict")

_found: dict[tuple[str, str, str, str], set[Difference]] = {}
"""(family, access, kind, rights) -> the entries that covered something."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A new folder, in memory where that can be: the scenarios make 200,000 files."""
    with tempfile.TemporaryDirectory(prefix="wasilab-differential-", dir=in_memory()) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def theirs() -> Theirs:
    """(family, access) -> results under Wasmtime, run once."""

    @cache
    def run(family: str, access: str) -> dict[str, Result]:
        with tempfile.TemporaryDirectory(prefix="wasilab-differential-", dir=in_memory()) as name:
            return run_theirs(FAMILIES[family], Path(name) / family, mutable=access == "rw")

    return run


def compare(family: str, access: str, kind: str, rights: str, theirs: Theirs, folder: Path) -> list[tuple[object, ...]]:
    """The disagreements that no entry covers."""
    expected = theirs(family, access)
    got = run_ours(FAMILIES[family], folder / "ours", kind, rights, mutable=access == "rw")
    assert list(got) == list(expected)
    used = _found.setdefault((family, access, kind, rights), set())
    unexplained: list[tuple[object, ...]] = []
    for label in expected:
        found = disagreement(got[label], expected[label])
        if found is None:
            continue
        covering = [entry for entry in DIFFERENCES if entry.covers(label, kind, rights, access, *found)]
        used.update(covering[:1])
        if not covering:
            unexplained.append((label, *found, got[label], expected[label]))
    return unexplained


@pytest.mark.parametrize("rights", RIGHTS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("family", "access"), RUNS)
def test_family(family: str, access: str, kind: str, rights: str, theirs: Theirs, folder: Path) -> None:
    unexplained = compare(family, access, kind, rights, theirs, folder)
    assert not unexplained, f"{len(unexplained)} differences without a reason, first: {unexplained[0]}"


def test_the_two_kinds_of_directory_agree_on_every_path(folder: Path) -> None:
    """What `HostDir` and `MemDir` do with names is the same in every scenario, not only where Wasmtime agrees."""
    for family in ("path_one", "path_two"):
        host = run_ours(FAMILIES[family], folder / family, "host", "strict")
        assert run_ours(FAMILIES[family], folder / f"{family}-memory", "memory", "strict") == host


def test_every_listed_difference_is_one(theirs: Theirs, folder: Path) -> None:
    for number, (run, kind, rights) in enumerate(product(RUNS, KINDS, RIGHTS)):
        family, access = (str(value) for value in run.values)
        if (family, access, kind, rights) not in _found:  # when this test is run alone
            compare(family, access, kind, rights, theirs, folder / str(number))
    stale = set(DIFFERENCES).difference(*_found.values())
    with (folder / "file").open("wb") as file, contextlib.suppress(OSError):
        file.truncate(2**63 - 1)
        stale.discard(LARGEST_POSITION)
    assert not stale, f"covers nothing any more: {stale}"
