"""The object-capability patterns: each gives less and never more, over wasilab's things and your own."""

from __future__ import annotations

import builtins
import doctest
import errno
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wasilab.capabilities import patterns
from wasilab.capabilities.clocks import Clock, Clocks
from wasilab.capabilities.host.hostdir import HostDir
from wasilab.capabilities.host.sockets import listen
from wasilab.capabilities.interpose import CHANGING, DIRECTORY_OPERATIONS, FILE_OPERATIONS, interpose, perform
from wasilab.capabilities.memory.memdir import MemDir
from wasilab.capabilities.patterns import (
    LogEntry,
    Switch,
    append_only,
    ask,
    attenuate,
    facet,
    logged,
    membrane,
    quota,
    read_only,
    revocable,
    sealer,
    subtree,
)
from wasilab.capabilities.protocols import (
    BaseDirectory,
    BaseFile,
    Buffers,
    Directory,
    File,
    FileFlags,
    FileType,
    OpenHow,
)
from wasilab.capabilities.random import Random, RandomSource
from wasilab.capabilities.refusal import DeniedBy, Refused
from wasilab.capabilities.streams import BytesInput, CallbackOutput, Discard


def refused(call: Callable[[], object], by: DeniedBy) -> Refused:
    with pytest.raises(Refused) as caught:
        call()
    assert caught.value.by is by
    return caught.value


def test_the_examples_in_the_docstrings_run(monkeypatch: pytest.MonkeyPatch) -> None:
    # An example that shows a value leaves it in builtins, and an IPython of a later test would then keep out of `_`.
    monkeypatch.setattr(builtins, "_", None, raising=False)
    results = doctest.testmod(patterns, optionflags=doctest.ELLIPSIS)
    assert results.failed == 0
    assert results.attempted >= 30


# -- a person's own classes -------------------------------------------------------------------------------------------


class Greeting(BaseFile):
    """A file of one's own: reads as a greeting, keeps what is written."""

    def __init__(self) -> None:
        self.heard = b""

    def read(self, buffers: Buffers) -> int:
        buffers[0][:5] = b"hello"
        return 5

    def write(self, buffers: Buffers) -> int:
        data = b"".join(buffers)
        self.heard += data
        return len(data)


class Hall(BaseDirectory):
    """A directory of one's own in which every name is a greeting."""

    writable = True

    def __init__(self) -> None:
        self.file = Greeting()

    def open(self, path: str, how: OpenHow) -> File | Directory:
        return self.file

    def mkdir(self, path: str) -> None:
        return


class Sundial:
    """A clock of one's own, not derived from anything."""

    virtual = True

    def resolution(self) -> int:
        return 10**12

    def now(self) -> int:
        return 12

    def advance_to(self, deadline: int) -> None:
        return


class Dice:
    """A random source of one's own."""

    def fill(self, buffer: memoryview) -> None:
        buffer[:] = b"\4" * len(buffer)


def test_custom_classes_work_the_same() -> None:
    hall = Hall()
    one = [memoryview(b"x")]
    writing = OpenHow(write=True)
    refused(lambda: read_only(hall).mkdir("x"), DeniedBy.GRANT)
    refused(lambda: read_only(hall).open("x", writing), DeniedBy.GRANT)
    file: Any = read_only(hall).open("x", OpenHow())
    buffer = bytearray(5)
    assert file.read([memoryview(buffer)]) == 5
    assert buffer == b"hello"
    refused(lambda: file.write(one), DeniedBy.GRANT)
    held, off = membrane(hall)
    file = held.open("x", writing)
    assert file.write(one) == 1
    off()
    refused(lambda: file.write(one), DeniedBy.REVOKED)
    assert hall.file.heard == b"x"
    refused(lambda: quota(Dice(), 3).fill(memoryview(bytearray(4))), DeniedBy.QUOTA)
    sundial, off = revocable(Sundial())
    assert sundial.now() == 12
    off()
    refused(sundial.now, DeniedBy.REVOKED)


# -- what stands in between has the shape of the thing ----------------------------------------------------------------

THINGS: list[tuple[str, Callable[[], Any], type]] = [
    ("directory", MemDir, Directory),
    ("own directory", Hall, Directory),
    ("file", lambda: MemDir({"a": "x"}).open("a", OpenHow(write=True)), File),
    ("stream", lambda: BytesInput(b"x"), File),
    ("output", Discard, File),
    ("listener", lambda: listen("127.0.0.1:0"), File),
    ("clock", lambda: Clocks.frozen(1).realtime, Clock),
    ("own clock", Sundial, Clock),
    ("random", lambda: Random.seeded(1), RandomSource),
]


