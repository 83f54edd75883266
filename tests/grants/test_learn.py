"""Learn mode: nothing on the host changes, and the grants it finds are enough for the real run."""

from __future__ import annotations

from pathlib import Path

import pytest

from wasilab import Grants, HostDir, run
from wasilab.grants.advice.learn import lesson, rehearsal

from .guests import READ, SCRATCH, WRITE, Guest

CREATE = 1


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "a.txt").write_text("text")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def copier() -> Guest:
    guest = Guest().open("in/a.txt").read().open("out/b", rights=READ | WRITE, oflags=CREATE).write("x")
    return guest.call("random_get", f"(i32.const {SCRATCH}) (i32.const 4)")


def test_learning_changes_nothing_and_its_grants_are_enough(folder: Path) -> None:
    module = copier().module()
    rehearsed = run(module, (), rehearsal(Grants()))
    assert rehearsed.exit_code == 0
    assert not (folder / "out" / "b").exists()
    least = lesson(rehearsed, Grants())
    assert least.grants.dirs == {"in": HostDir("in"), "out": HostDir("out", mode="rw")}
    assert (least.grants.random.spec, least.grants.clocks.spec) == ("real", "none")
    assert least.wider is not None
    assert least.wider.grants.dirs == {".": HostDir(".", mode="rw")}
    assert run(module, (), least.wider.grants).exit_code == 0
    assert (folder / "out" / "b").read_text() == "x"


def test_the_least_command_is_printed_first_and_the_wide_one_last(folder: Path) -> None:
    lines = str(lesson(run(copier().module(), (), rehearsal(Grants())), Grants())).splitlines()
    assert "--dir in --dir out:rw " in lines[0]
    assert lines[-1].startswith("or, with whole folders: wasilab run ")
    assert " --dir .:rw " in lines[-1]
    assert not any("--dir .:rw" in line for line in lines[:-1])


def test_there_is_one_command_where_the_folder_itself_is_used(folder: Path) -> None:
    rehearsed = run(Guest().open("new", rights=WRITE, oflags=CREATE).module(), (), rehearsal(Grants()))
    advice = lesson(rehearsed, Grants())
    assert advice.wider is None
    assert "whole folders" not in str(advice)


def test_folders_that_were_named_are_the_ones_advised(folder: Path) -> None:
    grants = Grants.nothing(dirs={"/data": HostDir("in", mode="rw")})
    rehearsed = run(Guest().open("a.txt").read().module(), (), rehearsal(grants))
    advice = lesson(rehearsed, grants)
    assert advice.grants.dirs == {"/data": HostDir("in")}
    assert not advice.missing


def test_a_copy_stays_a_copy(folder: Path) -> None:
    grants = Grants(dirs={"/data": HostDir("out", mode="copy")})
    rehearsed = run(Guest().open("new", rights=WRITE, oflags=CREATE).module(), (), rehearsal(grants))
    assert lesson(rehearsed, grants).grants.dirs == grants.dirs


def test_what_was_looked_for_elsewhere_is_missing(folder: Path) -> None:
    rehearsed = run(Guest().open("etc/secret").module(), (), rehearsal(Grants()))
    advice = lesson(rehearsed, Grants())
    assert advice.grants.dirs == {}
    assert [(each.text, each.why) for each in advice.missing] == [("--dir /etc", "'/etc/secret' was looked for")]
    changing = run(Guest().open("etc/new", rights=WRITE).module(), (), rehearsal(Grants()))
    assert [each.text for each in lesson(changing, Grants()).missing] == ["--dir /etc:rw"]


def test_what_is_not_here_and_nowhere_else_is_not_called_missing(folder: Path) -> None:
    for path in ("in/none", "none", "no-such-root/x"):
        assert lesson(run(Guest().open(path).module(), (), rehearsal(Grants())), Grants()).missing == ()


def test_one_root_is_never_hidden_by_another(folder: Path) -> None:
    for root in (".", "/"):
        grants = Grants(dirs={root: HostDir("in")})
        assert list(rehearsal(grants).dirs) == [root]
