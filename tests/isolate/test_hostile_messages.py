"""Messages from a process that was taken over: the worst that they cause in the parent is `BadMessage`."""

from __future__ import annotations

import json
import random
import re
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from wasilab import Grants, MemDir, Trace, run
from wasilab.engine.isolate import seccomp
from wasilab.engine.isolate.messages import MOST_BYTES, BadMessage, MessageChannel, MessageKind, record_of
from wasilab.engine.isolate.outcomes import from_record, to_record
from wasilab.engine.isolate.system_calls import AARCH64, MACHINES, X86_64, SystemCalls
from wasilab.engine.isolate.trace_mirror import TraceMirror, TraceSender
from wasilab.engine.outcome import Frame, Outcome
from wasilab.runs.isolated.shipping import pack_files, unpack_files
from wasilab.trace.record.recorder import Recorder

from ..grants.guests import Guest

OUTCOME = Outcome(
    "trap", 134, "it \u2028 trapped", (Frame("main", "a.c", 3, 17, "m"), Frame("f")), 1.5, 0.25, ("w",), "detail", 7,
    (1, -2, 0.1, float("inf")), ("1",), native_calls=3,
)  # fmt: skip


def received(data: bytes) -> object:
    ours, theirs = socket.socketpair()
    with theirs:
        sender = threading.Thread(target=lambda: (theirs.sendall(data), theirs.shutdown(socket.SHUT_WR)))
        sender.start()
        try:
            return MessageChannel(ours).receive()
        finally:
            ours.close()
            sender.join()


def test_a_message_arrives_as_it_was_sent() -> None:
    ours, theirs = socket.socketpair()
    MessageChannel(theirs).send(MessageKind.STDOUT, b"ab", b"c")
    assert MessageChannel(ours).receive() == (MessageKind.STDOUT, b"abc")
    theirs.close()
    assert MessageChannel(ours).receive() is None
    ours.close()


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<BI", 200, 0), struct.pack("<BI", MessageKind.STDOUT.value, MOST_BYTES + 1),
        struct.pack("<BI", MessageKind.STDOUT.value, MOST_BYTES) + b"short", b"\xff" * 64,
    ],
)  # fmt: skip
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(BadMessage):
        received(data)


@pytest.mark.parametrize("body", [b"", b"[1]", b"{", b"[" * 100_000, b'"\xff"', b" " * (9 << 20)])
def test_what_is_no_record_is_refused(body: bytes) -> None:
    with pytest.raises(BadMessage):
        record_of(body)


def test_an_outcome_round_trips() -> None:
    assert from_record(record_of(json.dumps(to_record(OUTCOME)).encode())) == OUTCOME


@pytest.mark.parametrize("name", list(to_record(OUTCOME)))
@pytest.mark.parametrize("value", [None, -1, 1 << 70, "x" * (1 << 17), [[]], {"a": 1}, 1e300, [["int", "9" * 65]]])
def test_an_outcome_of_other_types_is_refused_or_harmless(name: str, value: object) -> None:
    record = {**to_record(OUTCOME), name: value}
    try:
        found = from_record(record)
    except BadMessage:
        return
    assert (name, value) in [("fuel_used", None), ("native_calls", None)]
    assert replace(found, **{name: getattr(OUTCOME, name)}) == OUTCOME


def traced() -> Recorder:
    guest = Guest().open("a.txt").read().open("b.txt")
    recorder = run(guest.module(), (), Grants(dirs={"/d": MemDir({"a.txt": "text"})})).recorder
    assert recorder is not None
    return recorder


def sent(recorder: Recorder) -> list[tuple[MessageKind, bytes]]:
    messages: list[tuple[MessageKind, bytes]] = []
    TraceSender(recorder, lambda kind, *parts: messages.append((kind, b"".join(parts)))).tick(last=True)
    return messages


def taken(messages: list[tuple[MessageKind, bytes]]) -> Recorder:
    recorder = Recorder()
    mirror = TraceMirror(recorder)
    for kind, body in messages:
        take = {MessageKind.CALLS: mirror.calls, MessageKind.LIVES: mirror.lives, MessageKind.TABLES: mirror.tables}
        take[kind](bytearray(body))
    return recorder


