"""Numbers at the edges of their types, in every parameter that has edges: an errno, never an exception or a hang.

========================================  ==================================================================
numbers                                   answer
========================================  ==================================================================
offset, size, length of 2**63 or more     INVAL
size 2**62, ranges beyond 2**63 - 1       FBIG (NOSPC or NOTSUP where that comes first)
whence, advice, clock, signal undefined   INVAL
any undefined bit of any flags            INVAL
times at the extremes                     taken or INVAL
descriptor numbers of 2**31 and more      BADF, for every call
exit codes up to 2**32 - 1                reported as they are
========================================  ==================================================================
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

import pytest

import wasilab
from wasilab.capabilities.clocks import Clocks
from wasilab.capabilities.host.sockets import listen
from wasilab.capabilities.random import Random
from wasilab.wasi.preview1.spec import MODULES, Call

from .conftest import Yard
from .guests import ALL, FOLLOW, OUT, READ, SEEK, WRITE, Guest, judged, program
from .test_memory import BUFFER, IOVECS, NAME, good

TOP = (1 << 64) - 1
BOTH = pytest.mark.parametrize("module", sorted(MODULES))
KINDS = pytest.mark.parametrize("kind", ["host", "memory"])


def opened(yard: Yard, kind: str = "host", module: str = "wasi_snapshot_preview1", **options: object) -> Guest:
    """A guest with a directory of either kind (3) and its file (4) open for everything."""
    directory = (
        wasilab.MemDir({"file.txt": "inside\n"}) if kind == "memory" else wasilab.HostDir(str(yard.inside), "rw")
    )
    grants = wasilab.Grants(dirs={"/d": directory}, **options)  # type: ignore[arg-type]
    return yard.guest(grants=grants, module=module).iovec(IOVECS, (BUFFER, 10)).open("file.txt", rights=ALL)


@KINDS
@BOTH
@pytest.mark.parametrize("offset", [1 << 63, TOP, (1 << 63) + 4096])
def test_offsets_of_2_63_and_more(yard: Yard, kind: str, module: str, offset: int) -> None:
    guest = opened(yard, kind, module)
    guest.call("fd_pread", 4, IOVECS, 1, offset, OUT).call("fd_pwrite", 4, IOVECS, 1, offset, OUT)
    guest.call("fd_advise", 4, offset, 1, 0).call("fd_advise", 4, 0, offset, 0)
    guest.call("fd_allocate", 4, offset, 1).call("fd_allocate", 4, 0, offset).call("fd_filestat_set_size", 4, offset)
    run = guest.run().assert_answered("SUCCESS", *["INVAL"] * 7)
    assert "2**63" in (run[1].reason or "")


@KINDS
@pytest.mark.parametrize("offset", [(1 << 63) - 1, (1 << 63) - 5, 1 << 62])
def test_the_last_offsets(yard: Yard, kind: str, offset: int) -> None:
    guest = opened(yard, kind).call("fd_pread", 4, IOVECS, 1, offset, OUT).call("fd_pwrite", 4, IOVECS, 1, offset, OUT)
    run = guest.run()
    assert run.errnos()[1] in ("SUCCESS", "INVAL", "OVERFLOW")
    assert run.errnos()[2] in ("FBIG", "INVAL", "NOSPC", "OVERFLOW")
    assert (yard.inside / "file.txt").stat().st_size == 7


@KINDS
@pytest.mark.parametrize(
    ("size", "errnos"), [(1 << 62, {"FBIG"}), ((1 << 63) - 1, {"FBIG"}), (1 << 45, {"FBIG", "SUCCESS"})]
)
def test_sizes_that_no_file_has(yard: Yard, kind: str, size: int, errnos: set[str]) -> None:
    run = opened(yard, kind).call("fd_filestat_set_size", 4, size).call("fd_filestat_set_size", 4, 3).run()
    assert run.errnos()[1] in errnos | {"NOSPC", "INVAL"}
    assert run.errnos()[2] == "SUCCESS"


@KINDS
def test_ranges_that_end_beyond_the_last_offset(yard: Yard, kind: str) -> None:
    guest = (
        opened(yard, kind).call("fd_allocate", 4, (1 << 63) - 1, (1 << 63) - 1).call("fd_allocate", 4, 1 << 62, 1 << 62)
    )
    guest.call("fd_allocate", 4, 0, 0).call("fd_allocate", 4, 0, 1 << 60).call(
        "fd_advise", 4, (1 << 63) - 1, (1 << 63) - 1, 0
    )
    run = guest.run()
    assert run.errnos()[1:4] == ["FBIG", "FBIG", "INVAL"]
    assert run.errnos()[4] in ("NOTSUP", "FBIG", "NOSPC")
    assert run.errnos()[5] in ("SUCCESS", "INVAL")


@KINDS
def test_seeks_that_overflow(yard: Yard, kind: str) -> None:
    top = (1 << 63) - 1
    guest = opened(yard, kind)
    for offset, whence in ((-1, 0), (-8, 2), (-1 << 63, 1), (-1 << 63, 2), (-1 << 63, 0)):
        guest.call("fd_seek", 4, offset, whence, OUT)
    guest.call("fd_seek", 4, top, 0, OUT).call("fd_seek", 4, 1, 0, OUT)
    guest.call("fd_seek", 4, top, 1, OUT).call("fd_seek", 4, top, 2, OUT)
    run = guest.run()
    assert run.errnos()[1:6] == ["INVAL"] * 5
    assert run.errnos()[6] in ("SUCCESS", "INVAL", "OVERFLOW")
    assert run.errnos()[7] == "SUCCESS"
    assert set(run.errnos()[8:]) <= {"INVAL", "OVERFLOW"}


@BOTH
@pytest.mark.parametrize("whence", [3, 255, 256, 1 << 31, (1 << 32) - 1])
def test_an_undefined_whence(yard: Yard, module: str, whence: int) -> None:
    run = opened(yard, module=module).call("fd_seek", 4, 0, whence, OUT).run().assert_answered("SUCCESS", "INVAL")
    assert run[1].reason == f"unknown whence {whence}"


def test_whence_has_another_order_in_the_older_snapshot(yard: Yard) -> None:
    guest = opened(yard, module="wasi_unstable")
    guest.call("fd_seek", 4, 2, 2, OUT).call("fd_seek", 4, 2, 0, OUT).call("fd_seek", 4, -1, 1, OUT)
    run = guest.run().assert_answered(*["SUCCESS"] * 4)
    assert [run[n].result["newoffset"] for n in (1, 2, 3)] == [2, 4, 6]


@pytest.mark.parametrize("advice", [6, 255, (1 << 32) - 1])
def test_undefined_advice(yard: Yard, advice: int) -> None:
    opened(yard).call("fd_advise", 4, 0, 0, advice).call("fd_advise", 4, 0, 0, 5).run().assert_answered(
        "SUCCESS", "INVAL", "SUCCESS"
    )


@BOTH
@pytest.mark.parametrize("clock", [4, 255, 1 << 31, (1 << 32) - 1])
def test_undefined_clocks(module: str, clock: int) -> None:
    guest = Guest(module=module).call("clock_time_get", clock, 0, OUT).call("clock_res_get", clock, OUT)
    run = guest.run().assert_answered("INVAL", "INVAL")
    assert run[0].reason == f"there is no clock {clock}"


@pytest.mark.parametrize("signal", [31, 255, (1 << 32) - 1, 1 << 31])
def test_undefined_signals(signal: int) -> None:
    Guest().call("proc_raise", signal).call("proc_raise", 9).call("proc_raise", 17).run().assert_answered(
        "INVAL", "NOTSUP", "SUCCESS"
    )


FLAGS = {"lookupflags": 1, "oflags": 4, "fdflags": 5, "fstflags": 4}
"""Flags types of paths and files and how many bits each defines."""
FLAGGED = [
    pytest.param(module, call, n, FLAGS[param.type.name], id=f"{module[5:]}-{call.name}-{param.name}")
    for module, calls in MODULES.items()
    for call in calls.values()
    if call.family != "sock"
    for n, param in enumerate(call.params)
    if param.type.name in FLAGS
]


@pytest.mark.parametrize(("module", "call", "place", "defined"), FLAGGED)
def test_every_undefined_bit_of_flags_is_inval(yard: Yard, module: str, call: Call, place: int, defined: int) -> None:
    guest = opened(yard, module=module).put(NAME, b"file.txt")
    index = sum(len(p.type.words) for p in call.params[:place])
    bits = range(defined, 32)
    for bit in bits:
        words = [4 if call.family == "fd" and n == 0 else w for n, w in enumerate(good(call))]
        words[index] = 1 << bit
        guest.call(call.name, *words)
    run = guest.run()
    assert run.errnos() == ["SUCCESS", *["INVAL"] * len(bits)]
    assert "undefined" in (run[1].reason or "")


@pytest.fixture
def client() -> Iterator[tuple[wasilab.Grants, socket.socket]]:
    """Grants with a listening socket (3), and a client that has connected and said something."""
    listener = listen("127.0.0.1:0")
    made = socket.create_connection(listener.bind())
    made.sendall(b"hello")
    yield wasilab.Grants(sockets=(listener,), limits=wasilab.Limits(seconds=20)), made
    made.close()
    listener.release()


@pytest.mark.parametrize("rights", ["strict", "compat"])
def test_undefined_flags_of_sockets(client: tuple[wasilab.Grants, socket.socket], rights: str) -> None:
    guest = Guest(grants=client[0].with_(rights=rights)).iovec(IOVECS, (BUFFER, 10))
    guest.call("sock_accept", 3, 32, OUT).call("sock_accept", 3, 0xFFFFFFFF, OUT).call("sock_accept", 3, 1, OUT)
    guest.call("sock_accept", 3, 0, OUT)
    for flags in (4, 1 << 15, 1 << 16, 0xFFFFFFFF):
        guest.call("sock_recv", 4, IOVECS, 1, flags, OUT, OUT + 8)
    for flags in (1, 1 << 15, 0xFFFFFFFF):
        guest.call("sock_send", 4, IOVECS, 1, flags, OUT)
    for how in (0, 4, 0xFFFFFFFF):
        guest.call("sock_shutdown", 4, how)
    run = guest.run()
    assert run.errnos() == ["INVAL", "INVAL", "NOTSUP", "SUCCESS", *["INVAL"] * 10]
    assert run[8].args["si_flags"] == 1  # once a TypeError, found by the fuzzer: no siflag is defined


@pytest.mark.parametrize("rights", ["strict", "compat"])
def test_a_listening_socket_is_not_a_connection(client: tuple[wasilab.Grants, socket.socket], rights: str) -> None:
    """`sock_shutdown` on it was once a failure of the host, found by the fuzzer."""
    guest = Guest(grants=client[0].with_(rights=rights)).iovec(IOVECS, (BUFFER, 10))
    guest.call("sock_shutdown", 3, 3).call("sock_recv", 3, IOVECS, 1, 0, OUT, OUT + 8).call(
        "sock_send", 3, IOVECS, 1, 0, OUT
    )
    guest.call("fd_read", 3, IOVECS, 1, OUT).call("fd_seek", 3, 0, 0, OUT).call("path_create_directory", 3, "x")
    run = guest.run()
    assert "SUCCESS" not in run.errnos()


TIMES = [0, 1, 10**9, (1 << 62), (1 << 63) - 1]


@KINDS
@BOTH
def test_times_at_the_extremes(yard: Yard, kind: str, module: str) -> None:
    guest = opened(yard, kind, module)
    for when in (*TIMES, 1 << 63, TOP):
        guest.call("fd_filestat_set_times", 4, when, when, 5).call(
            "path_filestat_set_times", 3, FOLLOW, "file.txt", when, when, 5
        )
        guest.call("fd_filestat_get", 4, OUT)
    run = guest.run()
    answers = run.errnos()[1:]
    for n in range(len(TIMES)):
        assert set(answers[3 * n : 3 * n + 2]) <= {"SUCCESS", "INVAL", "OVERFLOW"}
        assert answers[3 * n + 2] == "SUCCESS"
    assert answers[-6:] == ["INVAL", "INVAL", "SUCCESS"] * 2


def test_times_before_1970_and_far_in_the_future_can_be_read(yard: Yard) -> None:
    for name, when in (("old", -(10**18)), ("older", -(1 << 62)), ("new", 1 << 62)):
        (yard.inside / name).touch()
        try:
            os.utime(yard.inside / name, ns=(when, when))
        except OSError:
            continue
    guest = opened(yard)
    for name in ("old", "older", "new"):
        guest.call("path_filestat_get", 3, 0, name, OUT)
    run = guest.run().assert_answered(*["SUCCESS"] * 4)
    assert run[1].result["filestat"].mtim == 0


@pytest.mark.parametrize("when", [0, 1, (1 << 63) - 1, 1 << 63, TOP])
@pytest.mark.parametrize("flags", [2, 8, 10, 6, 9])
def test_now_by_a_clock_that_shows_the_extremes(yard: Yard, when: int, flags: int) -> None:
    run = opened(yard, clocks=Clocks.frozen(when)).call("fd_filestat_set_times", 4, 5, 5, flags).run()
    assert run.errnos()[1] in ("SUCCESS", "INVAL", "OVERFLOW")


def test_both_given_and_now_is_inval(yard: Yard) -> None:
    guest = opened(yard)
    for flags in (3, 7, 11, 12, 13, 14, 15):
        guest.call("fd_filestat_set_times", 4, 0, 0, flags)
    guest.run().assert_answered("SUCCESS", *["INVAL"] * 7)


@BOTH
@pytest.mark.parametrize("timeout", [0, 1, (1 << 63) - 1, 1 << 63, TOP])
@pytest.mark.parametrize("absolute", [0, 1])
@pytest.mark.parametrize("clock", [0, 1])
def test_polls_at_the_extremes_of_a_virtual_clock(module: str, timeout: int, absolute: int, clock: int) -> None:
    unused = struct.pack("<Q", TOP) if module == "wasi_unstable" else b""
    body = struct.pack("<QB7x", TOP, 0) + unused + struct.pack("<IxxxxQQHxxxxxx", clock, timeout, TOP, absolute)
    grants = wasilab.Grants(clocks=Clocks.stepped(1000), limits=wasilab.Limits(seconds=20))
    guest = Guest(grants=grants, module=module).put(512, body).call("poll_oneoff", 512, BUFFER, 1, OUT)
    guest.call("clock_time_get", clock, TOP, OUT)
    run = guest.run()
    assert run.errnos()[0] == "SUCCESS"
    assert run.errnos()[1] in ("SUCCESS", "OVERFLOW")


@pytest.mark.parametrize("number", [7, 1 << 31, (1 << 31) - 1, (1 << 32) - 1, 1 << 16])
@BOTH
def test_descriptor_numbers_that_are_not_open(yard: Yard, module: str, number: int) -> None:
    """In every descriptor parameter of every call, with all else in order."""
    guest = opened(yard, module=module).put(NAME, b"file.txt")
    tried = 0
    for call in MODULES[module].values():
        at = 0
        for param in call.params:
            if param.type.kind == "fd":
                words = [4 if w == 5 else w for w in good(call)]
                words[at] = number
                guest.call(call.name, *words)
                tried += 1
            at += len(param.type.words)
    run = guest.run()
    assert run.errnos() == ["SUCCESS", *["BADF"] * tried], run.run.trace.text()
    assert all("is not open" in (run[n].reason or "") for n in range(1, tried + 1))


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "public"])
def test_a_path_beside_a_bad_descriptor_is_in_the_record_where_it_can_be_read(yard: Yard, raw: bool) -> None:
    """It is asked of no directory, and a pointer out of the memory or a length beyond 4096 is not followed."""
    none = 0xFFFFFFFF
    guest = yard.guest(raw=raw).open("in/the\x1b record", fd=none)
    for pointer, length in ((none, 4), (131072 - 3, 4), (4, none), (0, 4097), (131072, 0), (0x80000000, 0x80000000)):
        guest.call("path_open", none, 0, pointer, length, 0, READ, 0, 0, OUT)
    run = guest.run()
    assert set(run.errnos()) == {"BADF"}
    assert [event.path for event in run.run.trace] == ["in/the\x1b record", *[""] * 6]
    assert "in/the\\x1b record" in str(run.run.denied)
    assert "\x1b" not in str(run.run.denied)


@pytest.mark.parametrize("code", [0, 1, 125, 126, 127, 128, 255, 256, 1 << 31, (1 << 32) - 1])
@pytest.mark.parametrize("raw", [True, False], ids=["raw", "public"])
def test_exit_codes_are_reported_as_they_are(code: int, raw: bool) -> None:
    run = Guest(raw=raw).call("proc_exit", code).call("sched_yield").run()
    assert (run.run.outcome.kind, run.run.exit_code) == ("exit", code)
    assert run.errnos() == ["-"]
    assert run[0].args == {"rval": code}


@BOTH
@pytest.mark.parametrize("raw", [True, False], ids=["raw", "public"])
def test_random_bytes_of_any_size(module: str, raw: bool) -> None:
    sizes = [0, 1, 255, 256, 257, 65535, 65536, (1 << 20) + 1, 31 << 16]
    body = "".join(f"(drop (call $random_get (i32.const {n}) (i32.const {size})))" for n, size in enumerate(sizes))
    text = program("random_get", body, memory='(memory (export "memory") 32)', module=module)
    run = judged(text, wasilab.Grants(random=Random.seeded(7)), raw=raw).assert_answered(*["SUCCESS"] * len(sizes))
    assert len(set(run[6].data)) > 20


@pytest.mark.parametrize("rights", [1 << 40, TOP, 1 << 63, 1 << 30])
def test_undefined_rights_are_not_granted(yard: Yard, rights: int) -> None:
    guest = opened(yard).open("file.txt", rights=rights | READ | SEEK, inheriting=rights).call("fd_fdstat_get", 5, OUT)
    guest.call("fd_fdstat_set_rights", 5, rights | READ, 0).call("fd_fdstat_set_rights", 5, READ, rights)
    run = guest.run()
    assert run.errnos() == ["SUCCESS", "SUCCESS", "SUCCESS", "NOTCAPABLE", "NOTCAPABLE"]
    assert int(run[2].result["fdstat"].rights_base) < 1 << 30


@KINDS
def test_a_length_of_a_read_longer_than_the_file_is_short(yard: Yard, kind: str) -> None:
    guest = opened(yard, kind).iovec(IOVECS, (0, 1 << 17)).call("fd_read", 4, IOVECS, 1, OUT)
    guest.call("fd_read", 4, IOVECS + 64, 1, OUT).iovec(IOVECS + 64, (BUFFER, WRITE))
    run = guest.run()
    assert run.errnos() == ["SUCCESS"] * 3
    assert [run[1].result["nread"], run[2].result["nread"]] == [7, 0]
