"""A guest may not write where its files would be run as code, unless a flag allows it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from wasilab import Grants, HostDir, Run, instantiate, run
from wasilab.grants.code_folders import check_code_folders, code_in, warning
from wasilab.grants.value import GrantError
from wasilab.toolchains.cache import cache_folder

from .guests import READ, WRITE, Guest, fd
from .test_ask import Person

WRITES = Guest().open("planted.py", rights=READ | WRITE, oflags=1).write("x").module()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a project: code/ is on sys.path, venv/ is the environment, cache/ holds compiled programs."""
    for name in ("code/inner", "venv/lib/python3/site-packages/pkg", "cache/modules", "data", "home/work"):
        (tmp_path / name).mkdir(parents=True)
    ours = [str(tmp_path / "code"), str(tmp_path / "venv/lib/python3/site-packages")]
    monkeypatch.setattr(sys, "path", [*ours, *sys.path])
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    monkeypatch.setenv("WASILAB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("code", "imports from 'code'"), (".", "cache of compiled programs"), ("venv", "virtual environment"),
        ("venv/lib", "virtual environment"), ("venv/lib/python3/site-packages/pkg", "virtual environment"),
        ("cache", "cache of compiled"), ("cache/modules", "cache of compiled"),
    ],
)  # fmt: skip
def test_a_folder_that_holds_code_is_not_granted_as_rw(place: Path, name: str, says: str) -> None:
    grants = Grants(dirs={"/d": HostDir(place / name, "rw")})
    with pytest.raises(GrantError, match=f"'/d' is not granted as rw: .*{says}.*--writable-code"):
        run(WRITES, (), grants)
    with pytest.raises(GrantError, match=says):
        instantiate(WRITES, grants)
    assert not (place / name / "planted.py").exists()
    for mode in ("ro", "copy"):
        check_code_folders(Grants(dirs={"/d": HostDir(place / name, mode)}))  # type: ignore[arg-type]
    allowed = run(WRITES, (), grants.with_(writable_code=True))
    assert allowed.exit_code == 0
    assert any(says in note for note in allowed.outcome.warnings), "it is said all the same"


def test_a_link_to_such_a_folder_is_that_folder(place: Path) -> None:
    (place / "link").symlink_to(place / "code")
    assert "imports from 'code'" in code_in(HostDir(place / "link", "rw"))


@pytest.mark.parametrize("name", ["data", "code/inner", "home/work"])
def test_another_folder_is_free_to_use(place: Path, name: str) -> None:
    done = run(WRITES, (), Grants(dirs={"/d": HostDir(place / name, "rw")}))
    assert (done.exit_code, done.outcome.warnings) == (0, ())


def test_the_home_folder_is_warned_of(place: Path) -> None:
    assert "your home folder" in warning(HostDir(place / "home", "rw"))
    done = run(WRITES, (), Grants(dirs={"/d": HostDir(place / "home", "rw")}))
    assert done.exit_code == 0
    assert any("your home folder" in note for note in done.outcome.warnings)


def test_the_folders_of_this_very_python_are_known() -> None:
    for path in (sysconfig.get_path("purelib"), sysconfig.get_path("stdlib"), cache_folder().parent):
        if os.access(path, os.W_OK):
            assert code_in(HostDir(path, "rw"))


def test_a_running_guest_is_not_given_such_a_folder_either(place: Path) -> None:
    given = Grants(dirs={"/d": HostDir(place / "code")})
    started: Run = run(Guest().again().read(fd(0)).module(), (), given, detach=True)
    try:
        with pytest.raises(GrantError, match="imports from 'code'"):
            started.regrant(Grants(dirs={"/d": HostDir(place / "code", "rw")}))
        started.regrant(Grants(dirs={"/d": HostDir(place / "code", "rw")}, writable_code=True))
    finally:
        started.stop()


def test_a_question_warns_of_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place / "code")
    person = Person("a")
    run(WRITES, (), Grants(ask=True), on_question=person)
    assert "(careful: this Python imports from 'code')" in person.prompts[0]


def test_the_command_line_refuses_and_has_a_flag_for_it(tmp_path: Path) -> None:
    (tmp_path / "p.wasm").write_bytes(WRITES.bytes)
    command = [sys.executable, "-m", "wasilab", "run"]  # -m puts the current folder on sys.path
    where = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}}
    refused = subprocess.run([*command, "--dir", ".:rw", "p.wasm"], capture_output=True, text=True, **where)
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1
    assert "this Python imports from" in refused.stderr
    assert not (tmp_path / "planted.py").exists()
    given = subprocess.run([*command, "--writable-code", "--dir", ".:rw", "p.wasm"], capture_output=True, **where)
    assert given.returncode == 0
    assert (tmp_path / "planted.py").exists()
