"""A private cache for every test, and a pretend clang whose behaviour a test chooses."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

MODULE = r"\0asm\1\0\0\0"


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the tests that use real compilers, so that each is probed once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def cache_dir(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if request.node.get_closest_marker("toolchain"):
        folder: Path = request.getfixturevalue("shared_cache")
    else:
        folder = tmp_path / "cache"
    monkeypatch.setenv("WASILAB_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def pretend_clang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Install a shell script as WASILAB_CC; returns the log to which it adds a line for every cell it compiles.

    `body` runs for a cell; it finds the output's name in $out and the source's in $source. Probes always succeed.
    """

    def make(body: str = "", version: str = "17.0.1") -> Path:
        log = tmp_path / "log"
        log.touch()
        monkeypatch.setenv("WASILAB_COMPILER_FOLDERS", str(tmp_path))  # it is confined, as any compiler is
        script = tmp_path / "clang"
        script.write_text(
            "#!/bin/sh\n"
            f'case "$*" in *--version*) echo "pretend clang version {version}"; exit 0;; *" -E "*) exit 1;; esac\n'
            'out=; source=; for a in "$@"; do [ "$p" = -o ] && out=$a; case $a in *.c) source=$a;; esac; p=$a; done\n'
            f"ok() {{ printf '{MODULE}' > \"$out\"; }}\n"
            "case $source in *probe.c) ok; exit 0;; esac\n"
            f'echo "$source" >> {log}\n' + (body or "ok") + "\n"
        )
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("WASILAB_CC", str(script))
        return log

    return make
