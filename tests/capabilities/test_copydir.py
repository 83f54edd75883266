"""HostDir(mode="copy"): the host does not change until the changes are applied, and then exactly they are made."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wasilab.capabilities.host import features, hostdir
from wasilab.capabilities.host.copies.copydir import CopyDir
from wasilab.capabilities.host.copies.plainfolder import PlainFolder
from wasilab.capabilities.host.folder import BadFolder, HostFolder
from wasilab.capabilities.host.hostdir import HostDir
from wasilab.capabilities.host.hostfile import HostFile
from wasilab.capabilities.memory.changes import ApplyError, Changes
from wasilab.capabilities.protocols import OpenHow
from wasilab.capabilities.refusal import Refused


def write(place: Any, path: str, data: bytes, how: OpenHow | None = None) -> None:
    file = place.open(path, how or OpenHow(write=True, create=True, truncate=True))
    file.write([memoryview(data)])
    file.close()


def contents(root: Path) -> dict[str, object]:
    """Everything beneath `root`, without following links."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = os.readlink(path)
        else:
            found[name] = "directory" if path.is_dir() else path.read_bytes()
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "text").write_text("one\ntwo\nthree\n")
    (tmp_path / "data").write_bytes(b"\0\1\2")
    (tmp_path / "sub" / "inner").mkdir(parents=True)
    (tmp_path / "sub" / "f").write_text("f")
    (tmp_path / "sub" / "inner" / "g").write_text("g")
    os.symlink("sub/f", tmp_path / "link")
    return tmp_path


@pytest.fixture(params=["descriptors", "paths"], autouse=True)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[HostFolder] | type[PlainFolder]:
    """How the folder is read and written: by descriptors of directories, or by paths as on Windows."""
    monkeypatch.setattr(hostdir, "HAS_DIR_FD", request.param == "descriptors")
    return HostFolder if request.param == "descriptors" else PlainFolder


Kind = type[HostFolder] | type[PlainFolder]


def copy(root: Path) -> CopyDir:
    made = HostDir(root, "copy").fresh()
    assert isinstance(made, CopyDir)
    return made


def test_the_copy_has_everything_with_its_times_and_hard_links(root: Path) -> None:
    os.link(root / "text", root / "second")
    os.utime(root / "text", ns=(1000, 2000))
    os.utime(root / "sub", ns=(3000, 4000))
    place = copy(root)
    assert place.writable
    assert place.readlink("link") == "sub/f"
    text, second = place.stat_path("text", True), place.stat_path("second", True)
    assert (text.ino, text.nlink, text.atim, text.mtim) == (second.ino, 2, 1000, 2000)
    assert place.stat_path("sub", True)[5:7] == (3000, 4000)
    assert sorted(entry.name for entry in place.list()) == ["data", "link", "second", "sub", "text"]
    assert not place.changes()
    assert str(place.changes()) == "nothing changed"


def test_files_that_cannot_be_copied_are_reported(root: Path) -> None:
    os.mkfifo(root / "sub" / "fifo")
    Path(os.fsdecode(os.fsencode(root) + b"/\xff")).write_text("")
    place = copy(root)
    assert place.skipped == {"sub/fifo": "it is a FIFO, device or socket", "\udcff": "its name is not UTF-8"}
    assert not place.changes()


def test_a_folder_beyond_the_bounds_is_not_copied(root: Path) -> None:
    with pytest.raises(BadFolder, match=r"cannot copy .*limit of 10; grant a smaller folder, or this one as ro"):
        HostDir(root, "copy", max_bytes=10).fresh()
    with pytest.raises(BadFolder, match="limit of 2 names"):
        HostDir(root, "copy", max_names=2).fresh()


def test_a_link_out_of_the_folder_is_copied_as_a_link_and_leads_nowhere(root: Path) -> None:
    os.symlink("/etc/passwd", root / "absolute")
    place = copy(root)
    with pytest.raises(Refused):
        place.open("absolute", OpenHow())
    with pytest.raises(Refused):
        place.readlink("absolute")
    assert not place.changes()


def change_everything(place: CopyDir) -> None:
    write(place, "text", b"one\nTWO\nthree\n")
    write(place, "data", b"\0\1\3")
    place.rename("sub", place, "moved")
    write(place, "moved/inner/g", b"G")
    place.unlink("moved/f")
    place.mkdir("new")
    write(place, "new/file", b"new")
    place.symlink("file", "new/link")
    place.unlink("link")


