"""Grants revoked while the guest runs: at once, with all that was opened by them; and granted again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wasilab import Clocks, Grants, HostDir, MemDir, Random, Run, run
from wasilab.capabilities.refusal import DeniedBy
from wasilab.grants.value import GrantError
from wasilab.runs.run import RunError
from wasilab.wasi.types import Errno

from .guests import READ, SCRATCH, WRITE, Guest, fd

NOTCAPABLE = int(Errno.NOTCAPABLE)
SEEK_0 = "(local.get $fd) (i64.const 0) (i32.const 0) (i32.const 5000)"


@pytest.fixture
def detached() -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def start(guest: Guest, grants: Grants) -> Run:
        started = run(guest.module(), (), grants, detach=True)
        runs.append(started)
        deadline = time.monotonic() + 30
        while started.running and not len(started.trace) and time.monotonic() < deadline:
            started.wait(0.01)
        return started

    yield start
    for each in runs:
        each.stop()


def ends(started: Run) -> Run:
    started.wait(60)
    assert not started.running
    return started


def test_a_file_that_was_opened_dies_with_its_directory(detached: Callable[..., Run]) -> None:
    guest = Guest().open("a.txt").again().call("fd_seek", SEEK_0).read()
    started = detached(guest, Grants(dirs={"/data": MemDir({"a.txt": "text"})}))
    assert started.running
    assert started.live.works("/data")
    started.live.revoke("/data")
    ends(started)
    assert started.exit_code == NOTCAPABLE
    last = [call for call in started.trace if call.denied_by]
    assert {call.denied_by for call in last} == {DeniedBy.REVOKED}
    assert "'/data' was granted, then taken back" in last[0].reason


def test_opening_again_is_refused_and_restoring_lets_it(detached: Callable[..., Run], tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    guest = Guest().again().open("a.txt").call("fd_close", "(local.get $fd)")
    grants = Grants(dirs={"/data": HostDir(str(tmp_path))})
    started = detached(guest, grants)
    started.live.restore("/data")
    assert started.running
    started.live.revoke("/data")
    assert ends(started).exit_code == NOTCAPABLE
    assert run(Guest().open("a.txt").module(), (), grants).exit_code == 0, "the grants themselves are untouched"


def test_what_was_opened_before_stays_dead_after_restoring() -> None:
    from wasilab.capabilities.protocols import Directory, OpenHow
    from wasilab.capabilities.refusal import Refused
    from wasilab.grants.live.capabilities import RunCapabilities
    from wasilab.grants.live.switches import LiveGrants

    live = LiveGrants(RunCapabilities(preopens={"/d": MemDir({"sub": {"a": "text"}})}))
    folder = live.held.preopens["/d"]
    inner = folder.open("sub", OpenHow(directory=True))
    assert isinstance(inner, Directory)
    file = inner.open("a", OpenHow())
    live.revoke("/d")
    for use in (lambda: folder.list(), lambda: inner.list(), lambda: file.stat()):
        with pytest.raises(Refused) as refused:
            use()
        assert refused.value.by is DeniedBy.REVOKED
    live.restore("/d")
    assert [entry.name for entry in folder.list()] == ["sub"]
    assert folder.open("sub/a", OpenHow()).stat().size == 4
    for use in (lambda: inner.list(), lambda: file.stat()):
        with pytest.raises(Refused):
            use()
    file.close()


@pytest.mark.parametrize(
    ("name", "guest"),
    [
        ("stdout", Guest().again().write(".", fd(1))),
        ("stdin", Guest().again().read(fd(0))),
        ("random", Guest().again().call("random_get", f"(i32.const {SCRATCH}) (i32.const 8)")),
        ("clocks", Guest().again().call("clock_time_get", f"(i32.const 1) (i64.const 0) (i32.const {SCRATCH})")),
    ],
)
def test_streams_clocks_and_randomness_can_be_revoked(
    detached: Callable[..., Run], name: str, guest: Guest
) -> None:
    started = detached(guest, Grants())
    assert started.running
    started.live.revoke(name)
    ends(started)
    assert started.exit_code == NOTCAPABLE
    assert {call.denied_by for call in started.trace[-2:] if call.denied_by} == {DeniedBy.REVOKED}


def test_writing_alone_is_taken_back_and_given_again(detached: Callable[..., Run], tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    guest = Guest().open("a.txt", rights=READ | WRITE).again().call("fd_seek", SEEK_0).read().write("x")
    started = detached(guest, Grants(dirs={"/data": HostDir(str(tmp_path), mode="rw")}))
    started.live.read_only("/data")
    started.live.read_only("/data")
    ends(started)
    assert started.live.works("/data")
    assert started.live.is_read_only("/data")
    (last,) = [call for call in started.trace if call.denied_by]
    assert (last.name, last.denied_by) == ("fd_write", DeniedBy.REVOKED)
    assert "changing '/data' was granted, then taken back" in last.reason
    with pytest.raises(GrantError, match="no directory 'stdout'"):
        started.live.read_only("stdout")


def test_a_folder_made_read_only_is_looked_at_and_opened_for_reading() -> None:
    from wasilab.capabilities.protocols import Directory, OpenHow
    from wasilab.capabilities.refusal import Refused
    from wasilab.grants.live.capabilities import RunCapabilities
    from wasilab.grants.live.switches import LiveGrants

    live = LiveGrants(RunCapabilities(preopens={"/d": MemDir({"sub": {"a": "text"}}), "/e": MemDir({"b": ""})}))
    folder, other = live.held.preopens["/d"], live.held.preopens["/e"]
    inner = folder.open("sub", OpenHow(directory=True))
    assert isinstance(inner, Directory)
    file = inner.open("a", OpenHow(write=True, read=True))
    assert not isinstance(file, Directory)
    live.read_only("/d")
    assert file.stat().size == 4
    assert inner.open("a", OpenHow()).stat().size == 4
    changes: list[Callable[[], object]] = [
        lambda: file.write([memoryview(b"x")]), lambda: inner.unlink("a"), lambda: folder.mkdir("new"),
        lambda: inner.open("a", OpenHow(write=True)), lambda: other.rename("b", folder, "b"),
        lambda: inner.rename("a", other, "a"), lambda: file.set_size(0),
    ]  # fmt: skip
    for change in changes:
        with pytest.raises(Refused) as refused:
            change()
        assert refused.value.by is DeniedBy.REVOKED
    other.mkdir("elsewhere")
    live.read_only("/d", False)
    assert file.write([memoryview(b"x")]) == 1
    live.revoke("/d")
    live.restore("/d")
    with pytest.raises(Refused):
        file.stat()


def test_one_grant_is_revoked_and_the_others_work_on(detached: Callable[..., Run]) -> None:
    guest = Guest().open("a", fd=4).again().call("fd_seek", SEEK_0).read()
    started = detached(guest, Grants(dirs={"/one": MemDir(), "/two": MemDir({"a": "text"})}))
    started.live.revoke("/one")
    before = len(started.trace)
    deadline = time.monotonic() + 20
    while len(started.trace) <= before and time.monotonic() < deadline:
        started.wait(0.01)
    assert started.running
    assert len(started.trace) > before


def test_listeners_are_called_once_per_change() -> None:
    from wasilab.grants.live.capabilities import RunCapabilities
    from wasilab.grants.live.switches import LiveGrants

    live = LiveGrants(RunCapabilities(preopens={"/d": MemDir()}, clocks=Clocks.real(), random=Random.real()))
    assert list(live) == ["/d", "clocks", "random"]
    heard: list[tuple[str, bool]] = []
    live.listen(lambda name, works: heard.append((name, works)))
    threads = [threading.Thread(target=live.revoke, args=("/d",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    live.restore("/d")
    live.restore("/d")
    assert heard == [("/d", False), ("/d", True)]


def test_an_unknown_name_is_answered_with_the_nearest(detached: Callable[..., Run]) -> None:
    started = detached(Guest().again().read(fd(0)), Grants())
    with pytest.raises(GrantError, match="did you mean 'stdout'"):
        started.live.revoke("stdoutt")


def test_a_run_that_blocks_has_no_switches() -> None:
    with pytest.raises(RunError, match="detach=True"):
        _ = run(Guest().module()).live
