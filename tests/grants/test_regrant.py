"""New grants for a running guest: what was taken away is refused at once, what was added works from the next call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wasilab import Clocks, Grants, HostDir, Limits, MemDir, Random, Run, listen, run
from wasilab.capabilities.refusal import DeniedBy
from wasilab.grants.value import GrantError
from wasilab.runs.run import RunError
from wasilab.wasi.preview1.spec import SNAPSHOT1
from wasilab.wasi.types import Errno, Oflags, Rights

from ..waiting import until
from .guests import READ, SCRATCH, WRITE, Guest, fd

IDLE = Guest().again().read(fd(0))
"""Reads its empty stdin for ever: the tests make the guest's other calls in its place."""
POINTERS = f"(i32.const {SCRATCH}) (i32.const {SCRATCH + 512})"


@pytest.fixture
def detached() -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def start(guest: Guest, grants: Grants, args: tuple[str, ...] = ()) -> Run:
        started = run(guest.module(), args, grants, detach=True)
        runs.append(started)
        until(lambda: not started.running or len(started.trace))
        return started

    yield start
    for each in runs:
        each.stop()


def ends(started: Run) -> Run:
    started.wait(60)
    assert not started.running
    return started


def call(started: Run, name: str, *args: Any) -> Any:
    """The call as the guest would make it: rights first. Its value, or (errno, who refused, why)."""
    host = started._prepared.host
    params = SNAPSHOT1[name].params
    values = [host.fds.entries[a] if p.type.kind == "fd" else a for p, a in zip(params, args, strict=False)]
    values += args[len(values) :]
    try:
        for param, value in zip(params, values, strict=False):
            if int(param.right) and int(param.right) & ~value.allowed:
                host.check(value, int(param.right))
        return SNAPSHOT1[name].function(host, *values)
    except Exception as error:
        known = host.explain(error)
        if known is None:
            raise
        return known.errno, known.denied_by, known.reason


def opened(started: Run, path: bytes, *, write: bool = False, create: bool = False, at: int = 3) -> Any:
    base = int(Rights.FD_READ | (Rights.FD_WRITE if write else 0))
    return call(started, "path_open", at, 1, path, int(Oflags.CREAT) if create else 0, base, 0, 0)


def revoked(answer: Any) -> bool:
    return isinstance(answer, tuple) and answer[1] is DeniedBy.REVOKED and answer[0] is Errno.NOTCAPABLE


@pytest.mark.parametrize(
    ("grants", "less", "name"),
    [
        (Grants(), {"args": False}, "args_get"),
        (Grants(env={"A": "b"}), {"env": {}}, "environ_get"),
    ],
)
def test_argv_and_the_environment_are_taken_back(
    detached: Callable[..., Run], grants: Grants, less: dict[str, Any], name: str
) -> None:
    started = detached(Guest().again().call(name, POINTERS), grants, ("one",))
    assert started.running
    assert started.regrant(grants.with_(**less)) == {}
    ends(started)
    assert started.exit_code == int(Errno.NOTCAPABLE)
    (denied,) = started.denied
    assert (denied.call, denied.denied_by) == (name, DeniedBy.REVOKED)


def test_argv_and_variables_are_given_while_it_runs(detached: Callable[..., Run]) -> None:
    grants = Grants(args=False)
    started = detached(IDLE, grants, ("one", "two"))
    assert call(started, "args_sizes_get") == (0, 0)
    started.regrant(grants.with_(args=True, env={"A": "b"}))
    assert call(started, "args_sizes_get")[0] == 3
    assert call(started, "args_get") == [b"guest", b"one", b"two"]
    assert call(started, "environ_sizes_get") == (1, 4)
    started.regrant(grants.with_(env={"A": "b", "C": "d"}))
    answer = call(started, "environ_get")
    assert revoked(answer), "the guest has room for one variable"
    assert "changed after the guest asked for their size" in answer[2]
    assert call(started, "environ_sizes_get") == (2, 8)
    assert call(started, "environ_get") == [b"A=b", b"C=d"]
    started.regrant(grants.with_(env={"C": "d"}))
    call(started, "environ_sizes_get")
    assert call(started, "environ_get") == [b"C=d"]


