"""What a run adds to a folder is counted exactly, although other programs change the folder at the same time.

Others create and remove one name as fast as they can, and count what they did. In the end the folder has as many names
as both counts say: a name more would be one beyond the limit, a name less one that the guest does not get.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wasilab import Grants, HostDir, Limits
from wasilab.capabilities.host.features import TRY_RENAME
from wasilab.capabilities.refusal import DeniedBy
from wasilab.wasi.errnos import WasiError
from wasilab.wasi.host import NAME_COST, Host
from wasilab.wasi.preview1.fd import fd_close
from wasilab.wasi.preview1.fdstat import fd_filestat_set_size
from wasilab.wasi.preview1.path import path_open, path_rename, path_unlink_file

from .conftest import Yard
from .guests import ALL, CREAT, TRUNC, Guest

ROUNDS, AT_LEAST = 200_000, 100
"""The most rounds of a race, and how often each of its results must have come before it ends earlier."""
FILE = b"contested"


class Others:
    """Another program: calls `change` until told to stop. `names` is how many names it added to the folder."""

    def __init__(self, folder: Path, change: Callable[[int], int]) -> None:
        self.names = 0
        self._stopping = threading.Event()
        self._fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self._thread = threading.Thread(target=self._run, args=(change,), daemon=True)

    def _run(self, change: Callable[[int], int]) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(OSError):
                self.names += change(self._fd)

    def __enter__(self) -> Others:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        os.close(self._fd)


def create(fd: int) -> int:
    os.close(os.open(FILE, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666, dir_fd=fd))
    return 1


def create_or_remove(fd: int) -> int:
    try:
        return create(fd)
    except FileExistsError:
        os.unlink(FILE, dir_fd=fd)
        return -1


@contextlib.contextmanager
def granted(yard: Yard) -> Iterator[tuple[Host, Path]]:
    """A host whose descriptor 3 is an empty folder. Not a fixture: that would hold the folder's descriptor too long."""
    folder = yard.inside / "counted"
    folder.mkdir()
    host = Host(preopens={"/d": HostDir(folder, "rw")})
    try:
        yield host, folder
    finally:
        host.close()


def test_names_replaced_by_renaming_are_counted_in_a_race(yard: Yard) -> None:
    """Others create the new name at any time, also between a lookup and the rename."""
    with granted(yard) as (host, folder):
        d = host.fds.entries[3]
        fd_close(host, host.fds.entries[path_open(host, d, 0, b"mine", CREAT, ALL, 0, 0)])
        replaced = kept = 0
        with Others(folder, create) as others:
            for _ in range(ROUNDS):
                before = host.names
                path_rename(host, d, b"mine", d, FILE)
                replaced, kept = replaced + (host.names < before), kept + (host.names == before)
                path_rename(host, d, FILE, d, b"mine")
                if min(replaced, kept) >= AT_LEAST:
                    break
        assert min(replaced, kept) >= AT_LEAST, "the race took place"
        there, counted = len(os.listdir(folder)), host.names + others.names
        # A system that cannot rename without replacing looks first: it may count too many, never too few.
        assert there == counted if TRY_RENAME is not None else there <= counted


def test_created_names_are_counted_in_a_race(yard: Yard) -> None:
    """Others create and remove what the guest opens to be created."""
    with granted(yard) as (host, folder):
        d = host.fds.entries[3]
        created = found = 0
        with Others(folder, create_or_remove) as others:
            for _ in range(ROUNDS):
                before = host.names
                fd_close(host, host.fds.entries[path_open(host, d, 0, FILE, CREAT, ALL, 0, 0)])
                created, found = created + (host.names > before), found + (host.names == before)
                with contextlib.suppress(OSError, WasiError):
                    path_unlink_file(host, d, FILE)
                if min(created, found) >= AT_LEAST:
                    break
        assert min(created, found) >= AT_LEAST, "the race took place"
        assert len(os.listdir(folder)) == host.names + others.names


