"""The value form of grants: nothing is lost, another process reads it, another folder is not taken for the first."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wasilab import Clocks, Grants, HostDir, Limits, MemDir, Random, listen
from wasilab.capabilities.memory.memdir import Symlink
from wasilab.capabilities.patterns import read_only
from wasilab.grants.value import GrantError

from .test_fields import CHANGED, More
from .test_reads_back import all_grants, root

__all__ = ["root"]


def through_json(grants: Grants) -> Grants:
    return type(grants).from_value(json.loads(json.dumps(grants.to_value())))


FILES = {"a.txt": "text", "sub": {"b.bin": b"\xff\0", "empty": {}}, "link": Symlink("sub/b.bin"), "e": b""}


def test_everything_that_is_not_code_survives(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "work")
    (tmp_path / "copied").mkdir()
    grants = Grants(
        dirs={
            "/z": HostDir(tmp_path / "link", "rw"),
            "/a": MemDir(FILES, max_bytes=1000, max_names=50),
            "/ro": MemDir({"x": "y"}, mode="ro"),
            "/copy": HostDir(tmp_path / "copied", "copy", max_bytes=5000, max_names=7),
        },
        withheld={"/z": ["path_unlink_file"]}, env={"A": "\udcff\n"}, args=False, stdin=b"\xff", stdout=False,
        clocks=Clocks.stepped(5, 7), random=Random.seeded(-3), sockets=[listen("127.0.0.1:0")],  # type: ignore[arg-type]
        limits=Limits(fuel=1, seconds=0.1, bytes_written=None), rights="compat", ask=True,
    )  # fmt: skip
    again = through_json(grants)
    assert again.with_(sockets=()) == grants.with_(sockets=())
    assert [socket.address for socket in again.sockets] == ["127.0.0.1:0"]
    assert list(again.dirs) == list(grants.dirs), "their order numbers descriptors"
    folder, memory, bounded = again.dirs["/z"], again.dirs["/a"], again.dirs["/copy"]
    assert isinstance(folder, HostDir)
    assert isinstance(memory, MemDir)
    assert isinstance(bounded, HostDir)
    assert folder.path == str(tmp_path / "link")
    assert memory.files() == MemDir(FILES).files()
    assert (bounded.max_bytes, bounded.max_names) == (5000, 7)


@given(st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_grants_there_are_they_read_back(root: Path, data: Any) -> None:
    grants = data.draw(all_grants(root))
    assert through_json(grants) == grants


def test_a_new_field_goes_through_the_value() -> None:
    assert CHANGED.to_value()["network"] is True
    assert through_json(CHANGED) == CHANGED
    with pytest.raises(GrantError, match="unknown key 'network'"):
        Grants.from_value(CHANGED.to_value())
    assert More.from_value(Grants().to_value()) == More(), "what an older value does not name is at its default"


@pytest.mark.parametrize("stdin", [b"", b"text", b"\xff", "ask", None])
def test_each_stdin_survives(stdin: Any) -> None:
    assert through_json(Grants(stdin=stdin)).stdin == stdin


def test_another_folder_at_the_same_path_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    value = Grants(dirs={"/d": HostDir(folder)}).to_value()
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(GrantError, match="cannot grant the folder"):
        Grants.from_value(value)
    folder.mkdir()
    with pytest.raises(GrantError, match="is not the folder that was granted at '/d'"):
        Grants.from_value(value)
    assert Grants.from_value(value, same_folders=False).dirs["/d"] == HostDir(folder)


def test_a_relative_path_means_the_folder_that_it_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "other" / "data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    value = Grants(dirs={"/d": HostDir("data")}).to_value()
    assert Grants.from_value(value).to_flags() == ["--dir", "data::/d"]
    monkeypatch.chdir(tmp_path / "other")
    assert Grants.from_value(value).to_flags() == ["--dir", f"{tmp_path}/data::/d"]


def test_grants_are_pickled_and_copied_by_value(tmp_path: Path) -> None:
    grants = Grants(dirs={"/d": HostDir(tmp_path), "/m": MemDir(FILES)}, env={"A": "b"})
    again = pickle.loads(pickle.dumps(grants))
    assert again == grants
    assert again.dirs["/d"] is not grants.dirs["/d"]
    assert copy.deepcopy(grants) == copy.copy(grants) == grants


def test_another_process_reads_the_folder_and_not_a_number(tmp_path: Path) -> None:
    (tmp_path / "here.txt").write_text("")
    data = pickle.dumps(Grants(dirs={"/d": HostDir(tmp_path)}))
    script = "import pickle,sys; d = pickle.load(sys.stdin.buffer).dirs['/d']; print([e.name for e in d.list()])"
    done = subprocess.run([sys.executable, "-c", script], input=data, capture_output=True, check=True)
    assert done.stdout == b"['here.txt']\n"


@pytest.mark.parametrize(
    ("grants", "says"),
    [
        (Grants(overrides={"random_get": lambda original, buffer: None}), r"overrides \(random_get\) are Python"),
        (Grants(dirs={"/d": read_only(MemDir())}), "'/d' is a .*: a value cannot express it"),
    ],
)
def test_what_a_value_cannot_express_is_named(grants: Grants, says: str) -> None:
    with pytest.raises(GrantError, match=says):
        grants.to_value()
    with pytest.raises(GrantError, match=says):
        pickle.dumps(grants)


def wrong(**changes: Any) -> dict[str, Any]:
    return {**Grants(dirs={"/m": MemDir()}).to_value(), **changes}


MEMORY = {"guest": "/m", "memory": {}, "mode": "rw", "max_bytes": 10, "max_names": 10}


@pytest.mark.parametrize(
    "value",
    [
        None, 1, [], {}, {"version": 2}, wrong(version="1"), wrong(dir=[]), wrong(dirs={}), wrong(dirs=[1]),
        wrong(dirs=[{}]), wrong(dirs=[{**MEMORY, "memory": {"a": 1}}]), wrong(dirs=[{**MEMORY, "memory": {"a": {}}}]),
        wrong(dirs=[{**MEMORY, "memory": {"a": {"base64": "?"}}}]), wrong(dirs=[{**MEMORY, "mode": "copy"}]),
        wrong(dirs=[{**MEMORY, "max_bytes": -1}]), wrong(dirs=[{**MEMORY, "max_bytes": "10"}]),
        wrong(dirs=[{**MEMORY, "memory": {"../a": {"text": ""}}}]), wrong(dirs=[{**MEMORY, "extra": 1}]),
        wrong(dirs=[{**MEMORY, "memory": {"big": {"text": "more than ten"}}}]),
        wrong(dirs=[{"guest": "/d", "host": "etc", "named": "etc", "mode": "ro", "device": 1, "inode": 1}]),
        wrong(dirs=[{"guest": "/d", "host": "/etc", "named": "/etc", "mode": "ro"}]),
        wrong(dirs=[{"guest": "/d", "host": "/etc", "named": "/etc", "mode": "all", "device": 1, "inode": 1}]),
        wrong(withheld={"/m": "fd_read"}), wrong(withheld={"/m": ["fd_reed"]}), wrong(env={"A": 1}), wrong(args=1),
        wrong(stdin=1), wrong(stdin={"text": 1}), wrong(stdin="all"), wrong(clocks="never"), wrong(clocks=1),
        wrong(random=None), wrong(sockets="127.0.0.1:0"), wrong(sockets=["nowhere"]), wrong(limits={"fds": "many"}),
        wrong(limits={"fdz": 1}), wrong(limits=[]), wrong(rights="all"), wrong(ask="yes"), wrong(overrides={"f": "g"}),
    ],
)  # fmt: skip
def test_what_is_not_a_value_of_grants_is_one_error(value: Any) -> None:
    with pytest.raises(GrantError) as error:
        Grants.from_value(value)
    assert "\n" not in str(error.value)