def test_the_kind_of_clock_and_of_randomness_changes_with_the_next_call(detached: Callable[..., Run]) -> None:
    grants = Grants(clocks=Clocks.nothing(), random=Random.nothing())
    started = detached(IDLE, grants)
    assert call(started, "clock_time_get", 0, 0)[1] is DeniedBy.GRANT
    assert not started.live.works("clocks")
    started.regrant(grants.with_(clocks=Clocks.frozen(5), random=Random.seeded(1)))
    assert started.live.works("clocks")
    assert call(started, "clock_time_get", 0, 0) == 5
    buffer, again = bytearray(8), bytearray(8)
    call(started, "random_get", memoryview(buffer))
    Random.seeded(1).fresh().fill(memoryview(again))
    assert buffer == again
    started.regrant(grants.with_(clocks=Clocks.stepped(1000), random=Random.seeded(1)))
    assert [call(started, "clock_time_get", 1, 0) for _ in range(2)] == [0, 1000]
    started.regrant(grants.with_(random=Random.seeded(1)))
    assert revoked(call(started, "clock_time_get", 1, 0))
    started.regrant(Grants())
    assert call(started, "clock_time_get", 0, 0) > 10**18


def test_a_sleep_on_a_clock_that_is_replaced_meanwhile_is_no_bug(detached: Callable[..., Run]) -> None:
    from wasilab.wasi.types import Eventtype, Subscription

    started = detached(IDLE, Grants(clocks=Clocks.frozen(5)))
    sleep = Subscription(1, Eventtype.CLOCK, clock=1, timeout=1000)
    (event,) = call(started, "poll_oneoff", [sleep])
    assert event.errno == 0
    started.regrant(Grants(clocks=Clocks.nothing()))
    (event,) = call(started, "poll_oneoff", [sleep])
    assert event.errno == Errno.NOTCAPABLE


