"""What some grants give that others do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from wasilab import Grants, HostDir, Limits, MemDir
from wasilab.grants.excess import excess


def test_grants_cover_themselves_and_nothing(tmp_path: Path) -> None:
    grants = Grants(dirs={"/d": HostDir(tmp_path, mode="rw")}, env={"A": "1"}, connect=("127.0.0.1:80",))
    assert grants.covers(grants)
    assert grants.covers(Grants.nothing())
    assert not Grants.nothing().covers(grants)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"env": {"A": "1"}}, "the variable A"),
        ({"dirs": {"/e": MemDir()}}, "the folder /e"),
        ({"connect": ("127.0.0.1:80",)}, "connect 127.0.0.1:80"),
        ({"rights": "compat"}, "the rights mode compat"),
        ({"ask": True}, "ask"),
        ({"limits": Limits(memory=2 << 30)}, "more linear memory (2g instead of 1g)"),
        ({"overrides": {"clock_time_get": print}}, "a function in place of clock_time_get"),
        ({"features": ("gc",)}, "features gc"),
    ],
)
def test_each_field_that_gives_more_is_named(more: dict[str, object], words: str) -> None:
    assert excess(Grants(**more), Grants()) == [words]  # type: ignore[arg-type]
    assert excess(Grants(), Grants(**more)) == []  # type: ignore[arg-type]


def test_a_folder_of_another_place_is_more(tmp_path: Path) -> None:
    for name in ("a/b", "ab"):
        (tmp_path / name).mkdir(parents=True)
    limit = Grants(dirs={"/d": HostDir(tmp_path / "a")})
    assert excess(Grants(dirs={"/d": HostDir(tmp_path / "a" / "b")}), limit) == []
    assert excess(Grants(dirs={"/d": HostDir(tmp_path / "ab")}), limit) == ["another folder at /d"]
    assert excess(Grants(dirs={"/d": HostDir(tmp_path / "a", mode="rw")}), limit) == ["writing in the folder /d"]


def test_a_right_that_is_not_withheld_is_more() -> None:
    dirs = {"/d": MemDir()}
    limit = Grants(dirs=dirs, withheld={"/d": ["path_unlink_file"]})
    assert excess(Grants(dirs=dirs), limit) == ["the right path_unlink_file in /d"]
    assert limit.covers(limit)
