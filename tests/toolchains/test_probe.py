"""Compilers are tried once and the answer is kept, until the executable changes or a failure has aged."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from wasilab.toolchains import probe
from wasilab.toolchains.diagnostics import CompileInterrupted, ToolchainError
from wasilab.toolchains.probe import Failure, Tool, executables, remembered


def _executable(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


class Counting:
    """A probe that counts how often it is asked."""

    def __init__(self, works: bool = True) -> None:
        self.asked = 0
        self.works = works

    def __call__(self) -> Tool:
        self.asked += 1
        if not self.works:
            raise ToolchainError("it does not link")
        return Tool("clang", ("/x/clang", "-a"), "1.2", "/x/clang", "PATH", {"k": "v"})


def test_a_success_is_asked_once_and_comes_back_equal(tmp_path: Path) -> None:
    path = str(_executable(tmp_path / "clang"))
    counting = Counting()
    first = remembered("c", path, counting)
    assert remembered("c", path, counting) == first
    assert counting.asked == 1
    assert isinstance(first, Tool)
    assert first.name == "clang 1.2"


def test_it_is_asked_again_for_another_purpose_executable_or_on_demand(tmp_path: Path) -> None:
    path = _executable(tmp_path / "clang")
    watched = tmp_path / "libc"
    counting = Counting()

    def ask(purpose: str = "c", refresh: bool = False) -> None:
        remembered(purpose, str(path), counting, watch=[str(watched)], refresh=refresh)

    ask()
    ask("c++")
    assert counting.asked == 2
    ask(refresh=True)
    assert counting.asked == 3
    path.write_text("#!/bin/sh\n# newer\n")
    ask()
    assert counting.asked == 4
    watched.write_text("installed")
    ask()
    ask()
    assert counting.asked == 5


def test_a_failure_is_remembered_for_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(_executable(tmp_path / "clang"))
    counting = Counting(works=False)
    assert remembered("c", path, counting) == Failure(path, "it does not link")
    assert remembered("c", path, counting) == Failure(path, "it does not link")
    assert counting.asked == 1
    later = time.time() + probe.FAILURE_LIFE + 1
    monkeypatch.setattr(probe.time, "time", lambda: later)
    counting.works = True
    assert isinstance(remembered("c", path, counting), Tool)


def test_an_interrupted_probe_teaches_nothing(tmp_path: Path, cache_dir: Path) -> None:
    path = str(_executable(tmp_path / "clang"))

    def interrupted() -> Tool:
        raise CompileInterrupted("stopped")

    with pytest.raises(CompileInterrupted):
        remembered("c", path, interrupted)
    assert not (cache_dir / "probes").exists()


@pytest.mark.parametrize("garbage", ["", "null", "[]", '{"tool": {}}', '{"tool": {"argv": 3}}', "\0\0"])
def test_a_damaged_memory_is_asked_anew(tmp_path: Path, cache_dir: Path, garbage: str) -> None:
    path = str(_executable(tmp_path / "clang"))
    counting = Counting()
    remembered("c", path, counting)
    (file,) = (cache_dir / "probes").iterdir()
    file.write_text(garbage)
    assert isinstance(remembered("c", path, counting), Tool)
    assert counting.asked == 2


def test_executables_are_found_in_order_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _executable(tmp_path / "a" / "clang")
    _executable(tmp_path / "b" / "clang-15")
    (tmp_path / "b" / "clang").symlink_to(first)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "clang-15").write_text("not executable")
    monkeypatch.setenv("PATH", f"{tmp_path / 'a'}::{tmp_path / 'b'}:{tmp_path / 'c'}:/no/such")
    assert executables(["clang", "clang-15", "none"]) == [str(first), str(tmp_path / "b" / "clang-15")]
