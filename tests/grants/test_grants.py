"""The value itself: what it prints as, and what it says of a field that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wasilab import Clocks, Grants, HostDir, Limits, MemDir, Random, run
from wasilab.capabilities.patterns import quota
from wasilab.grants.forms.python import from_python
from wasilab.grants.value import GrantArguments, GrantError

from .guests import SCRATCH, Guest


def test_it_prints_as_the_python_that_makes_it(tmp_path: Path) -> None:
    grants = Grants(
        dirs={"/data": HostDir(str(tmp_path)), "/m": MemDir({"a": "b"})}, env={"LANG": "C"}, stderr=False,
        clocks=Clocks.stepped(5), random=Random.seeded(3), limits=Limits(seconds=5),
    )  # fmt: skip
    assert from_python(repr(grants), Grants) == grants
    assert repr(Grants()) == "Grants()"
    assert len(repr(Grants(dirs={"/m": MemDir({"big": "x" * 10_000})}))) < 100


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"random": "real"}, "Random.seeded"),
        ({"clocks": 3}, "Clocks.stepped"),
        ({"limits": {"memory": 3}}, "Limits(seconds=5)"),
        ({"overrides": {"random_get": 3}}, "not a function"),
        ({"overrides": {"random_gte": print}}, "did you mean 'random_get'"),
        ({"sockets": ["127.0.0.1:80"]}, "listen("),
        ({"dirs": ["data"]}, "HostDir("),
        ({"dirs": {3: MemDir()}}, "guest path 3"),
        ({"dirs": {"/d": 3}}, "not a directory"),
        ({"env": ["A=b"]}, "LANG"),
        ({"args": "no"}, "args=True"),
        ({"stdin": 3}, "give bytes"),
        ({"stdin": "text"}, ".encode()"),
    ],
)
def test_a_wrong_field_is_named_with_what_to_write(given: dict[str, Any], says: str) -> None:
    with pytest.raises(GrantError) as error:
        Grants(**given)
    assert says in str(error.value)


def test_a_pattern_over_randomness_is_a_grant() -> None:
    draw = f"(i32.const {SCRATCH}) (i32.const 8)"
    finished = run(Guest().call("random_get", draw).call("random_get", draw).module(), (),
                   Grants(random=quota(Random.seeded(1), 10)))  # fmt: skip
    (refusal,) = finished.denied
    assert "quota of 10" in refusal.sentence


def test_a_field_that_grants_do_not_have_is_named_with_the_nearest() -> None:
    assert set(GrantArguments.__annotations__) == set(Grants.__dataclass_fields__)
    with pytest.raises(TypeError, match="grants have no field 'dir'; did you mean 'dirs'"):
        Grants().with_(dir={})  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="grants have no field 'clock'; did you mean 'clocks'"):
        Grants.nothing(clock=Clocks.real())  # type: ignore[call-arg]
    assert Grants.nothing(stdout=True, args=True) == Grants.nothing().with_(stdout=True, args=True)


def test_a_directory_cannot_have_the_name_of_another_grant() -> None:
    for name in ("env", "argv", "clocks", "random", "stdin", "stdout", "stderr"):
        with pytest.raises(GrantError, match=f"write './{name}'"):
            Grants(dirs={name: MemDir()})
        assert list(Grants(dirs={f"./{name}": MemDir(), f"/{name}": MemDir()}).dirs) == [f"./{name}", f"/{name}"]


@pytest.mark.parametrize("inner", ["sub", ".", "link"])
def test_a_copy_inside_a_writable_folder_is_refused(tmp_path: Path, inner: str) -> None:
    """The program could put a link in the copied folder's place, to which its changes are applied later."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to("sub")
    (tmp_path.parent / f"{tmp_path.name}-beside").mkdir()
    writable, copied = HostDir(tmp_path, "rw"), HostDir(tmp_path / inner, "copy")
    with pytest.raises(GrantError, match="granted as copy at '/c' lies in the one granted as rw at '/w'"):
        Grants(dirs={"/c": copied, "/w": writable})
    with pytest.raises(GrantError, match="grant '/w' as copy or ro, or '/c' as rw"):
        Grants(dirs={"/w": writable}).with_dir("/c", copied)
    Grants(dirs={"/c": copied, "/r": HostDir(tmp_path)})
    Grants(dirs={"/c": HostDir(f"{tmp_path}-beside", "copy"), "/w": writable})
