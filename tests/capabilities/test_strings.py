"""Strings as a capability: they fit the room that the guest made for them, and the patterns work on them."""

from __future__ import annotations

import threading

import pytest

from wasilab.capabilities.patterns import LogEntry, attenuate, facet, logged, membrane, read_only, revocable
from wasilab.capabilities.refusal import DeniedBy, Refused
from wasilab.capabilities.strings import GivenStrings, Strings


def test_sizes_count_the_nul_after_each() -> None:
    assert GivenStrings([b"a", b"bcd", b""]).sizes() == (3, 7)
    assert GivenStrings().sizes() == (0, 0)
    assert GivenStrings([b"a"]).get() == [b"a"], "a guest that knows the size need not ask"
    with pytest.raises(ValueError, match="NUL"):
        GivenStrings([b"a\0b"])


def test_the_patterns_work_on_strings_of_any_class() -> None:
    class Mine:
        def sizes(self) -> tuple[int, int]:
            return 1, 5

        def get(self) -> list[bytes]:
            return [b"mine"]

    mine = Mine()
    assert isinstance(mine, Strings)
    seen: list[LogEntry] = []
    assert logged(mine, seen.append).get() == [b"mine"]
    assert [entry.operation for entry in seen] == ["get"]
    assert read_only(mine).get() == [b"mine"], "there is nothing to change"
    counted = facet(mine, "sizes")
    assert counted.sizes() == (1, 5)
    with pytest.raises(Refused):
        counted.get()
    with pytest.raises(Refused):
        attenuate(mine, lambda operation, args: operation == "sizes").get()
    for pattern in (revocable, membrane):
        held, off = pattern(mine)  # type: ignore[operator]
        assert isinstance(held, Strings)
        off()
        with pytest.raises(Refused) as refused:
            held.get()
        assert refused.value.by is DeniedBy.REVOKED


def test_no_answer_outgrows_the_room_whatever_another_thread_puts() -> None:
    strings = GivenStrings([b"A=1"])
    over = threading.Event()

    def owner() -> None:
        turn = 0
        while not over.is_set():
            turn += 1
            strings.put([b"A=" + b"x" * (turn % 50)] * (turn % 5))

    thread = threading.Thread(target=owner)
    thread.start()
    handed = refused = 0
    try:
        for _ in range(20_000):
            count, size = strings.sizes()
            try:
                given = strings.get()
            except Refused:
                refused += 1
                continue
            handed += 1
            assert (len(given), sum(map(len, given)) + len(given)) == (count, size)
    finally:
        over.set()
        thread.join()
    assert handed
