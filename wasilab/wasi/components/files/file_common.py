"""The common parts of `wasi:filesystem` 0.2 and 0.3: types, error codes, interfaces, preopens.

A descriptor is one of the host's own table, so rights, limits and refusals are those of preview1, and most functions
wrap those of preview1. The versions differ as follows:

- errors and file types are enums in 0.2 and variants in 0.3, with the same names;
- times are `datetime` (unsigned) in 0.2 and `instant` (signed) in 0.3;
- 0.2 reads and writes at an offset or through the streams of `wasi:io`, 0.3 through `stream<u8>` with a future for
  how it ended.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ....capabilities.protocols import FileType
from ...errnos import Errno, WasiError
from ...fdtable import Descriptor
from ...host import Host
from ...operations import Operation as Op
from ..error_names import word_of
from ..interfaces import Interface

F = TypeVar("F", bound=Callable[..., object])

READ, WRITE, FILE_SYNC, DATA_SYNC, REQUESTED_SYNC, MUTATE = (1 << bit for bit in range(6))
"""descriptor-flags."""
FOLLOW = 1
"""path-flags."""
CREATE, DIRECTORY, EXCLUSIVE, TRUNCATE = (1 << bit for bit in range(4))
"""open-flags."""

_NAMES = (
    "access", "would-block", "already", "bad-descriptor", "busy", "deadlock", "quota", "exist", "file-too-large",
    "illegal-byte-sequence", "in-progress", "interrupted", "invalid", "io", "is-directory", "loop", "too-many-links",
    "message-size", "name-too-long", "no-device", "no-entry", "no-lock", "insufficient-memory", "insufficient-space",
    "not-directory", "not-empty", "not-recoverable", "unsupported", "no-tty", "no-such-device", "overflow",
    "not-permitted", "pipe", "read-only", "invalid-seek", "text-file-busy", "cross-device",
)  # fmt: skip
_TYPES = {
    int(filetype): name
    for filetype, name in (
        (FileType.BLOCK_DEVICE, "block-device"), (FileType.CHARACTER_DEVICE, "character-device"),
        (FileType.DIRECTORY, "directory"), (FileType.REGULAR_FILE, "regular-file"), (FileType.SOCKET_DGRAM, "socket"),
        (FileType.SOCKET_STREAM, "socket"), (FileType.SYMBOLIC_LINK, "symbolic-link"),
    )
}  # fmt: skip
IS_DIRECTORY = int(FileType.DIRECTORY)
MUTATE_ASKED = 1 << 16
"""A flag beyond preview1's fdflags: the directory was opened with `mutate-directory`."""
TOP = 1 << 63
"""The first value above a signed 64-bit number."""


def code_of(failure: WasiError) -> str:
    """The error code of 0.2 for a failure."""
    return word_of(failure.errno)


def code3_of(failure: WasiError) -> tuple[str, None]:
    """The error code of 0.3 for a failure; it has no `would-block`."""
    code = code_of(failure)
    return ("busy" if code == "would-block" else code, None)


def type2(filetype: int) -> str:
    return _TYPES.get(filetype, "unknown")


def type3(filetype: int) -> tuple[str, None]:
    found = _TYPES.get(filetype)
    return ("other", None) if found is None else (found, None)


_SHARED_TYPES = {
    "filesize": "u64",
    "descriptor-flags": "flags { read, write, file-integrity-sync, data-integrity-sync, requested-write-sync, "
    "mutate-directory }",
    "path-flags": "flags { symlink-follow }",
    "open-flags": "flags { create, directory, exclusive, truncate }",
    "link-count": "u64",
    "directory-entry": "record { type: descriptor-type, name: string }",
    "advice": "enum { normal, sequential, random, will-need, dont-need, no-reuse }",
    "metadata-hash-value": "record { lower: u64, upper: u64 }",
}


def _stat_type(time: str) -> str:
    return (
        "record { type: descriptor-type, link-count: link-count, size: filesize, "
        f"data-access-timestamp: option<{time}>, data-modification-timestamp: option<{time}>, "
        f"status-change-timestamp: option<{time}> }}"
    )


def drop_descriptor(host: Host, descriptor: Descriptor) -> None:
    if descriptor.preopen is None and host.fds.entries.get(descriptor.fd) is descriptor:
        host.fds.close(descriptor)


TYPES2 = Interface(
    "wasi:filesystem/types",
    "0.2",
    types={
        "input-stream": "use wasi:io/streams",
        "output-stream": "use wasi:io/streams",
        "error": "use wasi:io/error",
        "datetime": "use wasi:clocks/wall-clock",
        **_SHARED_TYPES,
        "descriptor-type": "enum { unknown, block-device, character-device, directory, fifo, symbolic-link, "
        "regular-file, socket }",
        "descriptor-stat": _stat_type("datetime"),
        "new-timestamp": "variant { no-change, now, timestamp(datetime) }",
        "error-code": f"enum {{ {', '.join(_NAMES)} }}",
    },
    resources={"descriptor": drop_descriptor, "directory-entry-stream": lambda host, stream: None},
)
TYPES3 = Interface(
    "wasi:filesystem/types",
    "0.3",
    types={
        "instant": "use wasi:clocks/system-clock",
        **_SHARED_TYPES,
        "descriptor-type": "variant { block-device, character-device, directory, fifo, symbolic-link, regular-file, "
        "socket, other(option<string>) }",
        "descriptor-stat": _stat_type("instant"),
        "new-timestamp": "variant { no-change, now, timestamp(instant) }",
        "error-code": f"variant {{ {', '.join(n for n in _NAMES if n != 'would-block')}, other(option<string>) }}",
    },
    resources={"descriptor": drop_descriptor},
)
PREOPENS2 = Interface("wasi:filesystem/preopens", "0.2", types={"descriptor": "use wasi:filesystem/types"})
PREOPENS3 = Interface("wasi:filesystem/preopens", "0.3", types={"descriptor": "use wasi:filesystem/types"})


def both_versions(name: str, operation: Op, type_: str) -> Callable[[F], F]:
    """Declare a method of `descriptor` that both versions have; in 0.3 it is async."""

    def declare(call: F) -> F:
        full = f"[method]descriptor.{name}"
        text = f"(self: borrow<descriptor>{type_}"
        TYPES2.function(full, operation, text, errors=code_of)(call)
        TYPES3.function(full, operation, f"async {text}", errors=code3_of)(call)
        return call

    return declare


def in_directory(d: Descriptor) -> None:
    if d.filetype != IS_DIRECTORY:
        raise WasiError(Errno.NOTDIR)


def not_a_directory(d: Descriptor) -> None:
    if d.filetype == IS_DIRECTORY:
        raise WasiError(Errno.ISDIR)


def explained(host: Host, error: BaseException, d: Descriptor) -> tuple[str, tuple[str, None]]:
    """The `error` of a future for an exception in a stream. Raises exceptions that are not failures of a call."""
    failure = host.explain(error, d)
    if failure is None:
        raise error
    return ("error", code3_of(failure))


@PREOPENS2.function("get-directories", Op.PREOPENS, "() -> list<tuple<own<descriptor>, string>>")
@PREOPENS3.function("get-directories", Op.PREOPENS, "() -> list<tuple<own<descriptor>, string>>")
def get_directories(host: Host) -> list[tuple[Descriptor, str]]:
    """The granted directories and their names."""
    return [(d, d.preopen) for d in host.fds.entries.values() if d.preopen is not None]
