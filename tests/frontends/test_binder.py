"""What repo2docker, and with it Binder, does with the files of `binder/`.

It installs requirements.txt from the repository's top (a line that begins with "." makes it copy the repository first),
with the Python of runtime.txt, and then runs postBuild there as a program.
"""

from __future__ import annotations

import os
import re
import shlex
import tomllib
from pathlib import Path

from wasilab.commands.line.grammar import parse

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_repository_itself_is_installed_with_extras_that_it_has() -> None:
    first = (ROOT / "binder" / "requirements.txt").read_text().splitlines()[0]
    extras = re.fullmatch(r"\.\[([\w,]+)\]", first)
    assert extras
    assert {"zig", "lab"} <= set(extras[1].split(",")) <= set(PROJECT["optional-dependencies"])


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
