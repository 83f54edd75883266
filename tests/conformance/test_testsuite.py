"""The public suite WebAssembly/wasi-testsuite, whole: 72 programs, four times, on folders of the host and in memory.

Its programs are not in this repository. To run it:

    git clone -b prod/testsuite-base https://github.com/WebAssembly/wasi-testsuite
    WASI_TESTSUITE=wasi-testsuite python -m pytest tests/conformance/test_testsuite.py

`wasilab_adapter.py` beside this file lets the suite's own runner do the same.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from wasilab.capabilities.host.hostdir import HostDir
from wasilab.capabilities.memory.memdir import Files, MemDir

FOLDER = os.environ.get("WASI_TESTSUITE", "")
if not FOLDER:
    pytest.skip(
        "WASI_TESTSUITE is not set: give it a checkout of WebAssembly/wasi-testsuite, branch prod/testsuite-base",
        allow_module_level=True,
    )

LANGUAGES = {"rust": 46, "c": 14, "assemblyscript": 12}
"""The preview1 programs of the public suite, by language."""


@dataclass(frozen=True)
class Program:
    """One program of the suite and what its JSON file asks for."""

    language: str
    wasm: Path
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    root: Path | None = None
    exit_code: int = 0
    stdout: str | None = None
    stderr: str | None = None

    def __str__(self) -> str:
        return f"{self.language}-{self.wasm.stem}"

    @classmethod
    def read(cls, language: str, wasm: Path) -> Program:
        described = wasm.with_suffix(".json")
        spec = json.loads(described.read_text()) if described.exists() else {}
        unknown = set(spec) - {"args", "env", "root", "exit_code", "stdout", "stderr"}
        assert not unknown, f"{described} asks for what this adapter does not know: {unknown}"
        return cls(
            language,
            wasm,
            tuple(spec.get("args", ())),
            tuple(spec.get("env", {}).items()),
            wasm.parent / spec["root"] if spec.get("root") else None,
            spec.get("exit_code", 0),
            spec.get("stdout"),
            spec.get("stderr"),
        )


def programs() -> list[Program]:
    """The suite's programs in the folder that `WASI_TESTSUITE` names."""
    return [
        Program.read(language, wasm)
        for language in LANGUAGES
        for wasm in sorted(Path(FOLDER, "tests", language, "testsuite", "wasm32-wasip1").glob("*.wasm"))
    ]


PROGRAMS = programs()


def in_memory(folder: Path) -> Files:
    """A folder's files as `MemDir` takes them."""
    return {
        entry.name: in_memory(entry) if entry.is_dir() else entry.read_bytes() for entry in sorted(folder.iterdir())
    }


@pytest.mark.parametrize("errnos", ["loose", "unix"])
@pytest.mark.parametrize("rights", ["strict", "compat"])
@pytest.mark.parametrize("kind", ["host", "memory"])
@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_program(program, run_wasm, tmp_path: Path, kind: str, rights: str, errnos: str) -> None:
    env = dict(program.env)
    if errnos == "unix" and program.language == "rust":  # only these look at it
        env["ERRNO_MODE_UNIX"] = "1"
    dirs = {}
    if program.root is not None:
        if kind == "host":
            shutil.copytree(program.root, tmp_path / "root")
            dirs["/"] = HostDir(tmp_path / "root", mode="rw")
        else:
            dirs["/"] = MemDir(in_memory(program.root))
    ran = run_wasm(program.wasm.read_bytes(), program.wasm.name, program.args, env, dirs, rights)
    assert ran.exit_code == program.exit_code, f"{ran.message}\n{ran.stderr.decode(errors='replace')}"
    if program.stdout is not None:
        assert ran.stdout.decode() == program.stdout
    if program.stderr is not None:
        assert ran.stderr.decode() == program.stderr


def test_the_whole_suite_is_present() -> None:
    """All 46 + 14 + 12 programs are found in the folder, so that none is passed over in silence."""
    assert Counter(program.language for program in PROGRAMS) == LANGUAGES