def test_changes_say_what_was_created_modified_deleted_and_renamed(root: Path) -> None:
    before = contents(root)
    place = copy(root)
    change_everything(place)
    changes = place.changes()
    assert changes
    assert changes.created == ("new", "new/file", "new/link")
    assert [change.path for change in changes.modified] == ["data", "moved/inner/g", "text"]
    assert changes.deleted == ("link", "sub/f")
    assert changes.renamed == (("sub", "moved"),)
    assert changes.modified[2].diff == "--- a/text\n+++ b/text\n@@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three\n"
    assert changes.modified[0].diff == "(data: binary, 3 -> 3 bytes)\n"
    assert "renamed  sub -> moved" in str(changes)
    assert contents(root) == before


def test_applying_makes_the_host_like_the_copy_and_starts_a_new_baseline(root: Path) -> None:
    inode = (root / "sub").stat().st_ino
    os.chmod(root / "text", 0o750)
    place = copy(root)
    change_everything(place)
    place.changes().apply()
    assert contents(root) == {
        "data": b"\0\1\3",
        "moved": "directory",
        "moved/inner": "directory",
        "moved/inner/g": b"G",
        "new": "directory",
        "new/file": b"new",
        "new/link": "file",
        "text": b"one\nTWO\nthree\n",
    }
    assert (root / "moved").stat().st_ino == inode
    assert (root / "text").stat().st_mode & 0o777 == 0o750
    assert not place.changes()
    write(place, "text", b"again")
    place.changes().apply()
    assert (root / "text").read_bytes() == b"again"


def test_a_file_saved_by_renaming_over_it_is_modified(root: Path) -> None:
    place = copy(root)
    write(place, "text~", b"one\ntwo\n3\n")
    place.rename("text~", place, "text")
    write(place, "data~", b"\0\1\2")
    place.rename("data~", place, "data")
    changes = place.changes()
    assert [change.path for change in changes.modified] == ["text"]
    assert (changes.created, changes.deleted, changes.renamed) == ((), (), ())
    changes.apply()
    assert (root / "text").read_bytes() == b"one\ntwo\n3\n"


def test_two_files_that_change_places_are_renamed_on_the_host_as_well(root: Path) -> None:
    place = copy(root)
    for old, new in (("text", "aside"), ("data", "text"), ("aside", "data")):
        place.rename(old, place, new)
    changes = place.changes()
    assert sorted(changes.renamed) == [("data", "text"), ("text", "data")]
    changes.apply()
    assert (root / "data").read_text() == "one\ntwo\nthree\n"
    assert (root / "text").read_bytes() == b"\0\1\2"
    assert not place.changes()


@pytest.mark.parametrize("meddle", ["write", "remove", "occupy", "fill", "swap"])
def test_nothing_is_applied_to_a_folder_that_has_changed_meanwhile(root: Path, meddle: str) -> None:
    place = copy(root)
    write(place, "text", b"mine")
    write(place, "new", b"mine")
    for path in ("sub/inner/g", "sub/f"):
        place.unlink(path)
    for path in ("sub/inner", "sub"):
        place.rmdir(path)
    if meddle == "write":
        (root / "text").write_text("theirs")
    elif meddle == "remove":
        (root / "sub" / "f").unlink()
    elif meddle == "occupy":
        (root / "new").write_text("theirs")
    elif meddle == "fill":
        (root / "sub" / "theirs").write_text("theirs")
    else:
        (root / "text").unlink()
        os.symlink("data", root / "text")
    before = contents(root)
    with pytest.raises(ApplyError, match="has changed since it was copied"):
        place.changes().apply()
    assert contents(root) == before


@pytest.mark.parametrize("put", ["link", "folder", "nothing"])
def test_nothing_is_written_where_another_folder_has_taken_the_place_of_the_copied_one(
    tmp_path: Path, put: str
) -> None:
    """A guest that may write to the folder above renames it away and puts a link to elsewhere in its place."""
    work, victim = tmp_path / "work", tmp_path / "victim"
    for folder in (work / "sub", victim):
        folder.mkdir(parents=True)
        (folder / "text").write_text("as it was")
    place = copy(work / "sub")
    write(place, "text", b"changed")
    write(place, "new", b"new")
    (work / "sub").rename(work / "away")
    if put == "link":
        os.symlink("../victim", work / "sub")
    elif put == "folder":
        shutil.copytree(victim, work / "sub")
    before = contents(tmp_path)
    with pytest.raises(ApplyError, match=r"sub' is not the one that was copied any more: .* nothing was applied"):
        place.changes().apply()
    assert contents(tmp_path) == before


