"""Rights withheld from a directory by name: how they are said, what they refuse, and how they are given back."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from wasilab import Grants, HostDir, MemDir, Run, advise, run
from wasilab.capabilities.refusal import DeniedBy
from wasilab.grants.advice.compare import describe, items
from wasilab.grants.advice.learn import rehearsal
from wasilab.grants.advice.missing import missing_grants
from wasilab.grants.forms.flags import add_options, from_options
from wasilab.grants.forms.toml import merge_text
from wasilab.grants.value import GrantError
from wasilab.wasi.types import Errno

from .guests import READ, WRITE, Guest


def unlinks(path: str = "a.txt") -> Guest:
    guest = Guest()
    return guest.call("path_unlink_file", f"(i32.const 3) {guest.text(path)}")


def parse(*words: str, base: Grants | None = None) -> Grants:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return from_options(parser.parse_args(words), base or Grants())


def held(**withheld: list[str]) -> Grants:
    lacks = {f"/{name}": names for name, names in withheld.items()}
    return Grants(dirs={"/d": MemDir({"a.txt": "text"})}, withheld=lacks)


@pytest.mark.parametrize("rights", ["strict", "compat"])
@pytest.mark.parametrize(
    ("name", "guest"),
    [
        ("path_unlink_file", unlinks()),
        ("path_open", Guest().open("a.txt")),
        ("fd_read", Guest().open("a.txt")),
        ("fd_write", Guest().open("a.txt", rights=READ | WRITE)),
        ("path_create_file", Guest().open("new", rights=WRITE, oflags=1)),
        ("path_filestat_set_size", Guest().open("a.txt", rights=WRITE, oflags=8)),
    ],
)
def test_a_right_that_is_withheld_is_refused_in_either_mode(rights: Any, name: str, guest: Guest) -> None:
    assert run(guest.module(), (), held().with_(rights=rights)).exit_code == 0
    refused = run(guest.module(), (), held(d=[name]).with_(rights=rights))
    assert refused.exit_code == int(Errno.NOTCAPABLE if rights == "strict" else Errno.PERM)
    (denied,) = refused.denied
    assert denied.denied_by is DeniedBy.GRANT
    assert f"the right {name}, which its grant withholds" in denied.sentence
    assert denied.remedy == "--withhold /d:none"


def test_what_a_refusal_proposes_gives_back_that_right_alone(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    grants = Grants(dirs={"/d": HostDir(tmp_path, "rw")}, withheld={"/d": ["path_unlink_file", "fd_readdir"]})
    refused = run(unlinks().module(), (), grants)
    (missing,) = missing_grants([refused])
    assert missing.remedy is not None
    assert missing.text == "--withhold /d:fd_readdir"
    assert (tmp_path / "a.txt").exists()
    allowed = missing.remedy.apply(grants)
    assert allowed.withheld == {"/d": ("fd_readdir",)}
    assert run(unlinks().module(), (), allowed).exit_code == 0


def test_a_path_cannot_talk_its_refusal_into_giving_more_back() -> None:
    evil = "the right fd_readdir, path_open, which its grant withholds (--withhold)"
    refused = run(unlinks(evil).module(), (), held(d=["path_unlink_file", "fd_readdir"]))
    assert [denied.remedy for denied in refused.denied] == ["--withhold /d:fd_readdir"]
    opened = run(Guest().open(evil).module(), (), held(d=["fd_read", "fd_readdir"]))
    assert [denied.remedy for denied in opened.denied] == ["--withhold /d:fd_readdir"]


def test_the_flag_the_policy_and_python_say_it() -> None:
    grants = held(d=["fd_readdir", "path_unlink_file", "fd_readdir"])
    assert grants.withheld == {"/d": ("fd_readdir", "path_unlink_file")}
    assert Grants(dirs={"/d": MemDir()}, withheld={"/d": ["fd_readdir"]}).to_flags() == [
        "--mem", "/d", "--withhold", "/d:fd_readdir",
    ]  # fmt: skip
    assert parse("--mem", "/d", "--withhold", "/d:fd_readdir", "--withhold", "/d:fd_read").withheld == {
        "/d": ("fd_read", "fd_readdir")
    }
    assert parse("--withhold", "/d:none", base=grants).withheld == {}
    assert parse("--withhold", "/d:fd_read", base=grants).withheld == {"/d": ("fd_read",)}
    later = merge_text(grants, '[dirs]\n"/d" = { memory = true, withhold = ["fd_read"] }')
    assert later.withheld == {"/d": ("fd_read",)}
    assert merge_text(grants, '[dirs]\n"/d" = { memory = true }').withheld == {}
    assert "without fd_readdir, path_unlink_file" in describe(grants)["path"]
    assert "without fd_readdir, path_unlink_file" in next(i.granted for i in items(grants, None) if i.name == "/d")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--mem", "/d", "--withhold", "/d:fd_readdirs"], "did you mean 'fd_readdir'"),
        (["--mem", "/d", "--withhold", "/e:fd_readdir"], r"no directory is granted there \(valid: /d\)"),
        (["--mem", "/d", "--withhold", "/d"], "write the guest path and rights"),
        (["--mem", "/d", "--withhold", "/d:"], "write the guest path and rights"),
        (["--mem", "/d", "--withhold", "/d:sock_accept"], "is not a right of a directory"),
    ],
)
def test_what_is_typed_wrong_is_said(words: list[str], says: str) -> None:
    with pytest.raises(GrantError, match=says):
        parse(*words)


def test_a_policy_and_python_typed_wrong() -> None:
    with pytest.raises(GrantError, match="did you mean 'withhold'"):
        merge_text(Grants(), '[dirs]\n"/d" = { memory = true, withold = ["fd_read"] }')
    with pytest.raises(GrantError, match="withhold = 'fd_read': must be a list"):
        merge_text(Grants(), '[dirs]\n"/d" = { memory = true, withhold = "fd_read" }')
    with pytest.raises(GrantError, match=r"write for example \['path_unlink_file'\]"):
        Grants(dirs={"/d": MemDir()}, withheld={"/d": "fd_read"})
    with pytest.raises(GrantError, match="withheld is a list, not a mapping"):
        Grants(dirs={"/d": MemDir()}, withheld=["fd_read"])  # type: ignore[arg-type]


def test_what_is_withheld_goes_with_its_directory_and_outlives_its_mode(tmp_path: Path) -> None:
    grants = Grants(dirs={"/d": HostDir(tmp_path)}, withheld={"/d": ["fd_readdir"]})
    assert grants.with_dir("/d", HostDir(tmp_path, "rw")).withheld == {"/d": ("fd_readdir",)}
    assert grants.without_dir("/d").withheld == {}
    assert rehearsal(grants).withheld == {"/d": ("fd_readdir",)}


def test_advice_never_gives_back_what_was_withheld(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("text")
    grants = Grants(dirs={"/d": HostDir(tmp_path, "rw")}, withheld={"/d": ["fd_readdir"]})
    ran: Run = run(Guest().open("in/a.txt").read().module(), (), grants)
    assert ran.exit_code == 0
    assert advise(ran).grants.withheld == {"/d": ("fd_readdir",)}
    assert advise(ran, narrow=True).grants.withheld == {"/d/in": ("fd_readdir",)}
    other = run(Guest().open("in/a.txt").module(), (), grants.with_(withheld={"/d": ["fd_readdir", "fd_seek"]}))
    assert advise(ran, other).grants.withheld == {"/d": ("fd_readdir",)}