def test_a_trace_round_trips() -> None:
    recorder = traced()
    assert Trace.from_recorder(taken(sent(recorder))).text() == Trace.from_recorder(recorder).text() != ""


def damaged(body: bytes, chance: random.Random) -> bytes:
    found = bytearray(body)
    for _ in range(chance.randint(1, 4)):
        match chance.randrange(3):
            case 0:
                found[chance.randrange(len(found))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 1:
                del found[chance.randrange(len(found)) :]
                found += b"\0"
            case _:
                at = chance.randrange(max(1, len(found) - 8))
                found[at : at + 4] = struct.pack("<I", chance.choice((0xFFFFFFFF, 1 << 31, 5)))
    return bytes(found)


def test_a_damaged_trace_is_refused_or_read_as_a_strangers_file() -> None:
    messages = sent(traced())
    chance = random.Random(16)
    refused = 0
    for _ in range(400):
        broken = [(kind, damaged(body, chance) if chance.random() < 0.5 else body) for kind, body in messages]
        try:
            recorder = taken(broken)
        except BadMessage:
            refused += 1
            continue
        trace = Trace.from_recorder(recorder)
        try:
            assert isinstance(trace.text(), str)
        except ValueError:
            refused += 1
    assert 50 < refused < 400


def test_calls_out_of_order_are_refused() -> None:
    calls = [message for message in sent(traced()) if message[0] is MessageKind.CALLS]
    with pytest.raises(BadMessage, match="order"):
        taken([*calls, *calls])


def test_files_round_trip_and_damaged_ones_are_refused() -> None:
    directory = MemDir({"a": b"\0\xff", "sub": {"b": "text", "empty": {}}})
    packed = pack_files("/d", directory)
    assert unpack_files(packed) == ("/d", directory.files())
    chance = random.Random(16)
    for _ in range(300):
        try:
            guest, files = unpack_files(damaged(packed, chance))
        except BadMessage:
            continue
        held = MemDir({"a": "x"}, max_bytes=1000, max_names=20)
        try:
            held.become(files)
        except (ValueError, OSError):
            continue
        assert held.used_bytes <= 1000
        assert isinstance(guest, str)


@pytest.mark.parametrize(
    "files",
    [{"../a": b""}, {"a//b": b""}, {"a\0": b""}, {"/a": b""}, {".": b""}, {"x" * 300: b""}, {"a": b"x" * 2000},
     {"a": b"", "a/b": b""}],
)  # fmt: skip
def test_files_that_no_folder_has_are_refused(files: dict[str, bytes]) -> None:
    with pytest.raises((ValueError, OSError)):
        MemDir(max_bytes=1000).become(files)  # type: ignore[arg-type]


def test_a_folder_becomes_other_files_and_keeps_what_is_the_same() -> None:
    directory = MemDir({"same": "1", "other": "2", "gone": {"deep": {"x": "y"}}, "kind": "file"})
    inode = directory.stat_path("same", False).ino
    wanted = {"same": b"1", "other": b"3", "kind/below": b"4", "new/deep": {}}
    directory.become(wanted)  # type: ignore[arg-type]
    assert directory.files() == wanted
    assert directory.stat_path("same", False).ino == inode


def verdict(rules: list[seccomp.Instruction], number: int, *args: int, arch: int = 0xC000003E) -> int:
    """What the kernel would answer: an interpreter of the instructions that the filter uses."""
    data = struct.pack("<IIQ6Q", number, arch, 0, *args, *[0] * (6 - len(args)))
    held, at = 0, 0
    jumps: dict[int, Callable[[int, int], bool]] = {
        0x15: lambda a, k: a == k, 0x35: lambda a, k: a >= k, 0x45: lambda a, k: bool(a & k)
    }  # fmt: skip
    while True:
        code, yes, no, operand = rules[at]
        at += 1
        if code == 0x06:
            return operand
        if code == 0x20:
            held = struct.unpack_from("<I", data, operand)[0]
        else:
            at += yes if jumps[code](held, operand) else no


ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026


@pytest.mark.parametrize("calls", [X86_64, AARCH64], ids=["x86_64", "aarch64"])
def test_the_filter_allows_what_is_listed_and_nothing_else(calls: SystemCalls) -> None:
    rules = seccomp.program(2, calls=calls)
    some = {"mmap": ALLOW, "prlimit64": ALLOW, "clone": KILL, "clone3": ENOSYS}
    answers = {
        **{number: some.get(name, EPERM) for name, number in calls.checked.items()},
        **dict.fromkeys(calls.fatal.values(), KILL), **dict.fromkeys(calls.allowed.values(), ALLOW),
    }  # fmt: skip
    for number in range(600):
        assert verdict(rules, number, arch=calls.architecture) == answers.get(number, EPERM), number
    assert not set(calls.allowed.values()) & {*calls.fatal.values(), *calls.checked.values()}
    assert len({*calls.allowed.values()}) == len(calls.allowed)


def test_the_machines_forbid_and_check_the_same_calls() -> None:
    assert set(X86_64.fatal) - set(AARCH64.fatal) == {"fork", "vfork"}
    assert set(AARCH64.fatal) <= set(X86_64.fatal)
    assert set(AARCH64.allowed) <= set(X86_64.allowed)
    assert set(AARCH64.checked) == set(X86_64.checked)


_OTHER_NAMES = {"newfstatat": "fstatat"}
_HEADERS = {"x86_64": "x86_64-linux-gnu/asm/unistd_64.h", "aarch64": "asm-generic/unistd.h"}


@pytest.mark.parametrize("machine", MACHINES)
def test_the_numbers_are_those_of_the_kernels_headers(machine: str) -> None:
    header = Path("/usr/include", _HEADERS[machine])
    if not header.exists():
        pytest.skip(f"no {header}")
    told = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text())
    numbers = {name: int(number) for name, number in told}
    calls = MACHINES[machine]
    for name, number in {**calls.allowed, **calls.fatal, **calls.checked}.items():
        assert numbers.get(name, numbers.get(_OTHER_NAMES.get(name, ""))) == number, name