@pytest.mark.parametrize(("make", "protocol"), [thing[1:] for thing in THINGS], ids=[thing[0] for thing in THINGS])
def test_a_pattern_returns_an_object_of_the_same_kind(make: Callable[[], Any], protocol: type) -> None:
    thing = make()
    assert isinstance(thing, protocol)
    for lesser in (read_only(thing), revocable(thing)[0], membrane(thing)[0], logged(thing, print), quota(thing, 1)):
        assert isinstance(lesser, protocol)
        for attribute in ("filetype", "virtual", "address"):
            assert getattr(lesser, attribute, None) == getattr(thing, attribute, None)
    assert repr(thing) in repr(read_only(thing))


def test_a_value_that_is_not_a_capability_raises_one_clear_error() -> None:
    with pytest.raises(TypeError, match="is not a capability"):
        read_only("a path is only a name")


def test_nothing_but_the_operations_can_be_reached() -> None:
    place = interpose(MemDir({"a": "x"}), perform)
    with pytest.raises(AttributeError):
        place.files()
    assert {name for name in dir(place) if not name.startswith("_")} == {
        *DIRECTORY_OPERATIONS,
        "asks",
        "filetype",
        "hidden",
        "lasting",
        "writable",
    }


def test_all_operations_of_a_file_go_through_the_gate() -> None:
    seen: list[str] = []
    file: Any = interpose(BaseFile(), lambda thing, operation, *args: seen.append(operation))
    for operation in FILE_OPERATIONS:
        getattr(file, operation)()
    assert seen == FILE_OPERATIONS


# -- each pattern -----------------------------------------------------------------------------------------------------


def test_attenuate_is_deep_and_always_lets_go() -> None:
    place = attenuate(MemDir({"a": "x"}), lambda operation, args: operation in ("open", "read"))
    file: Any = place.open("a", OpenHow(write=True))
    assert file.read([memoryview(bytearray(1))]) == 1
    error = refused(lambda: file.write([memoryview(b"y")]), DeniedBy.GRANT)
    assert error.notcapable
    file.close()


def test_attenuate_can_look_at_the_arguments() -> None:
    def only_in_d(operation: str, args: tuple[Any, ...]) -> bool:
        return all(not isinstance(arg, str) or arg.startswith("d/") for arg in args)

    place = attenuate(MemDir({"d/a": "x", "b": "y"}), only_in_d)
    assert place.stat_path("d/a", True).size == 1
    refused(lambda: place.stat_path("b", True), DeniedBy.GRANT)


def test_a_facet_is_shallow() -> None:
    place: Any = facet(MemDir({"a": "x"}), "open")
    file = place.open("a", OpenHow(write=True))
    assert file.write([memoryview(b"y")]) == 1
    refused(place.list, DeniedBy.GRANT)
    place.close()


def test_read_only_cannot_be_got_around_by_renaming_or_linking_elsewhere(tmp_path: Any) -> None:
    for directory, other in (
        (HostDir(tmp_path, "rw"), HostDir(tmp_path, "rw")),
        (tree := MemDir({"a": "x"}), tree),
    ):
        file: Any = directory.open("a", OpenHow(write=True, create=True))
        file.close()
        looking: Any = read_only(directory)
        assert looking.writable is False
        refused(lambda looking=looking, other=other: looking.rename("a", other, "b"), DeniedBy.GRANT)  # type: ignore[misc]
        refused(lambda looking=looking, other=other: looking.link("a", other, "b", False), DeniedBy.GRANT)  # type: ignore[misc]
        refused(lambda looking=looking, other=other: other.rename("a", looking, "b"), DeniedBy.GRANT)  # type: ignore[misc]
        refused(lambda looking=looking, other=other: other.link("a", looking, "b", False), DeniedBy.GRANT)  # type: ignore[misc]
        assert [entry.name for entry in directory.list()] == ["a"]


def test_files_still_move_between_two_wrapped_directories(tmp_path: Any) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "one" / "a").write_text("x")
    log: list[LogEntry] = []
    one = logged(HostDir(tmp_path / "one", "rw"), log.append)
    two, off = membrane(quota(HostDir(tmp_path / "two", "rw"), 0))
    one.rename("a", two, "b")
    assert (tmp_path / "two" / "b").read_text() == "x"
    two.rename("b", one, "a")
    off()
    refused(lambda: one.rename("a", two, "b"), DeniedBy.REVOKED)
    assert [(entry.operation, entry.error is None) for entry in log] == [
        ("rename", True),
        ("rename_from", True),
        ("rename", False),
    ]


