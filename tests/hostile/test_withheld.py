"""Rights that a grant withholds, against guests that try to get them: no descriptor ever has one, not even when another
thread takes rights back at the worst moment."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wasilab.capabilities.memory.memdir import MemDir
from wasilab.capabilities.protocols import OpenHow
from wasilab.wasi import rights as r
from wasilab.wasi.fdtable import Descriptor
from wasilab.wasi.host import Host
from wasilab.wasi.preview1.spec import SNAPSHOT1
from wasilab.wasi.types import Errno, Oflags, Rights, WasiError

ALL = 2**64 - 1
RIGHTS = list(r.of_directories().values())
PATHS = [b"a.txt", b"sub", b"sub/b.txt", b"new", b".", b"sub/..", b"link"]


def host(withheld: int, mode: str = "strict") -> Host:
    directory = MemDir({"a.txt": "text", "sub": {"b.txt": "more"}})
    directory.symlink("sub/b.txt", "link")
    return Host(preopens={"/d": directory, "/other": MemDir({"c": ""})}, rights=mode, withheld={"/d": withheld})


def attempt(made: Host, name: str, *args: Any) -> Any:
    """The call as a trampoline makes it: rights first. None where it failed."""
    try:
        for param, value in zip(SNAPSHOT1[name].params, args, strict=False):
            if isinstance(value, Descriptor) and int(param.right) & ~value.allowed:
                made.check(value, int(param.right))
        return SNAPSHOT1[name].function(made, *args)
    except (WasiError, OSError, ValueError) as error:
        if made.explain(error) is None:
            raise
        return None


opens = st.tuples(
    st.just("open"), st.integers(0, 9), st.sampled_from(PATHS), st.integers(0, 15),
    st.sampled_from([ALL, 0, int(Rights.FD_READ), int(Rights.FD_WRITE), int(Rights.FD_READDIR)]),
)  # fmt: skip
limits = st.tuples(st.just("limit"), st.integers(0, 9), st.sampled_from([ALL, 0, *RIGHTS]), st.sampled_from([ALL, 0]))
moves = st.tuples(st.just("move"), st.integers(0, 9), st.integers(0, 9))
regrants = st.tuples(st.just("regrant"), st.sets(st.sampled_from(RIGHTS)), st.booleans())


@pytest.mark.slow
@given(
    st.sampled_from(["strict", "compat"]),
    st.sets(st.sampled_from(RIGHTS)),
    st.lists(st.one_of(opens, limits, moves, regrants), max_size=12),
)
@settings(max_examples=300, deadline=None)
def test_no_descriptor_has_a_withheld_right(mode: str, names: set[int], steps: list[tuple[Any, ...]]) -> None:
    made = host(sum(names), mode)
    withheld = sum(names)
    for step in steps:
        fds = [made.fds.entries[fd] for fd in sorted(made.fds.entries)]
        if step[0] == "open":
            _, at, path, oflags, base = step
            attempt(made, "path_open", fds[at % len(fds)], 1, path, oflags, base, ALL, 0)
        elif step[0] == "limit":
            _, at, base, inheriting = step
            d = fds[at % len(fds)]
            attempt(made, "fd_fdstat_set_rights", d, base & d.rights, inheriting & d.inheriting)
        elif step[0] == "move":
            _, one, two = step
            attempt(made, "fd_renumber", fds[one % len(fds)], fds[two % len(fds)])
        else:
            _, names, writable = step
            withheld = sum(names)
            made.regrant("/d", withheld, writable=writable)
        lacking = made._withheld["/d"]
        for descriptor in made.fds.entries.values():
            if descriptor.withheld is lacking:
                assert not descriptor.allowed & withheld, (descriptor, r.names(descriptor.allowed & withheld))
            else:
                assert descriptor.path.startswith("/other")


@pytest.mark.parametrize("mode", ["strict", "compat"])
def test_a_regrant_does_not_return_rights_that_the_guest_gave_up(mode: str) -> None:
    made = host(int(Rights.FD_READDIR), mode)
    d = made.fds.entries[3]
    if mode == "strict":
        attempt(made, "fd_fdstat_set_rights", d, d.rights & ~int(Rights.PATH_UNLINK_FILE), d.inheriting)
    made.regrant("/d", 0, writable=True)
    assert d.allowed & int(Rights.FD_READDIR)
    assert bool(d.allowed & int(Rights.PATH_UNLINK_FILE)) is (mode == "compat")


def test_rights_are_taken_back_during_opening_renumbering_and_limiting() -> None:
    made = host(0)
    cut = int(Rights.FD_READ | Rights.FD_WRITE)
    over = threading.Event()
    wrong: list[str] = []

    def guest() -> None:
        root = made.fds.entries[3]
        while not over.is_set():
            fd = attempt(made, "path_open", root, 1, b"a.txt", 0, ALL, ALL, 0)
            if fd is None:
                fd = attempt(made, "path_open", root, 1, b"a.txt", 0, int(Rights.FD_SEEK), 0, 0)
            if fd is None:
                continue
            d = made.fds.entries[fd]
            other = attempt(made, "path_open", root, 1, b"sub", int(Oflags.DIRECTORY), int(Rights.PATH_OPEN), ALL, 0)
            if other is not None:
                attempt(made, "fd_renumber", d, made.fds.entries[other])
            attempt(made, "fd_fdstat_set_rights", d, d.rights & ~int(Rights.FD_ADVISE), 0)
            attempt(made, "fd_close", d)

    thread = threading.Thread(target=guest)
    thread.start()
    for _ in range(300):
        made.regrant("/d", cut, writable=True)
        wrong += [str(d) for d in list(made.fds.entries.values()) if d.path.startswith("/d") and d.allowed & cut]
        made.regrant("/d", 0, writable=True)
    made.regrant("/d", cut, writable=True)
    over.set()
    thread.join(60)
    assert not thread.is_alive()
    wrong += [str(d) for d in made.fds.entries.values() if d.path.startswith("/d") and d.allowed & cut]
    assert wrong == []


def test_rights_are_taken_back_between_the_opening_and_the_table() -> None:
    made = host(0)
    opening = made.fds.open
    asked: list[Descriptor] = []

    def no_better_moment(descriptor: Descriptor) -> Descriptor:
        asked.append(descriptor)  # it is made, and stands in no table yet
        made.regrant("/d", int(Rights.FD_READ), writable=True)
        return opening(descriptor)

    made.fds.open = no_better_moment  # type: ignore[method-assign, assignment]
    fd = attempt(made, "path_open", made.fds.entries[3], 1, b"a.txt", 0, ALL, ALL, 0)
    assert len(asked) == 1
    assert not made.fds.entries[fd].allowed & int(Rights.FD_READ)


def test_a_drop_box_takes_and_never_shows() -> None:
    made = host(int(Rights.FD_READ | Rights.FD_READDIR | Rights.PATH_FILESTAT_SET_SIZE))
    root = made.fds.entries[3]
    fd = attempt(made, "path_open", root, 0, b"dropped", int(Oflags.CREAT), int(Rights.FD_WRITE), 0, 0)
    assert fd is not None
    d = made.fds.entries[fd]
    assert attempt(made, "fd_write", d, [memoryview(b"a secret")]) == 8
    with pytest.raises(WasiError, match="the right fd_read, which its grant withholds") as refused:
        made.check(d, int(Rights.FD_READ))
    assert refused.value.errno is Errno.NOTCAPABLE
    for base in (int(Rights.FD_READ), ALL):
        assert attempt(made, "path_open", root, 0, b"dropped", 0, base, 0, 0) is None
    folder = attempt(made, "path_open", root, 0, b"sub", int(Oflags.DIRECTORY), int(Rights.FD_READ), ALL, 0)
    inner = made.fds.entries[folder]
    assert attempt(made, "path_open", inner, 0, b"../a.txt", 0, int(Rights.FD_READ), 0, 0) is None
    assert attempt(made, "path_open", inner, 0, b"b.txt", 0, int(Rights.FD_READ), 0, 0) is None
    with pytest.raises(WasiError, match="fd_readdir"):
        made.check(inner, int(Rights.FD_READDIR))


def test_strings_that_change_between_two_calls_never_outgrow_their_room() -> None:
    from wasilab.capabilities.strings import GivenStrings

    given_ = GivenStrings([b"A=1", b"B=2"])
    made = Host(environ=given_)
    assert SNAPSHOT1["environ_sizes_get"].function(made) == (2, 8)
    given_.put([b"A=" + b"x" * 1000])
    assert attempt(made, "environ_get") is None
    assert SNAPSHOT1["environ_sizes_get"].function(made) == (1, 1003)
    assert SNAPSHOT1["environ_get"].function(made) == [b"A=" + b"x" * 1000]
    given_.put([b"A=" + b"x" * 1000])
    assert SNAPSHOT1["environ_get"].function(made) == [b"A=" + b"x" * 1000], "the same is no change"
    with pytest.raises(ValueError, match="NUL"):
        given_.put([b"A=\0"])
    assert SNAPSHOT1["environ_get"].function(made) == [b"A=" + b"x" * 1000]


def test_open_how_is_not_asked_of_the_directory_when_a_right_is_withheld() -> None:
    class Watching(MemDir):
        asked: list[OpenHow] = []  # noqa: RUF012  one directory, one test

        def open(self, path: str, how: OpenHow) -> Any:
            self.asked.append(how)
            return super().open(path, how)

    made = Host(preopens={"/d": Watching()}, withheld={"/d": int(Rights.PATH_CREATE_FILE)})
    creating = int(Oflags.CREAT | Oflags.TRUNC)
    assert attempt(made, "path_open", made.fds.entries[3], 0, b"new", creating, int(Rights.FD_WRITE), 0, 0) is None
    assert Watching.asked == [], "a file that must not be made is not made and then taken away"
