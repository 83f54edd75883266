"""The completion scripts, asked by the shells themselves; and `wasilab settings`."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from wasilab.cli import main
from wasilab.commands.catalog import command_names
from wasilab.commands.line.grammar import build
from wasilab.commands.runner.shells import SHELLS, described
from wasilab.engine.compiling.engine_options import EngineOptions
from wasilab.engine.limits import BOUNDS

INSTALLED = [shell for shell in SHELLS if shutil.which(shell)]
"""bash is everywhere; zsh and fish are asked where they are."""
BASH = """
{script}
COMP_WORDS=({words}) COMP_CWORD={at}
_wasilab
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
ZSH = """
autoload -Uz compinit && compinit -u -D
{script}
compadd() {{ while [[ $1 == -* && $1 != -- ]] do shift; done; [[ $1 == -- ]] && shift; print -l -- "$@" }}
_describe() {{ print -l -- ${{${{(P)argv[-1]}}%%:*}} }}
_files() {{ print -l files "$@" }}
words=({words}) CURRENT={at}+1
_wasilab
"""
FISH = "{script}\ncomplete -C '{line}'"


def ask(shell: str, line: str, folder: Path) -> list[str]:
    """What a shell offers for the last word of a line."""
    program = shutil.which(shell)
    assert program is not None
    words = line.split(" ")
    quoted = " ".join(f"'{word}'" for word in words)
    script = SHELLS[shell](described("cli"))
    template = {"bash": BASH, "zsh": ZSH, "fish": FISH}[shell]
    text = template.format(script=script, words=quoted, at=len(words) - 1, line=line)
    plain = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    done = subprocess.run([program, *plain], input=text, capture_output=True, text=True, cwd=folder, check=True)
    assert done.stderr == ""
    return [row.split("\t")[0] for row in done.stdout.splitlines()]


@pytest.mark.parametrize("shell", INSTALLED)
def test_a_shell_offers_the_commands(shell: str, tmp_path: Path) -> None:
    assert set(command_names("cli")) <= set(ask(shell, "wasilab ", tmp_path))


@pytest.mark.parametrize("shell", INSTALLED)
@pytest.mark.parametrize("command", ["exec", "trace"])
def test_a_shell_offers_every_option_of_a_command(shell: str, command: str, tmp_path: Path) -> None:
    offered = ask(shell, f"wasilab {command} --", tmp_path)
    parser = build(command, "cli")
    assert {name for name in parser.takes_value() if name.startswith("--")} <= set(offered)


@pytest.mark.parametrize("shell", INSTALLED)
def test_a_shell_offers_the_values_of_an_option(shell: str, tmp_path: Path) -> None:
    assert set(ask(shell, "wasilab run --optimize ", tmp_path)) == {"none", "speed", "size"}


def test_bash_offers_files_and_for_a_folder_only_folders(tmp_path: Path) -> None:
    (tmp_path / "prog.wasm").write_bytes(b"")
    (tmp_path / "photos").mkdir()
    assert set(ask("bash", "wasilab run p", tmp_path)) == {"prog.wasm", "photos"}
    assert ask("bash", "wasilab run --dir p", tmp_path) == ["photos"]


def test_an_unknown_shell_gets_the_list_of_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "fsh"]) == 2
    assert "choose bash, zsh, fish; did you mean" in capsys.readouterr().err


def test_settings_name_every_option_of_the_engine_and_every_limit(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {name: one["value"] for name, one in found["engine"].items()} == {
        name: getattr(EngineOptions(), name) for name in EngineOptions.__dataclass_fields__ if name != "features"
    }
    assert {name for name, one in found["features"].items() if not one["on"]} >= {"gc", "exceptions"}
    assert set(found["limits"]) == set(BOUNDS)
    known = build("run", "cli").takes_value()
    for one in (*found["engine"].values(), *found["limits"].values()):
        assert one["flag"] in known
    assert main(["settings"]) == 0
    said = capsys.readouterr().out
    assert "--max-stack             512k" in said
    assert "--optimize              speed             (none, speed, size)" in said