def test_a_subtree_is_a_root_and_a_file_has_none() -> None:
    place = MemDir({"a/b": "x", "c": "y"})
    inner = subtree(place, "a")
    assert [entry.name for entry in inner.list()] == ["b"]
    refused(lambda: inner.open("../c", OpenHow()), DeniedBy.PATH)
    with pytest.raises(NotADirectoryError):
        subtree(place, "c")
    with pytest.raises(NotADirectoryError):
        subtree(Hall(), "anything")


def test_append_only_adds_and_never_changes(tmp_path: Any) -> None:
    for directory in (MemDir({"log": "one ", "d": {}}), HostDir(tmp_path, "rw")):
        if isinstance(directory, HostDir):
            (tmp_path / "log").write_text("one ")
            (tmp_path / "d").mkdir()
        adding: Any = append_only(directory)
        log = adding.open("log", OpenHow(write=True))
        log.seek(0, os.SEEK_SET)
        log.write([memoryview(b"two ")])
        log.set_flags(FileFlags())
        log.seek(0, os.SEEK_SET)
        log.write([memoryview(b"three")])
        log.seek(0, os.SEEK_SET)
        buffer = bytearray(20)
        assert bytes(buffer[: log.read([memoryview(buffer)])]) == b"one two three"
        adding.mkdir("new")
        adding.open("d", OpenHow()).open("x", OpenHow(write=True, create=True)).close()
        attempts: list[Callable[[Any, Any], object]] = [
            lambda adding, log: adding.open("log", OpenHow(write=True, truncate=True)),
            lambda adding, log: adding.unlink("log"),
            lambda adding, log: adding.rmdir("new"),
            lambda adding, log: adding.rename("log", adding, "x"),
            lambda adding, log: adding.link("log", adding, "x", False),
            lambda adding, log: adding.set_times_path("log", True, 1, 1),
            lambda adding, log: log.pwrite([memoryview(b"x")], 0),
            lambda adding, log: log.set_size(0),
            lambda adding, log: log.allocate(0, 99),
            lambda adding, log: log.set_times(1, 1),
        ]
        for attempt in attempts:
            reason = refused(lambda a=attempt, f=adding, g=log: a(f, g), DeniedBy.GRANT).reason  # type: ignore[misc]
            assert "this is append-only" in reason


def test_append_only_output_and_quota_on_random() -> None:
    seen: list[bytes] = []
    assert append_only(CallbackOutput(seen.append)).write([memoryview(b"x")]) == 1
    source = quota(Random.seeded(1), 10)
    source.fill(memoryview(bytearray(10)))
    refused(lambda: source.fill(memoryview(bytearray(1))), DeniedBy.QUOTA)


def test_a_quota_is_one_purse_for_all_that_is_opened() -> None:
    place: Any = quota(MemDir({"d": {}}), 10)
    first = place.open("a", OpenHow(write=True, create=True))
    second = place.open("d", OpenHow()).open("b", OpenHow(write=True, create=True))
    assert first.write([memoryview(b"x" * 6)]) == 6
    assert refused(lambda: second.write([memoryview(b"y" * 5)]), DeniedBy.QUOTA).errno == errno.EDQUOT
    second.set_size(3)
    refused(lambda: first.allocate(0, 8), DeniedBy.QUOTA)
    assert second.pwrite([memoryview(b"y")], 0) == 1
    refused(lambda: second.write([memoryview(b"y")]), DeniedBy.QUOTA)
    assert first.pread([memoryview(bytearray(6))], 0) == 6


def test_logged_reports_results_and_errors_and_changes_nothing() -> None:
    log: list[LogEntry] = []
    place: Any = logged(MemDir({"a": "x"}), log.append)
    file = place.open("a", OpenHow())
    assert file.stat().size == 1
    with pytest.raises(FileNotFoundError):
        place.stat_path("b", True)
    assert [(entry.operation, entry.args[:1]) for entry in log] == [
        ("open", ("a",)),
        ("stat", ()),
        ("stat_path", ("b",)),
    ]
    assert log[1].result.size == 1
    assert isinstance(log[2].error, FileNotFoundError)


