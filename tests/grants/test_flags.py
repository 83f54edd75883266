"""Grants as flags and Python: what is written is what is given, and it reads back."""

from __future__ import annotations

import argparse
import ntpath
from pathlib import Path

import pytest

from wasilab import Clocks, Grants, HostDir, Limits, MemDir, Random
from wasilab.engine.limits import BOUNDS
from wasilab.grants.forms import flags
from wasilab.grants.forms.flags import add_options, from_options, parse_dir, parse_mapdir
from wasilab.grants.value import GrantError


def parse(*words: str) -> Grants:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return from_options(parser.parse_args(list(words)), Grants())


def test_the_default_gives_stdio_clocks_and_randomness_and_no_more() -> None:
    grants = Grants()
    assert (grants.args, grants.stdin, grants.stdout, grants.stderr) == (True, b"", True, True)
    assert (grants.clocks.spec, grants.random.spec) == ("real", "real")
    assert not grants.dirs
    assert not grants.env
    assert not grants.sockets
    assert grants.to_flags() == []


def test_nothing_takes_all_of_it_away_and_gives_only_what_is_named() -> None:
    grants = Grants.nothing(stdout=True)
    assert (grants.args, grants.stdin, grants.stdout, grants.stderr) == (False, None, True, False)
    assert (grants.clocks.spec, grants.random.spec) == ("none", "none")
    assert parse("--deny-all", "--stdout") == grants


@pytest.mark.parametrize(
    ("text", "guest", "mode"),
    [
        ("{}", "{}", "ro"),
        ("{}:rw", "{}", "rw"),
        ("{}::/data", "/data", "ro"),
        ("{}::/data:copy", "/data", "copy"),
        ("{}::a:b:rw", "a:b", "rw"),
    ],
)
def test_dir_flag(tmp_path: Path, text: str, guest: str, mode: str) -> None:
    got, directory = parse_dir(text.format(tmp_path))
    assert (got, directory.mode, Path(directory.path)) == (guest.format(tmp_path), mode, tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}::", "the guest path after '::' is empty"),
        ("::/data", "the host directory is empty"),
        ("{}:wr", "the mode 'wr' is not one of ro, rw, copy"),
        ("{}::/data:write", "write"),
        ("{}/missing", "missing"),
    ],
)
def test_a_wrong_dir_flag_says_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises((GrantError, OSError, ValueError), match=says):
        parse_dir(text.format(tmp_path))


@pytest.mark.parametrize(
    ("text", "guest", "mode"), [("/data::{}", "/data", "ro"), ("a b::{}:rw", "a b", "rw"), ("/::{}:copy", "/", "copy")]
)
def test_mapdir_flag(tmp_path: Path, text: str, guest: str, mode: str) -> None:
    got, directory = parse_mapdir(text.format(tmp_path))
    assert (got, directory.mode, Path(directory.path)) == (guest, mode, tmp_path)


@pytest.mark.parametrize("text", ["{}", "::{}", "/data::", "", "/data:{}"])
def test_a_mapdir_of_another_form_is_answered_with_the_order(tmp_path: Path, text: str) -> None:
    with pytest.raises(GrantError, match=r"write GUEST::HOST, .*--dir is HOST::GUEST"):
        parse_mapdir(text.format(tmp_path))


def test_a_swapped_pair_is_answered_with_the_right_order(tmp_path: Path) -> None:
    with pytest.raises(GrantError, match=rf"--mapdir is GUEST::HOST .*: write --mapdir /guest::{tmp_path}$"):
        parse_mapdir(f"{tmp_path}::/guest")
    with pytest.raises(GrantError, match=rf"--dir is HOST::GUEST .*: write --dir {tmp_path}::/guest$"):
        parse_dir(f"/guest::{tmp_path}")
    with pytest.raises(GrantError, match=r"cannot grant the folder .*gone"):
        parse_mapdir(f"/guest::{tmp_path}/gone")


def test_mapped_and_named_directories_stand_in_one_order(tmp_path: Path) -> None:
    grants = parse("--mem", "/first", "--mapdir", f"/second::{tmp_path}", "--dir", f"{tmp_path}::/third")
    assert list(grants.dirs) == ["/first", "/second", "/third"]
    assert parse(*grants.to_flags()).dirs["/second"] == grants.dirs["/second"]


