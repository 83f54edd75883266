"""Tests of the descriptor table."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasilab.capabilities.protocols import BaseFile
from wasilab.wasi.errnos import Errno, WasiError
from wasilab.wasi.fdtable import Descriptor, FdTable


class Thing(BaseFile):
    closed = 0

    def close(self) -> None:
        self.closed += 1


def descriptor(*, owned: bool = True) -> Descriptor:
    return Descriptor(Thing(), 0, 0, "<thing>", strict=True, owned=owned)


def test_the_smallest_free_number_is_given_first() -> None:
    table = FdTable(10)
    opened = [table.open(descriptor()) for _ in range(4)]
    assert [d.fd for d in opened] == [3, 4, 5, 6]
    table.close(opened[2])
    table.close(opened[0])
    assert [table.open(descriptor()).fd for _ in range(3)] == [3, 5, 7]


def test_numbers_below_3_are_given_only_after_the_guest_closed_them() -> None:
    table = FdTable(10)
    stdout = table.open(descriptor(), 1)
    assert table.open(descriptor()).fd == 3
    table.close(stdout)
    assert table.open(descriptor()).fd == 1


STEPS = st.one_of(
    st.just(("open", 0, 0)),
    st.tuples(st.sampled_from(["close", "mirrored", "open at"]), st.integers(0, 8), st.just(0)),
    st.tuples(st.just("renumber"), st.integers(0, 8), st.integers(0, 8)),
)


@given(st.lists(st.integers(0, 2), unique=True), st.lists(STEPS, max_size=40))
def test_numbers_whatever_is_opened_and_closed(streams: list[int], steps: list[tuple[str, int, int]]) -> None:
    """Always the smallest free number; those of standard streams that were never open are not free."""
    table = FdTable(100)
    for fd in streams:
        table.open(descriptor(), fd)
    used, open_ = set(streams), set(streams)
    for step, first, second in steps:
        free = min(fd for fd in range(100) if fd not in open_ and (fd >= 3 or fd in used))
        if step == "open":
            assert table.open(descriptor()).fd == free
            open_.add(free)
        elif step == "mirrored":  # the mirror opens at the smallest free number as well
            table.adopt(descriptor(), free, 100)
            open_.add(free)
        elif step == "open at" and first not in open_:
            table.open(descriptor(), first)
            open_.add(first)
        elif step == "close" and first in open_:
            table.close(table.entries[first])
            open_.remove(first)
        elif step == "renumber" and first in open_ and second in open_ and first != second:
            table.renumber(table.entries[first], table.entries[second])
            open_.remove(first)
        used |= open_
        assert set(table.entries) == open_
        assert all(table.entries[fd].fd == fd for fd in open_)


def test_what_is_put_back_leaves_the_same_numbers_free() -> None:
    table = FdTable(10)
    stdout, kept, closed = (table.open(descriptor(), fd) for fd in (1, 3, 4))
    assert table.take_out() == [stdout, kept, closed]
    assert table.open(descriptor()).fd == 3
    table.take_out()
    table.put_back([(kept, 5, 2)], [0], 7)
    assert [(d.fd, d.life) for d in (table.open(descriptor()) for _ in range(4))] == [(0, 8), (3, 9), (4, 10), (6, 11)]


@given(st.text("/.ax", max_size=8), st.lists(st.text("/.ax", min_size=1, max_size=6), min_size=2, max_size=3))
def test_the_path_of_a_name_is_normal(directory: str, names: list[str]) -> None:
    opened = Descriptor(Thing(), 0, 0, directory, strict=True)
    for name in names:
        assert opened.path_of(name) == posixpath.normpath(f"{directory.rstrip('/')}/{name}")


def test_the_cap_is_mfile_and_closing_makes_room() -> None:
    table = FdTable(2)
    first = table.open(descriptor())
    table.open(descriptor())
    with pytest.raises(WasiError) as caught:
        table.open(descriptor())
    assert caught.value.errno == Errno.MFILE
    assert "limit of 2" in caught.value.reason
    table.close(first)
    assert table.open(descriptor()).fd == 3


def test_every_opening_has_its_own_life() -> None:
    table = FdTable(10)
    first = table.open(descriptor())
    table.close(first)
    second = table.open(descriptor())
    assert first.fd == second.fd
    assert (first.life, second.life) == (1, 2)


def test_renumber_closes_the_target_and_frees_the_source() -> None:
    table = FdTable(10)
    heard: list[str] = []
    table.on_close = lambda d: heard.append(f"close {d.life}")
    table.on_renumber = lambda d, old: heard.append(f"{old} is {d.fd}")
    source, target = table.open(descriptor()), table.open(descriptor())
    table.renumber(source, target)
    assert table.entries == {4: source}
    assert (source.fd, target.object.closed) == (4, 1)
    assert heard == ["close 2", "3 is 4"]
    assert table.open(descriptor()).fd == 3


def test_renumber_to_itself_changes_nothing() -> None:
    table = FdTable(10)
    only = table.open(descriptor())
    table.renumber(only, only)
    assert table.entries == {3: only}
    assert only.object.closed == 0


def test_objects_of_the_grants_are_not_closed() -> None:
    table = FdTable(10)
    granted, own = table.open(descriptor(owned=False)), table.open(descriptor())
    table.close_all()
    assert (granted.object.closed, own.object.closed) == (0, 1)
    assert table.entries == {}


def test_close_all_survives_errors_of_closing() -> None:
    class Broken(Thing):
        def close(self) -> None:
            raise OSError(5, "I/O error")

    table = FdTable(10)
    table.open(Descriptor(Broken(), 0, 0, "<broken>", strict=True))
    last = table.open(descriptor())
    table.close_all()
    assert table.entries == {}
    assert last.object.closed == 1
