"""Property: whatever grants flags, Python and TOML can say reads back as the same value."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from wasilab import Clocks, Grants, HostDir, Limits, MemDir, Random
from wasilab.capabilities.host.hostdir import copy_in_writable
from wasilab.engine.limits import BOUNDS
from wasilab.grants.advice.advise import smallest_flags
from wasilab.grants.forms.flags import add_options, from_options, to_flags
from wasilab.grants.forms.python import from_python
from wasilab.grants.forms.toml import merge_text, save, to_toml
from wasilab.grants.value import TAKEN
from wasilab.wasi.rights import of_directories

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
NAME = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="=\0"), min_size=1, max_size=12)
FOLDERS = ["plain", "two words", "colon:ro", "rw", "-dash", "ünï", "a:rw", "quote'\"", "$x{y}"]


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        for name in FOLDERS:
            (Path(folder) / name).mkdir()
        yield Path(folder)


def ns() -> st.SearchStrategy[int]:
    return st.integers(1, 2**63)


@st.composite
def all_grants(draw: Any, root: Path) -> Grants:
    host = st.builds(
        lambda name, mode: HostDir(str(root / name), mode=mode),
        st.sampled_from(FOLDERS),
        st.sampled_from(["ro", "rw", "copy"]),
    )
    free = NAME.filter(lambda name: name not in TAKEN)  # the others are refused
    guest = st.one_of(st.sampled_from(["/data", ".", "a:rw", "/x:ro", "-g", "::", "/a::b", *FOLDERS]), free)
    clocks = st.one_of(
        st.sampled_from([Clocks.real(), Clocks.nothing()]),
        st.builds(Clocks.frozen, ns()),
        st.builds(Clocks.stepped, ns(), st.integers(0, 2**63)),
        st.builds(Clocks.coarse, ns()),
    )
    random = st.one_of(st.sampled_from([Random.real(), Random.nothing()]), st.builds(Random.seeded, st.integers()))
    positive = st.integers(1, 2**40)
    seconds = st.floats(1e-6, 1e8)
    values: dict[str, Any] = {name: seconds if b.unit == "seconds" else positive for name, b in BOUNDS.items()}
    values |= {name: values[name] | st.none() for name, bound in BOUNDS.items() if bound.none}
    limits = st.builds(Limits, **{**values, "io": st.integers(1, 2**31)})
    dirs = draw(st.dictionaries(guest, st.one_of(host, st.builds(MemDir)), max_size=3))
    assume(copy_in_writable(dirs) is None)  # such grants are refused
    rights = st.lists(st.sampled_from(list(of_directories())), max_size=4)
    return Grants(
        dirs=dirs,
        withheld=draw(st.fixed_dictionaries({}, optional=dict.fromkeys(dirs, rights))),
        env=draw(st.dictionaries(NAME, TEXT, max_size=3)),
        args=draw(st.booleans()),
        stdin=draw(st.one_of(st.none(), st.just("ask"), st.builds(str.encode, TEXT))),
        stdout=draw(st.booleans()),
        stderr=draw(st.booleans()),
        clocks=draw(clocks),
        random=draw(random),
        limits=draw(st.one_of(st.just(Limits()), limits)),
        rights=draw(st.sampled_from(["strict", "compat"])),
        ask=draw(st.booleans()),
    )


PARSER = argparse.ArgumentParser()
add_options(PARSER)


def parse(words: list[str]) -> Grants:
    return from_options(PARSER.parse_args(words), Grants())


MANY = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(st.data())
@MANY
def test_flags_read_back(root: Path, data: Any) -> None:
    grants = data.draw(all_grants(root))
    assert parse(to_flags(grants)) == grants
    assert parse(to_flags(grants, bare=True)) == grants
    assert parse(smallest_flags(grants)) == grants


@given(st.data())
@MANY
def test_policies_read_back(root: Path, data: Any) -> None:
    grants = data.draw(all_grants(root))
    assert merge_text(Grants(), to_toml(grants)) == grants
    save(grants, root / "policy.toml")
    assert Grants.load(root / "policy.toml") == grants


@given(st.data())
@MANY
def test_python_reads_back(root: Path, data: Any) -> None:
    names = {"Grants": Grants, "HostDir": HostDir, "MemDir": MemDir, "Clocks": Clocks, "Limits": Limits}
    grants = data.draw(all_grants(root))
    assert eval(grants.to_python(), {**names, "Random": Random}) == grants
    assert from_python(grants.to_python(), Grants) == grants


def test_contents_of_memory_are_python_only(root: Path) -> None:
    grants = Grants(dirs={"/m": MemDir({"a.txt": "text", "sub": {"b": b"\0"}}, max_bytes=99)})
    assert eval(grants.to_python(), {"Grants": Grants, "MemDir": MemDir}) == grants
    assert grants != Grants(dirs={"/m": MemDir({"a.txt": "text"}, max_bytes=99)})
    for said in (grants.to_flags, grants.to_toml):
        with pytest.raises(ValueError, match="contents"):
            said()


def test_the_order_of_directories_matters_because_it_numbers_descriptors() -> None:
    one, two = MemDir(), MemDir()
    assert Grants(dirs={"/a": one, "/b": two}) != Grants(dirs={"/b": two, "/a": one})
