"""A guest without an engine: it calls the semantics as a trampoline does, by the spec, with Python buffers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from wasilab.capabilities.clocks import Clocks
from wasilab.capabilities.host.hostdir import HostDir
from wasilab.capabilities.memory.memdir import MemDir
from wasilab.capabilities.random import Random
from wasilab.capabilities.refusal import DeniedBy, Need
from wasilab.wasi.host import Host
from wasilab.wasi.preview1.spec import SNAPSHOT1, UNSTABLE
from wasilab.wasi.types import Errno, Rights, WasiError

ALL_RIGHTS = (1 << 30) - 1
FILE_RIGHTS = int(
    Rights.FD_READ | Rights.FD_WRITE | Rights.FD_SEEK | Rights.FD_TELL | Rights.FD_FILESTAT_GET
    | Rights.FD_FILESTAT_SET_SIZE | Rights.FD_FILESTAT_SET_TIMES | Rights.FD_FDSTAT_SET_FLAGS | Rights.FD_SYNC
    | Rights.FD_DATASYNC | Rights.FD_ADVISE | Rights.FD_ALLOCATE | Rights.POLL_FD_READWRITE
)  # fmt: skip


class Answer(NamedTuple):
    """What a call came to."""

    errno: Errno
    value: Any
    reason: str
    denied_by: DeniedBy
    need: Need | None = None


class Guest:
    """Calls by number of descriptor; buffers are bytes (to write) and bytearrays (to fill)."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def call(self, name: str, *args: Any, unstable: bool = False) -> Answer:
        call = (UNSTABLE if unstable else SNAPSHOT1)[name]
        params = call.arguments
        assert len(params) == len(args), f"{name} takes {[p.name for p in params]}"
        first: Any = None  # the descriptor that the trampoline names when it explains a failure
        try:
            decoded = []
            for param, arg in zip(params, args, strict=True):
                kind = param.type.kind
                if kind == "fd":
                    descriptor = self.host.fds.entries.get(arg)
                    if descriptor is None:
                        raise WasiError(Errno.BADF)
                    if int(param.right) & ~descriptor.allowed:
                        self.host.check(descriptor, int(param.right))
                    first = first or descriptor
                    arg = descriptor
                elif kind in ("iovecs", "ciovecs"):
                    arg = [memoryview(buffer) for buffer in arg]
                elif kind == "outbuf":
                    arg = memoryview(arg)
                elif kind == "string" and isinstance(arg, str):
                    arg = arg.encode()
                decoded.append(arg)
            value = call.function(self.host, *decoded)
        except Exception as error:
            failure = self.host.explain(error, first)
            if failure is None:
                raise
            return Answer(failure.errno, None, failure.reason, failure.denied_by, failure.need)
        return Answer(Errno.SUCCESS, value, "", DeniedBy.NONE)

    def do(self, name: str, *args: Any, unstable: bool = False) -> Any:
        """A call that must succeed; its value."""
        answer = self.call(name, *args, unstable=unstable)
        assert answer.errno == Errno.SUCCESS, f"{name}{args}: {answer}"
        return answer.value

    def open(
        self, path: str, oflags: int = 0, rights: int = FILE_RIGHTS, inheriting: int = ALL_RIGHTS, fdflags: int = 0,
        fd: int = 3, follow: int = 0,
    ) -> int:  # fmt: skip
        return int(self.do("path_open", fd, follow, path, oflags, rights, inheriting, fdflags))

    def put(self, path: str, data: bytes, fd: int = 3) -> None:
        opened = self.open(path, 1 | 8, fd=fd)
        assert self.do("fd_write", opened, [data]) == len(data)
        self.do("fd_close", opened)

    def get(self, path: str, fd: int = 3) -> bytes:
        opened = self.open(path, rights=int(Rights.FD_READ), fd=fd)
        buffer = bytearray(1 << 16)
        count = self.do("fd_read", opened, [buffer])
        self.do("fd_close", opened)
        return bytes(buffer[:count])

    def mkdir(self, path: str, fd: int = 3) -> int:
        self.do("path_create_directory", fd, path)
        return self.open(path, 2, rights=ALL_RIGHTS & ~int(Rights.FD_WRITE), fd=fd)


MakeGuest = Callable[..., Guest]


@pytest.fixture
def make_guest() -> Any:
    """make_guest(dirs={}, rights="strict", ...) -> Guest with clocks frozen at 1 s and seeded randomness."""
    hosts = []

    def make(dirs: Mapping[str, Any] | None = None, **options: Any) -> Guest:
        options.setdefault("clocks", Clocks.frozen(1_000_000_000))
        options.setdefault("random", Random.seeded(1))
        host = Host(preopens=dirs or {}, **options)
        hosts.append(host)
        return Guest(host)

    yield make
    for host in hosts:
        host.close()


@pytest.fixture(params=["memory", "host"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """An empty writable directory, of each kind."""
    return MemDir() if request.param == "memory" else HostDir(tmp_path, mode="rw")


@pytest.fixture
def guest(make_guest: MakeGuest, folder: Any) -> Guest:
    """A guest that holds one writable directory, descriptor 3, named /data."""
    return make_guest({"/data": folder})