def test_a_file_that_has_grown_enormous_is_refused_without_being_read(root: Path) -> None:
    place = copy(root)
    write(place, "text", b"changed")
    place.unlink("data")
    for name in ("text", "data"):
        os.truncate(root / name, 1 << 40)
    with pytest.raises(ApplyError, match=r"has changed since it was copied \(data, text\)"):
        place.changes().apply()


@pytest.mark.parametrize("step", range(1, 11))
def test_when_a_step_fails_those_before_it_are_undone(
    root: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind, step: int
) -> None:
    place = copy(root)
    change_everything(place)
    before = contents(root)
    changes = place.changes()
    left = [step]

    def failing(method: Callable[..., Any]) -> Callable[..., Any]:
        def either(*args: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return method(*args)

        return either

    with monkeypatch.context() as patch:
        for name in ("move", "mkdir", "symlink"):
            patch.setattr(kind, name, failing(getattr(kind, name)))
        patch.setattr(HostFile, "write", failing(HostFile.write))
        with pytest.raises(ApplyError, match="No space left on device; all changes were undone"):
            changes.apply()
    assert contents(root) == before
    assert str(place.changes()) == str(changes), "they can be applied later"
    place.changes().apply()
    assert contents(root) == contents_of_copy(place)


def test_steps_that_cannot_be_undone_are_reported(root: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind) -> None:
    place = copy(root)
    place.rename("text", place, "moved")
    place.mkdir("new")
    moves = [0]

    def once(self: Any, path: str, new_path: str) -> None:
        moves[0] += 1
        if moves[0] > 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        move(self, path, new_path)

    move: Any = kind.move
    monkeypatch.setattr(kind, "move", once)
    with pytest.raises(ApplyError) as caught:
        place.changes().apply()
    parked = next(path.name for path in root.iterdir() if path.name.startswith(".wasilab-"))
    assert (root / parked).read_text() == "one\ntwo\nthree\n"
    said = f"the changes of text could not be undone (the old files may be at {parked})"
    assert str(caught.value).endswith(said)


def test_what_is_deleted_on_another_file_system_is_removed_all_the_same(
    root: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    place = copy(root)
    place.unlink("text")
    place.unlink("sub/f")

    def across(self: Any, path: str, new_path: str) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(kind, "move", across)
    place.changes().apply()
    assert contents(root) == contents_of_copy(place)


@pytest.mark.parametrize("system", ["renameat2", "look first"])
def test_a_move_replaces_nothing(root: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind, system: str) -> None:
    if system == "look first":
        monkeypatch.setattr(features, "RENAME", None)
    folder: Any = HostDir(root, "rw").fresh() if kind is HostFolder else PlainFolder(str(root), "it", writable=True)
    for taken in ("data", "sub", "link"):
        with pytest.raises(FileExistsError):
            folder.move("text", taken)
    folder.move("text", "sub/text")
    assert (root / "sub" / "text").read_text() == "one\ntwo\nthree\n"
    with pytest.raises(FileNotFoundError):
        folder.move("text", "other")
    with pytest.raises(Refused):
        folder.move("data", "../outside")


@pytest.mark.parametrize("put", ["link", "link to the same"])
def test_a_directory_that_became_a_link_is_not_written_through(tmp_path: Path, put: str) -> None:
    root, victim = tmp_path / "root", tmp_path / "victim"
    for folder in (root / "sub", victim):
        folder.mkdir(parents=True)
        (folder / "text").write_text("as it was")
    place = copy(root)
    write(place, "sub/text", b"changed")
    (root / "sub").rename(tmp_path / "away")
    os.symlink("../victim" if put == "link" else "../away", root / "sub")
    with pytest.raises(ApplyError, match=r"(nothing was applied|applied; run again)"):
        place.changes().apply()
    assert (victim / "text").read_text() == (tmp_path / "away" / "text").read_text() == "as it was"


def test_changes_of_no_folder_cannot_be_applied() -> None:
    with pytest.raises(ApplyError):
        Changes(created=("a",)).apply()


def test_hostile_names_are_escaped_where_changes_are_shown(root: Path) -> None:
    place = copy(root)
    write(place, "\x1b[31m\n<b>", b"")
    place.rename("text", place, "a\rb")
    write(place, "a\rb", b"x")
    shown = str(place.changes())
    assert "\x1b" not in shown
    assert "\r" not in shown
    assert "created  \\x1b[31m\\n<b>" in shown


def test_control_characters_in_a_file_are_escaped_where_its_difference_is_shown(root: Path) -> None:
    place = copy(root)
    write(place, "text", b"one\n\x1b[2J\xe2\x80\xae\nthree\n")
    assert "\n+\\x1b[2J\\u202e\n" in str(place.changes())
    assert "+\x1b[2J" in place.changes().modified[0].diff, "the difference itself is the file's own"


def test_a_flood_of_changes_is_shown_in_part_and_a_huge_diff_not_at_all(root: Path) -> None:
    for number in range(40):
        (root / f"m{number:02}").write_text("a\n" * 500)
    place = copy(root)
    for number in range(150):
        write(place, f"n{number}", b"")
    for number in range(40):
        write(place, f"m{number:02}", b"b\n" * 500)
    write(place, "sub/f", b"x" * (1 << 21))
    write(place, "data", b"line\n" * 6000)
    write(place, "text", b"line\n" * 6000)
    changes = place.changes()
    shown = str(changes)
    assert shown.count("created ") == 30
    assert "... and 120 more" in shown
    assert "(data: 3 -> 30000 bytes, too large to show)" in shown
    assert shown.count("\nmodified ") == 30
    assert "... and 13 more" in shown
    assert shown.count("@@") == 2 * 7, "the first eight, and data is not shown line by line"
    assert re.search(r"\.\.\. 9\d\d more lines", shown)
    assert len(shown) < 20_000
    assert "too many for a line diff" in changes.modified[-1].diff
    assert "too large for a line diff" in changes.modified[-2].diff


def test_each_run_gets_a_fresh_copy(root: Path) -> None:
    granted = HostDir(root, "copy")
    first = granted.fresh()
    write(first, "text", b"changed")
    second = granted.fresh()
    assert second.read_bytes("text") == b"one\ntwo\nthree\n"
    (root / "text").write_text("later")
    assert copy(root).read_bytes("text") == b"later"


NAMES = st.sampled_from(["text", "data", "sub", "sub/f", "sub/inner", "sub/inner/g", "n", "n/m", "sub/n", "link"])
STEPS = st.one_of(
    st.tuples(st.just("write"), NAMES, st.binary(max_size=3)),
    st.tuples(st.just("rename"), NAMES, NAMES),
    st.tuples(st.just("rename"), NAMES, NAMES),
    st.tuples(st.just("unlink"), NAMES),
    st.tuples(st.just("rmdir"), NAMES),
    st.tuples(st.just("mkdir"), NAMES),
    st.tuples(st.just("symlink"), st.sampled_from(["x", "../y"]), NAMES),
)


@pytest.mark.slow
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEPS, max_size=25))
def test_applied_changes_always_leave_the_host_like_the_copy(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, ...]]
) -> None:
    root = tmp_path_factory.mktemp("root")
    for path, text in (("text", "t"), ("data", "d"), ("sub/f", "f"), ("sub/inner/g", "g")):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    place = copy(root)
    for operation, *args in steps:
        try:
            if operation == "write":
                write(place, *args)
            elif operation == "rename":
                place.rename(args[0], place, args[1])
            else:
                getattr(place, operation)(*args)
        except OSError:
            continue  # an impossible step is no step
    place.changes().apply()
    assert contents(root) == contents_of_copy(place)
    assert not place.changes()


def contents_of_copy(place: CopyDir) -> dict[str, object]:
    found: dict[str, object] = {}
    for path, what in place.files().items():
        parts = path.split("/")
        for depth in range(1, len(parts)):
            found["/".join(parts[:depth])] = "directory"
        found[path] = what if isinstance(what, (bytes, str)) else "directory"
    return found