def test_no_file_is_created_through_a_link_in_a_race(yard: Yard) -> None:
    """Others put a link to the outside where the guest creates a file."""
    with granted(yard) as (host, folder):
        def swap(fd: int) -> int:
            os.symlink("../../outside/new", FILE, dir_fd=fd)
            os.unlink(FILE, dir_fd=fd)
            return 0

        d = host.fds.entries[3]
        created = refused = 0
        with Others(folder, swap):
            for turn in range(ROUNDS):
                try:
                    fd_close(host, host.fds.entries[path_open(host, d, turn & 1, FILE, CREAT, ALL, 0, 0)])
                    created += 1
                    with contextlib.suppress(OSError):
                        path_unlink_file(host, d, FILE)
                except OSError:
                    refused += 1
                if min(created, refused) >= AT_LEAST:
                    break
        assert min(created, refused) >= AT_LEAST, "the race took place"
        assert not (yard.outside / "new").exists()


@pytest.mark.parametrize("by", ["another descriptor", "opening", "opening in the library"])
def test_growth_counts_each_time_a_file_was_cut(yard: Yard, by: str) -> None:
    """What is known of a file's size ends when the run makes it smaller in another way."""
    (yard.inside / "f").write_bytes(b"")
    limit = 2 * 1000 + 999
    guest = Guest(grants=Grants(dirs={"/d": HostDir(yard.inside, "rw")}, limits=Limits(bytes_written=limit)))
    guest.open("f", rights=ALL).open("f", rights=ALL)
    if by == "opening in the library":  # which opens as Python has opened before
        guest.open("f", rights=ALL, oflags=TRUNC)
    sizes = []
    for _ in range(3):
        sizes.append(len(guest.steps))
        guest.call("fd_filestat_set_size", 4, 1000).call("fd_filestat_set_size", 4, 900)
        guest.call("fd_filestat_set_size", 4, 900)
        if by == "another descriptor":
            guest.call("fd_filestat_set_size", 5, 0)
        else:
            guest.open("f", rights=ALL, oflags=TRUNC)
    run = guest.run()
    assert [run.errnos()[at] for at in sizes] == ["SUCCESS", "SUCCESS", "NOSPC"]
    run.assert_refused(DeniedBy.QUOTA, "the growth of the file counts as 1000 bytes and 999 are left", call=sizes[2])


def test_a_file_that_others_make_larger_grows_for_nothing(yard: Yard) -> None:
    with granted(yard) as (host, folder):
        (folder / "f").write_bytes(b"12345")
        fd = path_open(host, host.fds.entries[3], 0, b"f", 0, ALL, 0, 0)
        d = host.fds.entries[fd]
        fd_filestat_set_size(host, d, 5)
        os.truncate(folder / "f", 100)
        fd_filestat_set_size(host, d, 50)
        assert (host.written, (folder / "f").stat().st_size) == (0, 50)
        os.truncate(folder / "f", 100)
        fd_filestat_set_size(host, d, 120)
        assert (host.written, (folder / "f").stat().st_size) == (20, 120)
        os.truncate(folder / "f", 0)
        fd_filestat_set_size(host, d, 120)
        assert host.written == 20, "it was counted when it was added"
        fd_filestat_set_size(host, d, 121)
        assert host.written == 21


def test_a_size_beyond_the_limit_stays_refused(yard: Yard) -> None:
    with granted(yard) as (host, _):
        fd = path_open(host, host.fds.entries[3], 0, b"f", CREAT, ALL, 0, 0)
        d = host.fds.entries[fd]
        fd_filestat_set_size(host, d, 100)
        assert host.written == NAME_COST + 1 + 100
        host.limit(fds=16, bytes_written=50, names=None, io=100)
        for size in (50, 101):
            with pytest.raises(WasiError, match="the limit of 50 bytes written is used up"):
                fd_filestat_set_size(host, d, size)
