"""Policy files: they round-trip, merge in the stated order, and refuse what they do not know."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasilab import Clocks, Grants, HostDir, Limits, MemDir, Random
from wasilab.grants.forms.toml import merge_text, save, to_toml
from wasilab.grants.value import GrantError


def test_a_policy_reads_back_as_the_same_grants(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    grants = Grants(
        dirs={"/data": HostDir(str(tmp_path / "data"), mode="rw")},
        env={"GREETING": 'say "hi"\\\n\x7f\t€'},
        stdin="ask",
        stdout=False,
        clocks=Clocks.coarse(1000),
        random=Random.seeded(3),
        limits=Limits(seconds=1.5, fuel=10),
        rights="compat",
    )
    save(grants, tmp_path / "lab.toml")
    assert Grants.load(tmp_path / "lab.toml") == grants


def test_nothing_reads_back_as_nothing(tmp_path: Path) -> None:
    save(Grants.nothing(stderr=False), tmp_path / "p.toml")
    assert Grants.load(str(tmp_path / "p.toml")) == Grants.nothing()


def test_host_paths_are_relative_to_the_policy_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lab" / "data").mkdir(parents=True)
    (tmp_path / "lab" / "p.toml").write_text('[dirs]\n"/d" = { host = "data" }\n')
    monkeypatch.chdir(tmp_path)
    directory = Grants.load("lab/p.toml").dirs["/d"]
    assert isinstance(directory, HostDir)
    assert Path(directory.path).resolve() == tmp_path / "lab" / "data"
    assert directory.mode == "ro"


def test_a_later_file_adds_and_overrides(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[env]\nA = "1"\nB = "1"\n[limits]\nfds = 9\nseconds = 3.0\n')
    (tmp_path / "b.toml").write_text('[env]\nB = "2"\n[limits]\nfds = 10\n[dirs]\n"/m" = { memory = true }\n')
    grants = Grants.load(tmp_path / "a.toml", tmp_path / "b.toml")
    assert grants.env == {"A": "1", "B": "2"}
    assert (grants.limits.fds, grants.limits.seconds) == (10, 3.0)
    assert isinstance(grants.dirs["/m"], MemDir)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("dir = 1", "did you mean 'dirs'"),
        ("[limits]\nsecond = 1", "did you mean 'seconds'"),
        ("[limits]\nfds = 'many'", "Limits.fds"),
        ("[stdio]\nstdin = 'asks'", "did you mean 'ask'"),
        ("[stdio]\nstdout = 1", "must be a bool"),
        ("[stdio]\nstdin = 'ask'\nstdin_text = 'x'", "give one of them"),
        ("dirs = 3", "must be a table"),
        ("[dirs]\n'/d' = 'x'", "memory = true"),
        ("[dirs]\n'/d' = { host = '/no/such/folder' }", "/no/such/folder"),
        ("[dirs]\n'/d' = { memory = true, host = 'x' }", "without host"),
        ("[dirs]\n'/d' = { hosts = 'x' }", "did you mean 'host'"),
        ("[env]\nA = 1", "env"),
        ("rights = 'none'", "'strict' and 'compat'"),
        ("[clocks]\nkind = 'slow'", "slow"),
        ("deny_all = 'yes'", "must be a bool"),
        ("not toml", "not TOML"),
    ],
)
def test_a_wrong_policy_is_one_sentence_with_the_remedy(text: str, says: str) -> None:
    with pytest.raises(GrantError, match=says) as caught:
        merge_text(Grants(), text, name="lab.toml")
    assert str(caught.value).startswith("policy lab.toml: ")


def test_a_missing_policy_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(GrantError, match=r"policy .*none\.toml: No such file"):
        Grants.load(tmp_path / "none.toml")


@given(
    env=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="=\0"), min_size=1),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
        max_size=4,
    )
)
def test_any_environment_survives_the_file(env: dict[str, str]) -> None:
    grants = Grants(env=env)
    assert merge_text(Grants(), to_toml(grants)) == grants


def _deep(levels: int) -> str:
    return "x = " + "[" * levels + "]" * levels


@pytest.mark.parametrize(
    "text",
    [
        _deep(100_000),
        "x = " + "{a = " * 100_000 + "1" + "}" * 100_000,
        "rights" + _deep(400)[1:],
        "[stdio]\nstdin" + _deep(400)[1:],
        "[limits]\nfds" + _deep(400)[1:],
        "[limits]\nfds = " + "9" * 100_000,
        "ask = " + "9" * 4000,
        '"' + "k" * 900_000 + '" = 1',
        "[limits]\n" + "k" * 900_000 + " = 1",
    ],
)
def test_a_hostile_policy_is_one_short_sentence(text: str) -> None:
    with pytest.raises(GrantError) as caught:
        merge_text(Grants(), text, name="lab.toml")
    assert str(caught.value).startswith("policy lab.toml: ")
    assert len(str(caught.value)) < 600


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are a matter of POSIX")
def test_a_policy_is_a_regular_file_and_so_is_its_stdin(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "sub").mkdir()
    cases = {"pipe": "a pipe", "sub": "a folder", "/dev/zero": "a device"}
    for name, kind in cases.items():
        with pytest.raises(GrantError, match=f"{kind}.*not a file"):
            Grants.load(tmp_path / name)
    for name in ("pipe", "sub"):
        with pytest.raises(GrantError, match=f"{cases[name]}, not a file"):
            merge_text(Grants(), f"[stdio]\nstdin_file = '{name}'", folder=tmp_path)


def test_a_policy_of_more_than_a_megabyte_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_bytes(b"# " + b"x" * (1 << 20))
    with pytest.raises(GrantError, match="more than 1m bytes"):
        Grants.load(tmp_path / "p.toml")


def test_a_policy_reads_stdin_from_its_own_folder_only(tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    (lab / "in").mkdir(parents=True)
    (lab / "in" / "a.txt").write_text("input")
    (tmp_path / "secret").write_text("secret")
    (lab / "link").symlink_to(tmp_path / "secret")
    (lab / "inner").symlink_to(lab / "in" / "a.txt")
    for name in ("in/a.txt", "inner", str(lab / "in" / "a.txt")):
        assert merge_text(Grants(), f"[stdio]\nstdin_file = '{name}'", folder=lab).stdin == b"input"
    for name in ("../secret", "link", str(tmp_path / "secret"), "in/../../secret"):
        with pytest.raises(GrantError, match=r"not in the folder of the policy.*--stdin FILE"):
            merge_text(Grants(), f"[stdio]\nstdin_file = '{name}'", folder=lab)
    with pytest.raises(GrantError, match="'none': No such file"):
        merge_text(Grants(), "[stdio]\nstdin_file = 'none'", folder=lab)
    with pytest.raises(GrantError, match="null"):
        merge_text(Grants(), '[stdio]\nstdin_file = "a\\u0000b"', folder=lab)
