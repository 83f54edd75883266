"""The numbers that the library shares with the trace and the trampolines, and its handshake."""

from __future__ import annotations

from pathlib import Path

import pytest

from wasilab.engine.calls import memory
from wasilab.engine.native import binding, build, layouts
from wasilab.trace.record import layout, payload
from wasilab.wasi.types import Rights


def test_numbers_are_those_of_the_trace_and_the_trampolines() -> None:
    assert layouts.CHUNK * layout.RECORD_BYTES == layout.CHUNK_BYTES
    assert layouts.PATH == memory.MAX_PATH == layout.PATH_BYTES
    assert layouts.IOVECS == memory.MAX_IOVECS
    assert layouts.KEPT_IOVECS == payload.MAX_KEPT_VECTORS
    assert layouts.KEPT_SUBSCRIPTIONS == payload.MAX_KEPT_SUBSCRIPTIONS
    assert layouts.KEPT_EVENTS == payload.MAX_KEPT_EVENTS
    assert int(layout.Flag.TRUNCATED) == layouts.TRUNCATED
    assert (int(Rights.FD_SEEK), int(Rights.PATH_OPEN)) == (layouts.RIGHT_SEEK, layouts.RIGHT_PATH_OPEN)


def _library(folder: Path, monkeypatch: pytest.MonkeyPatch, **changed: int) -> Path:
    """A library made from the layouts with some numbers changed."""
    header = layouts.header()
    for name, value in changed.items():
        monkeypatch.setattr(layouts, name, value)
    other = layouts.header()
    monkeypatch.undo()
    assert (other == header) == (not changed)
    monkeypatch.setattr(build, "write_header", lambda where: (where / "turbo.h").write_text(other))
    output = folder / "libturbo.so"
    build.compile_library(output)
    return output


@pytest.mark.skipif(not build.compiles_here(), reason="no C compiler")
@pytest.mark.parametrize("changed", [{"VERSION": layouts.VERSION + 1}, {"KEPT_EVENTS": 7}])
def test_a_library_of_other_layouts_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, int]
) -> None:
    assert binding.Library(_library(tmp_path, monkeypatch)).path.exists()
    (tmp_path / "other").mkdir()
    with pytest.raises(OSError, match="built for another version"):
        binding.Library(_library(tmp_path / "other", monkeypatch, **changed))


def test_a_file_that_is_no_library_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "libturbo.so"
    path.write_bytes(b"\x7fELF" + bytes(100))
    with pytest.raises(OSError, match=r"libturbo\.so"):
        binding.Library(path)
