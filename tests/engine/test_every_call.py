"""Every call of the spec table succeeds once through the engine, in every way in which it can be linked."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from wasilab.capabilities.clocks import Clocks
from wasilab.capabilities.host.sockets import ListenSocket, listen
from wasilab.capabilities.memory.memdir import MemDir
from wasilab.capabilities.random import Random
from wasilab.capabilities.streams import BytesInput, CallbackOutput
from wasilab.engine.worker import execute
from wasilab.module.module import Module, load
from wasilab.trace.record.recorder import DID_NOT_RETURN, Flag
from wasilab.wasi.host import Host
from wasilab.wasi.preview1.spec import MODULES

from .guests import Ran, imports, run

ALL_RIGHTS, FD_READ = 0x3FFFFFFF, 1 << 1
OUT, ONE, TWO, TEXT, SUBSCRIPTION = 512, 0, 8, 128, 3000
ONE_BUFFER, TWO_BUFFERS = (ONE, 1), (TWO, 2)
FILE, FOLDER, LINK, OTHER = (TEXT, 4), (TEXT + 4, 3), (TEXT + 7, 4), (TEXT + 11, 5)
NAMES = b"filedirlinkother"
STDIN, STDOUT, ROOT, LISTENER, OPENED, CONNECTION = 0, 1, 3, 4, 5, 6

CALLS: list[tuple[Any, ...]] = [
    ("args_sizes_get", OUT, OUT + 8),
    ("args_get", OUT, OUT + 64),
    ("environ_sizes_get", OUT, OUT + 8),
    ("environ_get", OUT, OUT + 64),
    ("clock_res_get", 0, OUT),
    ("clock_time_get", 1, 1, OUT),
    ("random_get", OUT, 16),
    ("sched_yield",),
    ("proc_raise", 13),
    ("path_open", ROOT, 1, *FILE, 1, ALL_RIGHTS, ALL_RIGHTS, 0, OUT),
    ("fd_write", OPENED, *TWO_BUFFERS, OUT),
    ("fd_write", STDOUT, *ONE_BUFFER, OUT),
    ("fd_pwrite", OPENED, *ONE_BUFFER, 3, OUT),
    ("fd_pread", OPENED, *ONE_BUFFER, 0, OUT),
    ("fd_seek", OPENED, 0, 0, OUT),
    ("fd_tell", OPENED, OUT),
    ("fd_read", OPENED, *TWO_BUFFERS, OUT),
    ("fd_read", STDIN, *ONE_BUFFER, OUT),
    ("fd_advise", OPENED, 0, 1, 0),
    ("fd_allocate", OPENED, 0, 20),
    ("fd_datasync", OPENED),
    ("fd_sync", OPENED),
    ("fd_fdstat_get", OPENED, OUT),
    ("fd_fdstat_set_flags", OPENED, 0),
    ("fd_filestat_get", OPENED, OUT),
    ("fd_filestat_set_size", OPENED, 10),
    ("fd_filestat_set_times", OPENED, 1, 2, 5),
    ("fd_prestat_get", ROOT, OUT),
    ("fd_prestat_dir_name", ROOT, OUT, 1),
    ("fd_readdir", ROOT, OUT, 100, 0, OUT + 128),
    ("path_create_directory", ROOT, *FOLDER),
    ("path_filestat_get", ROOT, 0, *FILE, OUT),
    ("path_filestat_set_times", ROOT, 0, *FILE, 1, 2, 5),
    ("path_link", ROOT, 0, *FILE, ROOT, *OTHER),
    ("path_unlink_file", ROOT, *OTHER),
    ("path_symlink", *FILE, ROOT, *LINK),
    ("path_readlink", ROOT, *LINK, OUT, 10, OUT + 64),
    ("path_rename", ROOT, *FOLDER, ROOT, *OTHER),
    ("path_remove_directory", ROOT, *OTHER),
    ("poll_oneoff", SUBSCRIPTION, OUT, 1, OUT + 64),
    ("sock_accept", LISTENER, 0, OUT),
    ("sock_send", CONNECTION, *TWO_BUFFERS, 0, OUT),
    ("sock_send", CONNECTION, *ONE_BUFFER, 0, OUT),
    ("sock_recv", CONNECTION, *ONE_BUFFER, 1, OUT, OUT + 4),
    ("sock_recv", CONNECTION, *ONE_BUFFER, 0, OUT, OUT + 4),
    ("sock_recv", CONNECTION, *TWO_BUFFERS, 2, OUT, OUT + 4),
    ("sock_shutdown", CONNECTION, 3),
    ("fd_fdstat_set_rights", OPENED, FD_READ, 0),
    ("fd_renumber", OPENED, STDIN),
    ("fd_close", STDIN),
    ("proc_exit", 0),
]
"""Name and core arguments, each of which succeeds in this order."""


def performing(
    calls: list[tuple[Any, ...]], module: str, *, lender: str | None = None, extra: str = ""
) -> Module:
    """A command that makes the calls in order; it ends by `unreachable` with the first one that fails.

    Its WASI functions come from the module `lender`, where one is named: then they belong to another instance.
    `extra` are further fields of it.
    """
    table = MODULES[module]
    names = list(dict.fromkeys(call[0] for call in calls))
    body = []
    for name, *arguments in calls:
        constants = " ".join(f"({kind}.const {n})" for kind, n in zip(table[name].signature, arguments, strict=True))
        called = f"(call ${name} {constants})"
        body.append(f"(if {called} (then unreachable))" if table[name].returns else called)
    lines = imports(*names, module=module)
    if lender is not None:
        lines = lines.replace(f'(import "{module}"', f'(import "{lender}"')
    buffers = struct.pack("<6I", 64, 5, 72, 2, 80, 7)
    monotonic = struct.pack("<QB7x", 1, 0) + (b"" if module != "wasi_unstable" else bytes(8))
    monotonic += struct.pack("<IxxxxQQHxxxxxx", 1, 1, 0, 0)
    text = f"""(module {lines} (memory (export "memory") 1) {data(0, buffers)} {data(64, b"0123456789abcdefghijklmn")}
      {data(TEXT, NAMES)} {data(SUBSCRIPTION, monotonic)} {extra}
      {"" if lender is None else f'(import "{lender}" "table" (table 1 funcref))'}
      (func (export "_start") {" ".join(body)}))"""
    return load(_imports_first(text).encode(), name="performs")


def _imports_first(text: str) -> str:
    """WebAssembly text wants all imports before anything else."""
    start = text.find('(import', text.find("(memory"))
    if start < 0:
        return text
    end = text.index("\n", start)
    return text[:8] + text[start:end] + text[8:start] + text[end:]


def data(at: int, content: bytes) -> str:
    """A data segment."""
    return f'(data (i32.const {at}) "{"".join(f"{chr(92)}{byte:02x}" for byte in content)}")'


def lender_of(module: str) -> Module:
    """A library that passes on all of WASI, and a table, through which references to functions might travel."""
    table = MODULES[module]
    exports = " ".join(f'(export "{name}" (func ${name}))' for name in table)
    text = f'(module {imports(*table, module=module)} (table (export "table") 1 funcref) {exports})'
    return load(text.encode(), name="lender")


@contextlib.contextmanager
def talking_peer() -> Iterator[ListenSocket]:
    """A listening socket to grant, with a client that has sent 14 bytes and waits to be accepted."""
    listener = listen("127.0.0.1:0")
    with socket.create_connection(listener.bind()) as client:
        client.sendall(b"hello, program")
        yield listener
    listener.release()


def host_for(listener: ListenSocket) -> dict[str, Any]:
    """What the calls need."""
    return {
        "preopens": {"/": MemDir()}, "stdin": BytesInput(b"input"), "sockets": [listener], "environ": [b"A=1"],
    }  # fmt: skip


def performed(
    calls: list[tuple[Any, ...]], module: str = "wasi_snapshot_preview1", *, foreign: bool = False, **options: Any
) -> Ran:
    """Run the calls beside a talking peer; all of them succeeded."""
    preload: Mapping[str, Module] = {"lender": lender_of(module)} if foreign else {}
    program = performing(calls, module, lender="lender" if foreign else None)
    with talking_peer() as listener:
        ran = run(program, preload=preload, **host_for(listener), **options)
    assert ran.outcome.ok, f"{ran.outcome}\n{ran.trace.text()}"
    assert [call.name for call in ran.calls] == [call[0] for call in calls]
    assert {call.errno for call in ran.calls[:-1]} <= {0}
    return ran


SOCKET_CALLS = [call for call in CALLS if call[0].startswith(("sock_a", "sock_recv", "proc_exit"))]
SOCKET_CALLS = [tuple(OPENED if word == CONNECTION else word for word in call) for call in SOCKET_CALLS]


@pytest.mark.parametrize("module", sorted(MODULES))
@pytest.mark.parametrize("raw", [True, False], ids=["raw", "public"])
@pytest.mark.parametrize("foreign", [False, True], ids=["own", "foreign"])
@pytest.mark.parametrize("overridden", [False, True], ids=["plain", "overridden"])
def test_every_call_of_the_table_succeeds_and_is_recorded(
    module: str, raw: bool, foreign: bool, overridden: bool
) -> None:
    calls = CALLS
    if "sock_accept" not in MODULES[module]:  # then there is no connection for the other three
        calls = [call for call in CALLS if not call[0].startswith("sock_")]
    passing_on = {name: lambda original, *given: original(*given) for name in MODULES[module]}
    ran = performed(calls, module, foreign=foreign, raw=raw, overrides=passing_on if overridden else None)
    assert ran.trace["errno"].tolist()[-1] == DID_NOT_RETURN
    sockets = set() if calls is CALLS else {"sock_recv", "sock_send", "sock_shutdown"}
    assert {call.name for call in ran.calls} | sockets >= set(MODULES[module])
    assert all(bool(call.flags & Flag.OVERRIDE) == overridden for call in ran.calls)
    assert ran.trace.text().count("\n") >= len(ran.calls) - 1


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "public"])
@pytest.mark.parametrize("snaplen", [None, 64, 3, 0])
def test_sock_recv_into_one_and_two_buffers_is_recorded_as_it_was(raw: bool, snaplen: int | None) -> None:
    ran = performed(SOCKET_CALLS, raw=raw, snaplen=snaplen)
    received = [call for call in ran.calls if call.name == "sock_recv"]
    assert [call.result for call in received] == [
        {"ro_datalen": 5, "ro_flags": 0}, {"ro_datalen": 5, "ro_flags": 0}, {"ro_datalen": 9, "ro_flags": 0},
    ]  # fmt: skip
    whole = [b"hello", b"hello", b", program"]
    assert [call.data for call in received] == [text[:snaplen] for text in whole]
    assert [[(v.ptr, v.len) for v in call.args["ri_data"]] for call in received] == [
        [(64, 5)], [(64, 5)], [(72, 2), (80, 7)],
    ]  # fmt: skip
    assert [int(call.args["ri_flags"]) for call in received] == [1, 0, 2]


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "public"])
def test_every_call_succeeds_untraced(raw: bool) -> None:
    ignored = CallbackOutput(bytearray().extend)
    with talking_peer() as listener:
        host = Host(
            args=[b"prog"], stdout=ignored, stderr=ignored, clocks=Clocks.real(), random=Random.real(),
            **host_for(listener),
        )  # fmt: skip
        outcome = execute(performing(CALLS, "wasi_snapshot_preview1"), host, raw=raw)
        host.close()
    assert outcome.ok, outcome