def test_a_folder_is_made_writable_and_read_only_again(detached: Callable[..., Run], tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    ro, rw = (Grants(dirs={"/d": HostDir(tmp_path, mode=mode)}) for mode in ("ro", "rw"))
    started = detached(IDLE, ro)
    before = opened(started, b"a.txt")
    assert opened(started, b"a.txt", write=True)[1] is DeniedBy.GRANT
    assert started.regrant(rw) == {}
    writing = opened(started, b"a.txt", write=True)
    assert call(started, "fd_write", writing, [memoryview(b"more")]) == 4
    assert call(started, "path_create_directory", 3, b"sub") is None
    assert call(started, "fd_write", before, [memoryview(b"x")])[1] is DeniedBy.RIGHT, "what was opened stays as it was"
    assert call(started, "fd_read", before, [memoryview(bytearray(4))]) == 4
    started.regrant(ro)
    assert revoked(call(started, "fd_write", writing, [memoryview(b"more")]))
    assert revoked(opened(started, b"new", create=True, write=True))
    assert (tmp_path / "a.txt").read_text() == "more"
    assert not (tmp_path / "new").exists()
    started.regrant(rw)
    assert call(started, "fd_write", writing, [memoryview(b"!")]) == 1
    started.regrant(Grants())
    assert revoked(call(started, "fd_write", writing, [memoryview(b"!")]))
    started.regrant(ro)
    assert revoked(opened(started, b"new", create=True, write=True)), "given again to look only"
    assert isinstance(opened(started, b"a.txt"), int)
    assert revoked(call(started, "fd_write", writing, [memoryview(b"!")])), "dead since the folder was taken back"
    assert (tmp_path / "a.txt").read_text() == "more!"


@pytest.mark.parametrize("rights", ["strict", "compat"])
def test_a_guest_learns_that_it_may_write(detached: Callable[..., Run], tmp_path: Path, rights: Any) -> None:
    """As wasi-libc does it: what `fd_fdstat_get` says is what it asks for."""
    ro = Grants(dirs={"/d": HostDir(tmp_path)}, rights=rights)
    started = detached(IDLE, ro)
    before = call(started, "fd_fdstat_get", 3)
    started.regrant(ro.with_dir("/d", HostDir(tmp_path, "rw")))
    after = call(started, "fd_fdstat_get", 3)
    assert after.rights_base & int(Rights.PATH_CREATE_FILE)
    assert after.rights_inheriting & int(Rights.FD_WRITE)
    assert (before == after) is (rights == "compat")


def test_a_folder_becomes_a_copy_and_another_folder(detached: Callable[..., Run], tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(name)
    rw = Grants(dirs={"/d": HostDir(tmp_path / "one", "rw")})
    started = detached(IDLE, rw)
    real = opened(started, b"a.txt", write=True)
    started.regrant(rw.with_dir("/d", HostDir(tmp_path / "one", "copy")))
    assert revoked(call(started, "fd_write", real, [memoryview(b"x")]))
    copied = opened(started, b"a.txt", write=True)
    assert call(started, "fd_write", copied, [memoryview(b"xxx")]) == 3
    assert (tmp_path / "one" / "a.txt").read_text() == "one"
    assert started.changes.modified == ["/d/a.txt"]
    started.regrant(rw.with_dir("/d", HostDir(tmp_path / "two")))
    assert revoked(call(started, "fd_write", copied, [memoryview(b"x")]))
    buffer = bytearray(3)
    call(started, "fd_read", opened(started, b"a.txt"), [memoryview(buffer)])
    assert buffer == b"two"
    assert opened(started, b"a.txt", write=True)[1] is DeniedBy.GRANT


def test_a_copy_that_is_too_large_changes_nothing(detached: Callable[..., Run], tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    grants = Grants(dirs={"/d": HostDir(tmp_path)})
    started = detached(IDLE, grants)
    small = HostDir(tmp_path, "copy", max_bytes=1)
    with pytest.raises(GrantError, match="cannot copy the folder"):
        started.regrant(Grants(dirs={"/d": small}, clocks=Clocks.nothing(), args=False))
    assert isinstance(opened(started, b"a.txt"), int)
    assert call(started, "clock_time_get", 0, 0) > 0
    assert call(started, "args_get") == [b"guest"]


def test_a_right_is_taken_back_from_what_is_open_and_given_again(detached: Callable[..., Run]) -> None:
    grants = Grants(dirs={"/d": MemDir({"a.txt": "text"})}, withheld={"/d": ["fd_readdir"]})
    started = detached(IDLE, grants)
    file = opened(started, b"a.txt")
    assert call(started, "fd_readdir", 3, memoryview(bytearray(99)), 0)[1] is DeniedBy.GRANT
    started.regrant(grants.with_(withheld={"/d": ["fd_read"]}))
    answer = call(started, "fd_read", file, [memoryview(bytearray(4))])
    assert revoked(answer)
    assert "the right fd_read, which was granted, then taken back" in answer[2]
    assert revoked(opened(started, b"a.txt"))
    assert call(started, "fd_readdir", 3, memoryview(bytearray(99)), 0) > 0
    started.regrant(grants.with_(withheld={}))
    assert call(started, "fd_read", file, [memoryview(bytearray(4))]) == 4


def test_limits_are_raised_and_lowered(detached: Callable[..., Run]) -> None:
    started = detached(IDLE, Grants(dirs={"/d": MemDir({"a": "text"})}))
    file = opened(started, b"a", write=True)

    def limited(**limits: Any) -> dict[str, str]:
        return started.regrant(started._prepared.grants.with_(limits=Limits(**limits)))

    limited(bytes_written=3)
    assert call(started, "fd_write", file, [memoryview(b"four")]) == 3
    answer = call(started, "fd_write", file, [memoryview(b"x")])
    assert answer[:2] == (Errno.NOSPC, DeniedBy.QUOTA)
    assert "the limit of 3 bytes written" in answer[2]
    limited(bytes_written=4)
    assert call(started, "fd_write", file, [memoryview(b"four")]) == 1
    limited(bytes_written=None)
    assert call(started, "fd_write", file, [memoryview(b"four")]) == 4
    limited(fds=1)
    assert opened(started, b"a")[0] is Errno.MFILE
    limited(fds=99)
    assert isinstance(opened(started, b"a"), int)
    limited(output=2)
    call(started, "fd_write", 1, [memoryview(b"abcd")])
    limited(output=3)
    call(started, "fd_write", 1, [memoryview(b"efgh")])
    assert (started.stdout, started.output_cut) == ("abe", 5)
    assert limited(memory=1 << 20, fuel=5) == {"fuel": started.fixed["fuel"], "memory": started.fixed["memory"]}
    assert started.running


def test_the_bytes_of_one_call_are_limited_while_it_runs(detached: Callable[..., Run]) -> None:
    rewind = "(local.get $fd) (i64.const 0) (i32.const 0) (i32.const 5000)"
    guest = Guest().open("a").again().call("fd_seek", rewind).read()
    started = detached(guest, Grants(dirs={"/d": MemDir({"a": "text"})}))
    until(lambda: any(c.name == "fd_read" for c in started.trace))
    started.regrant(started.grants.with_(limits=Limits(io=2)))
    at = len(started.trace)  # perhaps millions: only some of those after it are looked at
    until(lambda: any(c.name == "fd_read" for c in started.trace[at + 2 : at + 100]))
    assert {c.nbytes for c in started.trace[at + 2 : at + 100] if c.name == "fd_read"} == {2}


def test_seconds_count_from_the_start_and_end_it_when_they_are_over(detached: Callable[..., Run]) -> None:
    longer = detached(IDLE, Grants(limits=Limits(seconds=0.4)))
    longer.regrant(Grants(limits=Limits(seconds=1000)))
    shorter = detached(IDLE, Grants(limits=Limits(seconds=1000)))
    shorter.regrant(Grants(limits=Limits(seconds=0.001)))
    unbounded = detached(IDLE, Grants(limits=Limits(seconds=0.4)))
    unbounded.regrant(Grants())
    ends(shorter)
    assert "the time limit of 0.001 s is over" in shorter.outcome.message
    late = detached(IDLE, Grants(limits=Limits(seconds=0.6)))
    ends(late)
    assert (longer.running, unbounded.running) == (True, True), "the limits that were lifted would be over by now"


def test_a_waiting_read_continues_on_the_new_stdin_or_is_refused(detached: Callable[..., Run]) -> None:
    waiting = Guest().write("ready", fd(1)).read(fd(0)).read(fd(0))
    asked = Grants(stdin="ask")
    fed = detached(waiting, asked)
    fed.regrant(Grants(stdin=b"a text"))
    assert ends(fed).exit_code == 0
    reads = [c for c in fed.trace if c.name == "fd_read"]
    assert [c.nbytes for c in reads] == [6, 0]
    refused = detached(waiting, asked)
    refused.regrant(Grants(stdin=None))
    assert ends(refused).exit_code == int(Errno.NOTCAPABLE)
    assert refused.denied[0].denied_by is DeniedBy.REVOKED
    emptied = detached(waiting, asked)
    emptied.regrant(Grants(stdin=b""))
    assert ends(emptied).exit_code == 0
    later = detached(IDLE, Grants())
    later.regrant(asked)
    later.send("a line\n")
    until(lambda: len(later.trace.filter("nbytes == 7")))


def test_what_cannot_change_is_refused_with_the_reason(detached: Callable[..., Run]) -> None:
    started = detached(IDLE, Grants(stderr=False))
    more = Grants(dirs={"/new": MemDir()}, sockets=(listen("127.0.0.1:0"),), rights="compat", ask=True)
    left = started.regrant(more)
    assert set(left) == {"/new", "sockets", "rights", "ask", "stderr"}
    assert left["stderr"] == started.fixed["stderr"] == "the program was started without it"
    assert "learns the names of its folders" in left["/new"]
    assert "stdout" not in started.fixed
    assert 4 not in started._prepared.host.fds.entries
    assert started.regrant(started.grants) == {}


def test_a_socket_is_taken_back_and_given_again(detached: Callable[..., Run]) -> None:
    grants = Grants(sockets=(listen("127.0.0.1:0"),))
    started = detached(IDLE, grants)
    (name,) = [name for name in started.live if name.startswith("listen ")]
    started.regrant(Grants())
    assert not started.live.works(name)
    assert revoked(call(started, "sock_accept", 3, 0))
    started.regrant(grants)
    assert started.live.works(name)


def test_only_a_detached_run_is_regranted() -> None:
    with pytest.raises(RunError, match="detach=True"):
        run(Guest().module()).regrant(Grants())


def test_a_run_that_is_over_takes_no_harm(detached: Callable[..., Run], tmp_path: Path) -> None:
    started = ends(detached(Guest(), Grants(dirs={"/d": HostDir(tmp_path)})))
    started.regrant(Grants(dirs={"/d": HostDir(tmp_path, "rw")}, limits=Limits(seconds=1), clocks=Clocks.nothing()))
    assert started.exit_code == 0


def test_a_writing_guest_gets_its_folder_while_it_runs(detached: Callable[..., Run], tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("")
    guest = Guest().again().open("a.txt", rights=READ | WRITE).write("x").call("fd_close", "(local.get $fd)")
    rw = Grants(dirs={"/d": HostDir(tmp_path, "rw")})
    started = detached(guest, rw)
    until(lambda: (tmp_path / "a.txt").read_text())
    started.regrant(rw.with_dir("/d", HostDir(tmp_path)))
    ends(started)
    assert started.denied[0].denied_by is DeniedBy.REVOKED
