"""What the library learns of Python's openings, and how Python takes over the files that it opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import wasilab
from tests.hostile.guests import ALL, CREAT, OUT, Guest, Text
from wasilab.capabilities.protocols import OpenHow
from wasilab.engine.native import binding, openings, slots
from wasilab.module.module import from_wat
from wasilab.wasi.fdtable import Descriptor

pytestmark = pytest.mark.skipif(binding.library() is None, reason=binding.why_not() or "the library is there")


def _folder(path: Path, *names: str) -> Guest:
    for name in names:
        (path / name).write_text(name)
    return Guest(grants=wasilab.Grants(dirs={"/d": wasilab.HostDir(str(path), "rw")}))


def test_a_way_of_creating_files_is_learned_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learned: list[OpenHow] = []
    flags = openings.open_flags
    monkeypatch.setattr(openings, "open_flags", lambda how: (learned.append(how), flags(how))[1])
    guest = _folder(tmp_path)
    for _ in range(3):  # Python creates each, because the library opens only what is there
        guest.open("new", oflags=CREAT, rights=ALL).call("fd_close", 4).call("path_unlink_file", 3, Text("new"))
    assert set(guest.run().errnos()) == {"SUCCESS"}
    assert len(learned) == 1


@pytest.mark.parametrize("traced", [True, False])
def test_nothing_is_learned_of_an_override(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, traced: bool) -> None:
    """It may open something else than the guest asked for, or nothing."""
    learned: list[object] = []
    monkeypatch.setattr(openings.Recipes, "learn", lambda *given: learned.append(given))
    guest = _folder(tmp_path, "a").open("a", rights=ALL).call("fd_close", 4).open("a", rights=ALL)

    given: list[int] = []

    def opening(original: Callable[..., int], directory: Descriptor, *arguments: int) -> int:
        given.append(77 if given else original(directory, *arguments))
        return given[-1]

    module, grants = from_wat(guest.wat()), guest.grants
    overridden = grants.with_(overrides={"path_open": opening})
    assert wasilab.run(module, grants=overridden, trace=traced).outcome.ok
    assert (given, learned) == ([4, 77], [])
    assert wasilab.run(module, grants=grants, trace=traced).outcome.ok
    assert len(learned) == 2, "without the override"


def test_the_slot_of_a_file_that_the_library_opened_is_not_filled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled: list[int] = []
    fill: Callable[..., None] = slots.SlotTable._fill

    def counting(table: slots.SlotTable, descriptor: Descriptor, *, again: bool) -> None:
        filled.append(descriptor.fd)
        fill(table, descriptor, again=again)

    monkeypatch.setattr(slots.SlotTable, "_fill", counting)
    guest = _folder(tmp_path, "a", "b")
    guest.open("a", rights=ALL).call("fd_close", 4)  # learned
    guest.open("a", rights=ALL).open("b", rights=ALL)  # by the library, as 4 and 5
    guest.call("path_create_directory", 3, Text("made"))  # Python takes both over
    guest.call("fd_tell", 4, OUT).call("fd_renumber", 5, 4).call("fd_tell", 4, OUT).call("fd_close", 4)
    run = guest.run()
    assert set(run.errnos()) == {"SUCCESS"}
    assert run.run.outcome.native_calls == 3, "the openings of 4 and 5, and the first fd_tell"
    assert not {4, 5} & set(filled)
