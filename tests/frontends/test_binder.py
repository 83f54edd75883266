"""What repo2docker, and with it Binder, does with the files of `binder/`.

It installs requirements.txt from the repository's top (a line that begins with "." makes it copy the repository first),
with the Python of runtime.txt, and then runs postBuild there as a program.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from wasilab.commands.line.grammar import parse

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_repository_itself_is_installed_with_extras_that_it_has() -> None:
    first = (ROOT / "binder" / "requirements.txt").read_text().splitlines()[0]
    extras = re.fullmatch(r"\.\[([\w,]+)\]", first)
    assert extras
    assert set(extras[1].split(",")) == {"zig", "lab"}
    assert {"zig", "lab"} <= set(PROJECT["optional-dependencies"])


def test_its_python_is_supported() -> None:
    named = re.fullmatch(r"python-3\.(\d+)\n?", (ROOT / "binder" / "runtime.txt").read_text())
    least = re.fullmatch(r">=3\.(\d+)", PROJECT["requires-python"])
    assert named
    assert least
    assert int(named[1]) >= int(least[1])


def test_its_post_build_runs_existing_commands() -> None:
    script = ROOT / "binder" / "postBuild"
    assert os.access(script, os.X_OK)
    lines = script.read_text().splitlines()
    assert lines[0] == "#!/bin/bash"
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("wasilab ")]
    assert commands
    assert all(parse(words, "cli") for words in commands)


def pins() -> dict[str, str]:
    lines = (ROOT / "binder" / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def test_every_direct_requirement_is_pinned_to_a_version_that_it_allows() -> None:
    packaging = pytest.importorskip("packaging.requirements")
    for text in runpy.run_path(str(ROOT / "binder" / "pin.py"))["requirements"]():
        wanted = packaging.Requirement(text)
        assert wanted.specifier.contains(pins()[wanted.name.lower()]), text
    assert not {"pyarrow", "duckdb", "pandas"} & set(pins())
    for name in runpy.run_path(str(ROOT / "binder" / "pin.py"))["OF_LESSONS"]:
        assert name in pins()
        for file in ("postBuild", "hub/Dockerfile"):
            assert f"--no-deps -c binder/constraints.txt {name}" in (ROOT / "binder" / file).read_text()


def test_pip_finds_the_constraints_beside_the_requirements() -> None:
    assert "-c constraints.txt" in (ROOT / "binder" / "requirements.txt").read_text().splitlines()


def test_the_first_cell_says_that_work_is_lost(tmp_path: Path) -> None:
    for name in ("binder", "notebooks"):
        (tmp_path / name).mkdir()
    shutil.copy(ROOT / "binder" / "welcome.py", tmp_path / "binder")
    path = tmp_path / "notebooks" / "00-x.ipynb"
    path.write_text(json.dumps({"cells": [{"id": "a"}]}))
    for _ in range(2):
        subprocess.run([sys.executable, str(tmp_path / "binder" / "welcome.py")], check=True)
        assert [cell["id"] for cell in json.loads(path.read_text())["cells"]] == ["binder", "a"]
    assert "is lost" in path.read_text()


def test_the_hubs_files_name_what_exists() -> None:
    folder = ROOT / "binder" / "hub"
    docker = (folder / "Dockerfile").read_text()
    for name in re.findall(r"binder/[\w./-]+", docker):
        assert (ROOT / name).exists(), name
    assert os.access(folder / "start.sh", os.X_OK)
    line = re.search(r"^wasilab (course \S+)", (folder / "start.sh").read_text(), re.MULTILINE)
    assert line
    assert parse(shlex.split(line[1]), "cli")
    container = json.loads((ROOT / "binder" / "devcontainer" / "devcontainer.json").read_text())
    assert "binder/constraints.txt" in container["postCreateCommand"]