def test_revocation_is_immediate_can_be_undone_and_never_keeps_from_closing() -> None:
    switch = Switch("the teacher said stop")
    place, off = revocable(MemDir({"a": "x"}), switch)
    clock, _ = revocable(Clocks.frozen(1).realtime, switch)
    assert off is switch
    switch()
    error = refused(place.list, DeniedBy.REVOKED)
    assert error.reason == "the teacher said stop"
    assert error.notcapable
    refused(clock.now, DeniedBy.REVOKED)
    place.close()
    switch.restore()
    assert len(place.list()) == 1


def test_a_membrane_covers_connections_accepted_through_it() -> None:
    listener = listen("127.0.0.1:0")
    held, off = membrane(listener)
    client = socket.create_connection(listener.bind())
    connection = held.accept(False)
    assert connection.send([memoryview(b"hi")]) == 2
    off()
    refused(lambda: connection.send([memoryview(b"hi")]), DeniedBy.REVOKED)
    refused(lambda: held.accept(True), DeniedBy.REVOKED)
    assert client.recv(10) == b"hi"
    connection.close()
    client.close()
    listener.release()


def test_ask_asks_once_at_the_first_use() -> None:
    questions: list[str] = []

    def decide(what: str) -> bool:
        questions.append(what)
        return "clock" in what

    clock = ask(Clocks.frozen(5).realtime, decide, "the clock")
    place: Any = ask(MemDir({"a": "x"}), decide, "the folder")
    place.close()
    assert questions == []
    assert (clock.now(), clock.now()) == (5, 5)
    refused(place.list, DeniedBy.ASK)
    refused(place.list, DeniedBy.ASK)
    assert questions == ["the clock", "the folder"]


def test_a_sealed_box_gives_nothing_without_its_unsealer() -> None:
    first, second = sealer(), sealer()
    folder = MemDir()
    box = first.seal(folder)
    assert first.unseal(box) is folder
    with pytest.raises(PermissionError):
        second.unseal(box)
    assert [name for name in dir(box) if not name.startswith("_")] == []


# -- properties -------------------------------------------------------------------------------------------------------

PATHS = st.sampled_from(["a", "d", "d/b", "n", "d/n", "l", "../x", "a/", "missing/x", "d/../a"])
HOWS = st.builds(
    OpenHow,
    write=st.booleans(),
    create=st.booleans(),
    truncate=st.booleans(),
    append=st.booleans(),
    follow=st.booleans(),
)
BYTES = st.binary(max_size=6)
STEPS = st.one_of(
    st.tuples(st.just("open"), PATHS, HOWS),
    st.tuples(st.just("open"), PATHS, HOWS),
    st.tuples(st.sampled_from(["mkdir", "rmdir", "unlink", "readlink"]), PATHS),
    st.tuples(st.just("stat_path"), PATHS, st.booleans()),
    st.tuples(st.just("set_times_path"), PATHS, st.booleans(), st.just(1), st.just(2)),
    st.tuples(st.just("symlink"), PATHS, PATHS),
    st.tuples(st.just("list")),
    st.tuples(st.just("rename"), PATHS, PATHS),
    st.tuples(st.just("link"), PATHS, PATHS),
    st.tuples(st.just("write"), BYTES),
    st.tuples(st.just("pwrite"), BYTES, st.integers(0, 9)),
    st.tuples(st.just("pread"), st.integers(0, 9)),
    st.tuples(st.just("set_size"), st.integers(0, 9)),
    st.tuples(st.just("allocate"), st.integers(0, 5), st.integers(1, 5)),
    st.tuples(st.just("set_flags"), st.builds(FileFlags, append=st.booleans())),
    st.tuples(st.just("seek"), st.integers(0, 9)),
)


class Client:
    """One that uses a directory as a guest would, keeping whatever it opens."""

    def __init__(self, directory: Any) -> None:
        self.directory = directory
        self.things: list[Any] = []

    def step(self, operation: str, *args: Any) -> tuple[str, object]:
        """("done", result) | ("refused", by) | ("error", errno) of one step."""
        try:
            return "done", self._do(operation, *args)
        except Refused as error:
            return "refused", error.by
        except OSError as error:
            return "error", error.errno

    def _do(self, operation: str, *args: Any) -> object:
        if operation in ("rename", "link"):
            more = (False,) if operation == "link" else ()
            return getattr(self.directory, operation)(args[0], self.directory, args[1], *more)
        if operation in DIRECTORY_OPERATIONS:
            result = getattr(self.directory, operation)(*args)
            if operation == "open":
                self.things.append(result)
                return result.filetype
            return (result.filetype, result.nlink, result.size) if operation == "stat_path" else result
        file = self.things[-1] if self.things else None
        if file is None or file.filetype is not FileType.REGULAR_FILE:
            return None
        if operation == "pread":
            buffer = bytearray(6)
            return bytes(buffer[: file.pread([memoryview(buffer)], *args)])
        if operation in ("write", "pwrite"):
            return getattr(file, operation)([memoryview(args[0])], *args[1:])
        if operation == "seek":
            return file.seek(args[0], os.SEEK_SET)
        return getattr(file, operation)(*args)


