"""What a trace of a component says: lives, paths, errors by name; and the advice that rests on it."""

from __future__ import annotations

from pathlib import Path

import pytest

import wasilab
from wasilab.capabilities.host.hostdir import HostDir

from ..bench.components import GUEST


@pytest.fixture
def used(tmp_path: Path) -> wasilab.Instance:
    (tmp_path / "data").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "data" / "file").write_bytes(b"x" * 8192)
    dirs = {"/": HostDir(tmp_path / "data", mode="rw"), "/other": HostDir(tmp_path / "other")}
    instance = wasilab.instantiate(wasilab.compile(GUEST, "wat"), wasilab.Grants(dirs=dirs))
    instance.exports.start()
    instance.exports.read()
    return instance


def test_lives_have_types_and_paths(used: wasilab.Instance) -> None:
    lives = list(used.trace.lives.values())
    assert [(life.path, life.type, life.preopen) for life in lives[:3]] == [
        (b"/", "descriptor", b"/"),
        (b"/other", "descriptor", b"/other"),
        (b"/file", "descriptor", None),
    ]
    used.close()


def test_calls_are_shown_with_names_and_values(used: wasilab.Instance) -> None:
    lines = used.trace[:4].text().splitlines()
    assert "get-directories() = 0" in lines[0]
    assert '[method]descriptor.open-at(self=1</>, path-flags=symlink-follow, path="file", open-flags=none' in lines[1]
    assert "flags=read|write) = 0 {result=3</file>}" in lines[1]
    used.close()


def test_a_saved_trace_says_the_same(used: wasilab.Instance, tmp_path: Path) -> None:
    trace = used.trace
    for name in ("t.wtrace", "t.jsonl"):
        trace.save(tmp_path / name)
        assert wasilab.Trace.load(tmp_path / name)[:50].text() == trace[:50].text()
    used.close()


def test_advice_keeps_what_was_used(used: wasilab.Instance) -> None:
    advice = wasilab.advise(used.trace, base=used.grants)
    assert list(advice.grants.dirs) == ["/"]
    assert advice.grants.dirs["/"].mode == "rw"  # type: ignore[attr-defined]  # it was opened to be written
    assert advice.grants.clocks.spec == "real"
    assert advice.grants.random.spec == "none"
    assert not advice.grants.args
    used.close()


def test_advice_is_enough(used: wasilab.Instance) -> None:
    advice = wasilab.advise(used.trace, base=used.grants, limits=True)
    used.close()
    with wasilab.instantiate(wasilab.compile(GUEST, "wat"), advice.grants) as again:
        again.exports.start()
        again.exports.read()
        assert not again.trace.denied
