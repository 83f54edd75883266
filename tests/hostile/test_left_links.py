"""Links that a guest leaves behind: it cannot follow them out of its folder, but a person on the host can."""

from __future__ import annotations

import os

import pytest

import wasilab
from wasilab import Grants, MemDir
from wasilab.module.module import from_wat
from wasilab.wasi import left_links

from .conftest import Yard
from .guests import OUT, Guest


def remarks(run: wasilab.Run) -> list[str]:
    return [warning for warning in run.outcome.warnings if "link" in warning]


def told(path: str, text: str, folder: str = "/inside") -> str:
    return f"the program left the link {path!r} to {text!r}, which leads out of the folder granted at {folder!r}"


@pytest.mark.parametrize("mode", ["rw", "copy"])
def test_a_link_that_leads_out_is_reported_at_the_end(yard: Yard, mode: str) -> None:
    guest = yard.guest(mode=mode).call("path_symlink", "../outside/secret.txt", 3, "harmless.txt")
    guest.call("path_symlink", "file.txt", 3, "inner").call("path_symlink", "missing", 3, "dangling")
    run = guest.run().assert_answered("SUCCESS", "SUCCESS", "SUCCESS").run
    assert remarks(run) == [told("/inside/harmless.txt", "../outside/secret.txt")]


def test_a_link_is_judged_by_its_final_place(yard: Yard) -> None:
    (yard.inside / "deep").mkdir()
    guest = yard.guest()
    guest.call("path_symlink", "../file.txt", 3, "deep/fine").call("path_rename", 3, "deep/fine", 3, "bad")
    guest.call("path_create_directory", 3, "d").call("path_symlink", "../../x", 3, "d/l")
    guest.call("path_rename", 3, "d", 3, "e").call("path_link", 3, 0, "e/l", 3, "second")
    guest.call("path_symlink", "../gone", 3, "removed").call("path_unlink_file", 3, "removed")
    guest.call("path_symlink", "../good", 3, "becomes-good").call("path_rename", 3, "becomes-good", 3, "deep/good")
    run = guest.run().assert_answered(*["SUCCESS"] * 10).run
    assert remarks(run) == [
        told("/inside/bad", "../file.txt"), told("/inside/e/l", "../../x"), told("/inside/second", "../../x"),
    ]  # fmt: skip


def test_a_link_through_another_one_is_seen_through(yard: Yard) -> None:
    guest = yard.guest().call("path_symlink", ".", 3, "here").call("path_symlink", "here/../../x", 3, "out")
    assert remarks(guest.run().run) == [told("/inside/out", "here/../../x")]


def test_links_in_memory_are_not_reported(yard: Yard) -> None:
    guest = Guest(grants=Grants(dirs={"/m": MemDir()})).call("path_symlink", "../../x", 3, "l")
    assert remarks(guest.run().assert_answered("SUCCESS").run) == []


def test_links_that_existed_before_are_not_reported(yard: Yard) -> None:
    os.symlink("../../x", yard.inside / "theirs")
    guest = yard.guest().call("path_filestat_get", 3, 0, "theirs", OUT)
    assert remarks(guest.run().assert_answered("SUCCESS").run) == []


def test_a_flood_of_links_is_reported_in_few_lines(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(left_links, "MOST", 30)
    guest = yard.guest(pages=8)
    for number in range(40):
        guest.call("path_symlink", "../../x", 3, f"l{number}")
    said = remarks(guest.run().run)
    assert len(said) == 21
    assert said[-1] == "and 11 more links that lead out"


def test_names_of_links_are_escaped(yard: Yard) -> None:
    run = yard.guest().call("path_symlink", "../\x1b[2J", 3, "\x1b[31m\n").run().run
    assert remarks(run) == [told("/inside/\x1b[31m\n", "../\x1b[2J")]
    assert all(warning.isprintable() for warning in run.outcome.warnings)


def test_links_are_reported_for_a_detached_run_too(yard: Yard) -> None:
    """A run that can be regranted holds its folders through a membrane."""
    guest = yard.guest().call("path_symlink", "../../x", 3, "l")
    started = wasilab.run(from_wat(guest.wat()), grants=guest.grants, detach=True)
    started.wait(60)
    assert remarks(started) == [told("/inside/l", "../../x")]


def test_a_link_behind_a_folder_that_was_swapped_is_not_judged(yard: Yard) -> None:
    """Another program swaps the folder of the link for a link to the outside before the run ends."""
    links = left_links.LeftLinks()
    links.made("/inside/d/l")
    os.symlink("../outside", yard.inside / "d")
    folder = wasilab.HostDir(str(yard.inside), "rw")
    try:
        assert links.remarks({"/inside": folder}) == []
    finally:
        folder.close()


def test_a_link_is_not_hidden_by_renaming_it_to_another_name_of_itself(yard: Yard) -> None:
    """Such a rename does nothing: both names stay, and then only the first."""
    guest = yard.guest().call("path_symlink", "../../x", 3, "l").call("path_link", 3, 0, "l", 3, "m")
    guest.call("path_rename", 3, "l", 3, "m").call("path_unlink_file", 3, "m")
    assert remarks(guest.run().assert_answered(*["SUCCESS"] * 4).run) == [told("/inside/l", "../../x")]