def test_flags_read_back_as_the_same_grants(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    grants = Grants(
        dirs={"/in": HostDir(str(tmp_path / "in")), "/out": HostDir(str(tmp_path), mode="rw")},
        env={"LANG": "C", "EMPTY": ""},
        stdin=b"two\nlines\n",
        clocks=Clocks.stepped(1000),
        random=Random.seeded(7),
        stderr=False,
        rights="compat",
        limits=Limits(fuel=1000, seconds=2.5, memory=64 << 20, bytes_written=12345),
    )
    assert parse(*grants.to_flags()) == grants


def test_flags_of_every_limit_read_back() -> None:
    limits = Limits(**{name: 0.5 if bound.unit == "seconds" else 3 << 10 for name, bound in BOUNDS.items()})
    assert parse(*Grants(limits=limits).to_flags()).limits == limits
    taken_away = Limits(**{name: None for name, bound in BOUNDS.items() if bound.none})
    assert parse(*Grants(limits=taken_away).to_flags()).limits == taken_away


def test_python_text_evaluates_to_the_same_grants(tmp_path: Path) -> None:
    grants = Grants(dirs={"/d": HostDir(str(tmp_path))}, env={"A": "b"}, clocks=Clocks.frozen(5), limits=Limits(fds=9))
    names = {"Grants": Grants, "HostDir": HostDir, "Clocks": Clocks, "Limits": Limits, "Random": Random}
    assert eval(grants.to_python(), names) == grants


def test_what_flags_cannot_say_is_refused_by_name() -> None:
    with pytest.raises(GrantError, match="random_get"):
        Grants(overrides={"random_get": lambda original, buffer: None}).to_flags()


def test_a_wrong_size_is_refused_by_the_parser(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_options(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(["--max-memory", "1.5"])
    assert "'1.5' is not a size: it is not a whole number of bytes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--clock", "fast"], "--clock fast"),
        (["--random", "seeded:x"], "--random seeded:x"),
        (["--env", "NOT_SET_ANYWHERE_1234"], "not set in the host's environment"),
        (["--env", "=x"], "--env '=x': the variable has no name"),
        (["--env", ""], "--env '': the variable has no name; write --env NAME=VALUE"),
        (["--stdin", "/no/such/file"], "--stdin /no/such/file"),
        (["--stdin", "-", "--stdin-text", "x"], "give one of them"),
        (["--clock", "frozen:-5"], "^--clock frozen:-5: frozen takes a number of nanoseconds"),
        (["--clock", "sundial:1"], "^--clock sundial:1: unknown clock 'sundial:1'"),
        (["--withhold", ".:path_opne", "--dir", "."], "^--withhold .:path_opne: 'path_opne' is not a right"),
        (["--withhold", "x:path_open", "--dir", "."], "^--withhold x: no directory is granted there"),
        (["--dir", ".::/a", "--mem", "/a"], "two folders are granted at '/a'"),
        (["--dir", ".::/a", "--dir", "/::/a"], "two folders are granted at '/a'"),
        (["--dir", ""], "^--dir '': the host directory is empty"),
        (["--mem", ""], "guest path"),
    ],
)
def test_a_wrong_flag_is_one_sentence_that_names_it(words: list[str], says: str) -> None:
    with pytest.raises(GrantError, match=says) as caught:
        parse(*words)
    assert "\n" not in str(caught.value)


def test_a_folder_named_again_takes_the_later_mode() -> None:
    folder = parse("--dir", ".", "--dir", ".:rw").dirs["."]
    assert isinstance(folder, HostDir)
    assert folder.mode == "rw"


def test_grants_do_not_change_once_made() -> None:
    grants = Grants(env={"A": "1"}, dirs={"/m": MemDir()})
    with pytest.raises(AttributeError):
        grants.stdout = False  # type: ignore[misc]
    with pytest.raises(TypeError):
        grants.env["B"] = "2"  # type: ignore[index]
    assert grants.without_dir("/m").dirs == {}
    with pytest.raises(GrantError, match="valid: /m"):
        grants.without_dir("/n")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Grants(dirs={"": MemDir()}), "guest path"),
        (lambda: Grants(dirs={"/a": 3}), "not a directory"),  # type: ignore[dict-item]
        (lambda: Grants(stdin="text"), "give bytes"),  # type: ignore[arg-type]
        (lambda: Grants(rights="lax"), "'strict' and 'compat'"),  # type: ignore[arg-type]
        (lambda: Grants(overrides={"clock_time_gett": print}), "did you mean 'clock_time_get'"),
        (lambda: Grants(env={"A=B": "c"}), "'='"),
    ],
)
def test_a_wrong_grant_is_refused_when_it_is_made(make: object, says: str) -> None:
    with pytest.raises(GrantError, match=says):
        make()  # type: ignore[operator]


def test_a_drive_letter_is_not_a_separator(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr("os.path.splitdrive", ntpath.splitdrive)
    monkeypatch.setattr("os.sep", "\\")
    monkeypatch.setattr(flags, "host_folder", lambda host, mode: asked.append((host, mode)))
    assert parse_dir("C:\\Users\\me::/data:copy")[0] == "/data"
    assert parse_dir("C:\\Users\\me\\data")[0] == "C:/Users/me/data"
    assert parse_dir("data:copy")[0] == "data"
    assert asked == [("C:\\Users\\me", "copy"), ("C:\\Users\\me\\data", "ro"), ("data", "copy")]