@pytest.mark.parametrize("calls", [X86_64, AARCH64], ids=["x86_64", "aarch64"])
@pytest.mark.parametrize(
    ("call", "args", "answer"),
    [
        ("mmap", (0, 4096, 3, 0x22), ALLOW), ("mmap", (0, 4096, 3, 0x21), EPERM), ("mmap", (0, 4096, 3, 0x03), EPERM),
        ("clone", (0x10000 | 0x100,), ALLOW), ("clone", (0x11,), KILL), ("kill", (2, 9), ALLOW),
        ("kill", (3, 9), EPERM), ("tgkill", (2, 2, 6), ALLOW), ("tgkill", (1, 1, 6), EPERM), ("accept4", (7,), ALLOW),
        ("accept4", (8,), EPERM), ("accept", (7,), ALLOW), ("ioctl", (1, 0x541B), ALLOW), ("ioctl", (1, 0x5412), EPERM),
        ("prctl", (15,), ALLOW), ("prctl", (4,), EPERM), ("prlimit64", (0, 3), ALLOW), ("prlimit64", (1, 3), EPERM),
    ],
)  # fmt: skip
def test_the_filter_looks_at_arguments(calls: SystemCalls, call: str, args: tuple[int, ...], answer: int) -> None:
    rules = seccomp.program(2, [7], calls)
    assert verdict(rules, calls.checked[call], *args, arch=calls.architecture) == answer


def test_the_filter_kills_calls_of_another_architecture() -> None:
    for calls, other in ((X86_64, 0x40000003), (X86_64, AARCH64.architecture), (AARCH64, 0x40000028),
                         (AARCH64, X86_64.architecture)):  # fmt: skip
        assert verdict(seccomp.program(2, calls=calls), 1, arch=other) == KILL
    assert verdict(seccomp.program(2, calls=X86_64), 1 | 0x40000000) == KILL
