"""The data sent to a confined process for a run: JSON values, and open descriptors that they name by number.

`pack` makes them from a prepared run; `Shipment` rebuilds the objects in the process. Folders of the host are opened
here and sent as descriptors; folders in memory and copies are sent as their contents. An object of this process, such
as a Python function that answers a call, cannot be sent (`CannotIsolate`).
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from ...capabilities.host.folder import HostFolder
from ...capabilities.host.hostdir import HostDir
from ...capabilities.host.sockets import ListenSocket
from ...capabilities.memory.memdir import MemDir, Symlink
from ...capabilities.protocols import Directory
from ...capabilities.streams import DescriptorInput, QueueInput
from ...engine.compiling.engine_options import EngineOptions
from ...engine.isolate.confined_process import CannotIsolate
from ...engine.isolate.messages import BadMessage, Record
from ...engine.limits import Limits
from ...grants.forms.json import from_value, to_value
from ...grants.grants import Grants
from ...grants.value import GrantError
from ...module.module import Module
from ...text.numbers import with_article
from ...trace.record.packing import pack_list, unpack_list
from ..prepare import Prepared, RunOptions

_MOST_DESCRIPTORS = 200


class Parcel:
    """Descriptors to send, opened or borrowed here; `close` closes those that were opened for it."""

    def __init__(self) -> None:
        self.descriptors: list[int] = []
        self._own: list[int] = []

    def add(self, descriptor: int) -> int:
        """Send a descriptor; returns its number in the parcel."""
        self.descriptors.append(descriptor)
        return len(self.descriptors) - 1

    def add_bytes(self, data: bytes) -> int:
        """Send bytes as an anonymous file."""
        file = os.memfd_create("wasilab") if hasattr(os, "memfd_create") else _temporary()
        self._own.append(file)
        view = memoryview(data)
        while view:
            view = view[os.write(file, view) :]
        os.lseek(file, 0, os.SEEK_SET)
        return self.add(file)

    def close(self) -> None:
        """Close what was opened for it."""
        for descriptor in self._own:
            os.close(descriptor)
        self._own.clear()


def pack(
    prepared: Prepared, args: Sequence[object], engine: EngineOptions, codes: Sequence[bytes] | None
) -> tuple[Record, Parcel]:
    """The data for a run. Raises `CannotIsolate` for a grant that cannot be sent."""
    grants, options = prepared.grants, prepared.options
    _check(prepared)
    parcel = Parcel()
    modules = {"": prepared.module, **options.preload}
    own = prepared.pump.own if grants.stdin == "ask" else None
    try:
        record = {
            "component": prepared.module.is_component,
            "modules": [
                {"preload": key, "name": m.name, "lang": m.lang, "source_name": m.source_name,
                 "at": parcel.add_bytes(m.bytes)}
                for key, m in modules.items()
            ],
            "codes": None if codes is None else [parcel.add_bytes(code) for code in codes],
            "args": [_argument(arg) for arg in args],
            "name": prepared.name,
            "argv0": None if options.argv0 is None else _argument(options.argv0),
            "invoke": options.invoke,
            "engine": asdict(engine),
            "trace": options.trace, "stacks": options.stacks, "raw": options.raw, "native": options.native,
            "snaplen": None if options.record else options.snaplen,
            "live": prepared.live is not None,
            "grants": _values(grants),
            "withheld": {guest: list(names) for guest, names in grants.withheld.items()},
            "dirs": [_directory(guest, d, grants.dirs[guest], parcel) for guest, d in prepared.dirs.items()],
            "sockets": [_socket(socket, parcel) for socket in grants.sockets],
            "stdin": {"at": parcel.add(own.fileno() or 0)} if isinstance(own, DescriptorInput) else
                     "queue" if grants.stdin == "ask" else None,
        }  # fmt: skip
        if len(parcel.descriptors) > _MOST_DESCRIPTORS:
            raise CannotIsolate(f"an isolated run can be given at most {_MOST_DESCRIPTORS} folders and files")
    except BaseException:
        parcel.close()
        raise
    return record, parcel


def _check(prepared: Prepared) -> None:
    """Refuse objects of this process."""
    grants = prepared.grants
    if grants.faults:
        raise CannotIsolate(
            "faults (--inject) are made by Python functions, which cannot be sent to the process of an isolated run: "
            "remove them or the isolation"
        )
    if prepared.overrides:
        raise CannotIsolate(
            f"the overrides ({', '.join(prepared.overrides)}) are Python functions, which cannot be sent to the "
            "process of an isolated run: remove them or the isolation"
        )
    if prepared.module.is_component and (grants.connect or grants.resolve or grants.http):
        raise CannotIsolate(
            "an isolated run has no network, so connect, resolve and http cannot be granted to it: remove them or the "
            "isolation"
        )
    if prepared.options.engine.profile in ("perfmap", "jitdump"):
        raise CannotIsolate(
            f"--profile {prepared.options.engine.profile} writes a file that perf finds by the process, and that of an "
            "isolated run can write none: remove it or the isolation"
        )
    if isinstance(grants.stdin, QueueInput) or not isinstance(grants.stdin, (bytes, str, type(None))):
        raise CannotIsolate(
            f"stdin is {with_article(type(grants.stdin).__name__)} of this process, which an isolated run cannot "
            'read: give it bytes, or "ask"'
        )


def _values(grants: Grants) -> Record:
    """The grants that are values, with stdin unless it is "ask"."""
    stdin = b"" if grants.stdin == "ask" else grants.stdin
    # There, compiling is bounded by the limits of the whole process.
    limits = replace(grants.limits, compile_seconds=None, compile_memory=None)
    plain = grants.with_(dirs={}, withheld={}, sockets=(), stdin=stdin, limits=limits)
    try:
        return to_value(plain)
    except (GrantError, ValueError) as error:
        raise CannotIsolate(f"this cannot be sent to the process of an isolated run: {error}") from None


def _directory(guest: str, held: Directory, granted: Directory, parcel: Parcel) -> Record:
    if isinstance(held, HostFolder) and isinstance(granted, HostDir):
        return {"guest": guest, "at": parcel.add(held.fileno()), "writable": held.writable, "name": granted.path}
    if isinstance(held, MemDir):
        bounds = {"max_bytes": held.max_bytes, "max_names": held.max_names, "writable": held.writable}
        return {"guest": guest, "contents": parcel.add_bytes(pack_files(guest, held)), **bounds}
    raise CannotIsolate(
        f"the directory at {guest!r} is {with_article(type(held).__name__)} of this process, which an isolated run "
        "cannot use: "
        "grant a host folder or one in memory"
    )


def _socket(socket: object, parcel: Parcel) -> Record:
    if not isinstance(socket, ListenSocket):
        raise CannotIsolate(
            f"{with_article(type(socket).__name__)} cannot be sent to the process of an isolated run: grant a "
            "listening socket"
        )
    socket.bind()
    return {"address": socket.address, "at": parcel.add(socket.fileno() or 0)}


def _argument(arg: object) -> object:
    return {"base64": base64.b64encode(arg).decode()} if isinstance(arg, bytes) else arg


_FILE, _LINK, _FOLDER = b"f", b"l", b"d"


def pack_files(guest: str, directory: MemDir) -> bytes:
    """The contents of a folder in memory, for `unpack_files`."""
    items = [guest.encode()]
    for path, node in directory.files().items():
        items.append(path.encode())
        if isinstance(node, Symlink):
            items.append(_LINK + str(node).encode())
        else:
            items.append(_FILE + node if isinstance(node, bytes) else _FOLDER)
    return b"".join([pack_list(items)])


def unpack_files(data: bytes | bytearray) -> tuple[str, dict[str, bytes | Symlink | dict[str, bytes]]]:
    """The guest path and the files of a folder. Raises `BadMessage` for what is not one."""
    try:
        guest, *items = unpack_list(memoryview(data), 1 << 22)
        files: dict[str, bytes | Symlink | dict[str, bytes]] = {}
        for path, node in zip(items[::2], items[1::2], strict=True):
            kind, content = node[:1], node[1:]
            if kind not in (_FILE, _LINK, _FOLDER):
                raise ValueError("a file without a kind")
            files[path.decode()] = (
                content if kind == _FILE else Symlink(content.decode()) if kind == _LINK else {}
            )
        return guest.decode(), files
    except Exception as error:  # noqa: BLE001  struct.error, ValueError: whatever hostile bytes bring about
        raise BadMessage(f"files that cannot be read: {error}") from None


class Shipment:
    """The received data, in the process that is to run it. Nothing has been parsed yet."""

    def __init__(self, record: Record, descriptors: Sequence[int]) -> None:
        self._record = record
        self._descriptors = descriptors

    def _fd(self, entry: Record) -> int:
        return int(self._descriptors[entry["at"]])

    def _bytes(self, number: int) -> bytes:
        with open(self._descriptors[number], "rb") as file:
            return file.read()

    @property
    def folders(self) -> list[tuple[int, bool]]:
        """The folders of the host, and whether they may be changed."""
        return [(self._fd(entry), entry["writable"]) for entry in self._record["dirs"] if "at" in entry]

    @property
    def listening(self) -> list[int]:
        """The listening sockets."""
        return [self._fd(entry) for entry in self._record["sockets"]]

    @property
    def is_component(self) -> bool:
        """Whether the program is a component."""
        return bool(self._record.get("component"))

    @property
    def live(self) -> bool:
        """Whether the run's grants have switches."""
        return bool(self._record["live"])

    @property
    def limits(self) -> Limits:
        """The limits of the run."""
        return self.values(self._record["grants"]).limits

    @property
    def args(self) -> list[Any]:
        """The arguments: text, bytes, or numbers of an export."""
        return [_argument_of(arg) for arg in self._record["args"]]

    def codes(self) -> list[bytes] | None:
        """Machine code for the same modules from an earlier process, or None."""
        numbers = self._record["codes"]
        return None if numbers is None else [self._bytes(number) for number in numbers]

    def modules(self) -> dict[str, Module]:
        """The program under "", and its preloads under their names."""
        return {
            entry["preload"]: Module(
                self._bytes(entry["at"]), entry["name"], lang=entry["lang"], source_name=entry["source_name"]
            )
            for entry in self._record["modules"]
        }

    def options(self, preload: dict[str, Module]) -> RunOptions:
        """How the program is started and recorded."""
        found = self._record
        engine = {**found["engine"], "features": tuple(found["engine"]["features"])}
        return RunOptions(
            found["name"], None if found["argv0"] is None else _argument_of(found["argv0"]), found["invoke"], preload,
            EngineOptions(**engine), found["trace"], found["stacks"], found["snaplen"],
            raw=found["raw"], native=found["native"],
        )  # fmt: skip

    @staticmethod
    def values(found: Record) -> Grants:
        """The grants that are values."""
        return from_value(found, Grants)

    def grants(self, on_wanted: Callable[[], None]) -> Grants:
        """All grants; `on_wanted` is called when the guest waits for interactive input."""
        found = self._record
        stdin: Record = {"stdin": QueueInput(on_wanted)} if found["stdin"] == "queue" else {}
        if isinstance(found["stdin"], dict):
            stdin = {"stdin": "ask"}
        sockets = [ListenSocket.of_descriptor(entry["address"], self._fd(entry)) for entry in found["sockets"]]
        return self.values(found["grants"]).with_(
            dirs={entry["guest"]: self._directory(entry) for entry in found["dirs"]},
            withheld=found["withheld"], sockets=tuple(sockets), **stdin,
        )  # fmt: skip

    @property
    def own_stdin(self) -> int | None:
        """The descriptor that is the guest's stdin; None if stdin is not a descriptor."""
        stdin = self._record["stdin"]
        return self._fd(stdin) if isinstance(stdin, dict) else None

    def _directory(self, entry: Record) -> Directory:
        if "at" in entry:
            return HostFolder(self._fd(entry), entry["name"], writable=entry["writable"], granted=True)
        files = unpack_files(self._bytes(entry["contents"]))[1]
        mode = "rw" if entry["writable"] else "ro"
        return MemDir(files, max_bytes=entry["max_bytes"], max_names=entry["max_names"], mode=mode)  # type: ignore[arg-type]


def _argument_of(arg: object) -> Any:
    return base64.b64decode(arg["base64"]) if isinstance(arg, dict) else arg


def _temporary() -> int:
    import tempfile  # for systems without anonymous files in memory

    descriptor, path = tempfile.mkstemp(prefix="wasilab-")
    os.unlink(path)
    return descriptor