def tree() -> MemDir:
    return MemDir({"a": "text", "d": {"b": "more"}, "e": {}})


SEQUENCES = settings(max_examples=200, deadline=None)
STEP_LISTS = st.lists(STEPS, max_size=25)


@SEQUENCES
@given(steps=STEP_LISTS, allowed=st.sets(st.sampled_from([*DIRECTORY_OPERATIONS, *FILE_OPERATIONS])))
def test_an_attenuated_capability_does_what_the_original_does_or_refuses(steps: Any, allowed: set[str]) -> None:
    """Never more than the original, never more than stated; and what it allows is what the original answers."""
    inner = tree()
    client = Client(attenuate(inner, lambda operation, args: operation in allowed))
    twin = Client(tree())
    for step in steps:
        before = inner.files()
        outcome = client.step(*step)
        if outcome == ("refused", DeniedBy.GRANT):
            assert inner.files() == before
            assert step[0] not in allowed or not {"rename_from", "link_from"} <= allowed
        else:
            things = len(twin.things)
            assert twin.step(*step) == outcome
            assert len(twin.things) - things == (1 if step[0] == "open" and outcome[0] == "done" else 0)
            assert step[0] in allowed or outcome == ("done", None)
        assert twin.directory.files() == inner.files()


@SEQUENCES
@given(steps=STEP_LISTS)
def test_nothing_changes_through_read_only(steps: Any) -> None:
    inner = tree()
    before = inner.files(), [inner.stat_path(path, True) for path in ("a", "d", "d/b")]
    client = Client(read_only(inner))
    for step in steps:
        outcome = client.step(*step)
        if step[0] in CHANGING:
            assert outcome in (("refused", DeniedBy.GRANT), ("done", None))
    assert (inner.files(), [inner.stat_path(path, True) for path in ("a", "d", "d/b")]) == before


@SEQUENCES
@given(steps=STEP_LISTS)
def test_append_only_keeps_every_byte_and_name_that_was_there(steps: Any) -> None:
    inner = tree()
    client = Client(append_only(inner))
    for step in steps:
        before: Any = inner.files()
        client.step(*step)
        after: Any = inner.files()
        for path, data in before.items():
            if data == {}:
                assert inner.stat_path(path, False).filetype is FileType.DIRECTORY
            else:
                assert after[path][: len(data)] == data


@SEQUENCES
@given(steps=STEP_LISTS, limit=st.integers(0, 20))
def test_no_more_than_its_quota_is_ever_written(steps: Any, limit: int) -> None:
    inner = tree()
    start = inner.used_bytes
    client = Client(quota(inner, limit))
    for step in steps:
        if step[0] != "symlink":  # whose text is a name, not contents
            client.step(*step)
    assert inner.used_bytes <= start + limit


@pytest.mark.slow
@SEQUENCES
@given(before=STEP_LISTS, after=STEP_LISTS)
def test_after_revocation_nothing_obtained_through_a_membrane_works(before: Any, after: Any) -> None:
    inner = tree()
    held, off = membrane(inner)
    client = Client(held)
    for step in before:
        client.step(*step)
    off()
    frozen = inner.files()
    for step in after:
        assert client.step(*step) in (("refused", DeniedBy.REVOKED), ("done", None))
    for thing in client.things:
        for operation in DIRECTORY_OPERATIONS if thing.filetype is FileType.DIRECTORY else FILE_OPERATIONS:
            if operation != "close":
                refused(lambda thing=thing, operation=operation: getattr(thing, operation)(), DeniedBy.REVOKED)  # type: ignore[misc]
    assert inner.files() == frozen


@SEQUENCES
@given(steps=STEP_LISTS)
def test_a_membrane_that_is_not_revoked_changes_nothing(steps: Any) -> None:
    client, twin = Client(membrane(tree())[0]), Client(tree())
    for step in steps:
        assert client.step(*step) == twin.step(*step) or step[0] == "list"
    assert [entry.name for entry in client.directory.list()] == [entry.name for entry in twin.directory.list()]
