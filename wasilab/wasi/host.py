"""The WASI host of one run: the guest's capabilities and descriptors, and the only place where rights are enforced.

A `Host` is given its capabilities and never obtains any itself. The calls are functions with the host as their first
argument (`preview1/`). Not here: guest memory, the engine, the trace.
"""

from __future__ import annotations

import posixpath
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol, cast

from ..capabilities.clocks import Clocks
from ..capabilities.protocols import Directory, File, FileType, Listening
from ..capabilities.random import Random, RandomSource
from ..capabilities.refusal import DeniedBy, Need, NeedKind, Refused
from ..capabilities.strings import GivenStrings, Strings
from ..capabilities.waiting import Interrupt
from ..text.numbers import counted
from . import rights as r
from .errnos import Errno, WasiError, code_of, explain
from .fdtable import Descriptor, FdTable, Withheld
from .left_links import LeftLinks
from .types import Rights

_STDIO = ("<stdin>", "<stdout>", "<stderr>")
_MAX_NOTES = 100
UNBOUNDED = 1 << 63
"""Means no limit: more bytes than any storage has."""
NAME_COST = 256
"""Bytes that a name counts for in addition to its length: about the size of an inode. Without it a program could fill a
file system with empty files and write nothing."""
_READ, _WRITE = int(Rights.FD_READ), int(Rights.FD_WRITE)


def name_cost(path: bytes, text: bytes = b"") -> int:
    """The bytes that the new last name of `path` counts for; `text` is the text of a symbolic link."""
    name = path.rstrip(b"/").rpartition(b"/")[2] if _SLASH in path else path
    return NAME_COST + len(name) + len(text)


_SLASH = ord("/")
NOT_CUT = (0, 0, 0)
"""`Host.cut` when no file is known."""


WRITTEN, MOST_WRITTEN = 0, 1
"""Indices of `Host.meter`."""


class Meter(Protocol):
    """Two numbers. Code that answers calls in the host's place puts a view of its own memory here, and counts in it."""

    def __getitem__(self, index: int, /) -> int: ...

    def __setitem__(self, index: int, number: int, /) -> None: ...


class Host:
    """The state of one run of a guest.

    `args` and `environ` are byte strings without NUL (or `Strings` of your own); `environ` entries are `NAME=value`.
    `preopens` maps the guest's names ("/", "/data") to directories, which become descriptors 3, 4, ... in that order;
    `sockets` (listening) follow them. A standard stream that is None is not open. `rights` is "strict" or "compat" (see
    `rights.py`); `withheld` maps a guest path to the `Rights` bits that the directory and all beneath it lack in either
    mode. `max_bytes_written` bounds the bytes that the run writes (None: unbounded), and `max_names` the names that it
    adds to directories, minus those that it removes. `max_io` bounds the bytes of one call: the engine passes on no
    more of a guest's buffers, so reads and writes may be short.

    Raises `ValueError` for arguments that cannot be passed to a guest.
    """

    def __init__(
        self,
        args: Sequence[bytes] | Strings = (),
        environ: Sequence[bytes] | Strings = (),
        preopens: Mapping[str, Directory] | None = None,
        stdin: File | None = None,
        stdout: File | None = None,
        stderr: File | None = None,
        clocks: Clocks | None = None,
        random: RandomSource | None = None,
        sockets: Sequence[File] = (),
        interrupt: Interrupt | None = None,
        rights: str = "strict",
        max_fds: int = 256,
        max_bytes_written: int | None = None,
        max_names: int | None = None,
        max_io: int = 64 << 20,
        withheld: Mapping[str, int] | None = None,
        network: Any = None,
    ) -> None:
        if rights not in ("strict", "compat"):
            raise ValueError(f'rights must be "strict" or "compat", not {rights!r}')
        if not isinstance(environ, Strings):
            for variable in environ:
                if variable.find(b"=") < 1:
                    raise ValueError(f"the environment entry {variable!r} is not NAME=value")
        self.args: Strings = args if isinstance(args, Strings) else GivenStrings(args)
        self.environ: Strings = environ if isinstance(environ, Strings) else GivenStrings(environ)
        self.rights_mode = rights
        self.strict = rights == "strict"
        self.fds = FdTable(max_fds)
        self.use_clocks(clocks if clocks is not None else Clocks.nothing())
        self.random: RandomSource = random if random is not None else Random.nothing()
        self.interrupt = interrupt if interrupt is not None else Interrupt()
        self.network = network
        """The network of a component (`capabilities/host/internet.Internet`); None: no network."""
        self.meter: Meter = [0, UNBOUNDED if max_bytes_written is None else max_bytes_written]
        """The bytes that the run has written and may write (`WRITTEN`, `MOST_WRITTEN`)."""
        self.names = 0
        """Names added to directories so far, minus those removed."""
        self.most_names = max_names if max_names is not None else UNBOUNDED
        """The maximum names that the run may add; may be changed while the guest runs."""
        self.cut: tuple[int, int, int] = NOT_CUT
        """The life of the descriptor whose file's size was set last, the openings (`FdTable.lives`) until then, and
        the size. The file has at least this size while both are the same, because a run makes files smaller only by
        setting sizes and by opening. What others cut off meanwhile is not counted again when it comes back."""
        self.max_io = max_io
        self.run_time: Callable[[], int] = time.perf_counter_ns
        """The clock, in ns, that measures calls and the run. In ask mode it is a clock that does not advance while the
        user is asked."""
        self.notes: list[str] = []
        """Notes on the run that are not failures of calls, such as names left out of a listing."""
        self.on_close: list[Callable[[], object]] = []
        """Functions called at the end of the run, for interfaces that hold host resources."""
        self.links = LeftLinks()
        self._preopens = dict(preopens or {})
        self._withheld: dict[str, Withheld] = {}
        self._open_granted(preopens or {}, (stdin, stdout, stderr), sockets, withheld or {})

    def use_clocks(self, clocks: Clocks) -> None:
        """Use these clocks from the next call on."""
        self.clock_list = (clocks.realtime, clocks.monotonic, clocks.process, clocks.thread)
        """The clocks by WASI's clock id."""
        self._renew()

    def use_random(self, source: RandomSource) -> None:
        """Use this random source from the next call on."""
        self.random = source
        self._renew()

    @property
    def written(self) -> int:
        """Bytes written so far by the whole run: contents, growth without contents, and `NAME_COST` for each name."""
        return self.meter[WRITTEN]

    @written.setter
    def written(self, count: int) -> None:
        self.meter[WRITTEN] = count

    @property
    def most_written(self) -> int:
        """Bytes that the whole run may write."""
        return self.meter[MOST_WRITTEN]

    def limit(self, *, fds: int, bytes_written: int | None, names: int | None, io: int) -> None:
        """Set other limits from the next call on. Thread-safe."""
        self.fds.max_fds = fds
        self.most_names = UNBOUNDED if names is None else names
        self.meter[MOST_WRITTEN] = UNBOUNDED if bytes_written is None else bytes_written
        self.max_io = io
        self._renew()

    def _renew(self) -> None:
        if self.fds.mirror is not None:
            self.fds.mirror.renew()

    def _open_granted(
        self,
        preopens: Mapping[str, Directory],
        stdio: tuple[File | None, ...],
        sockets: Sequence[File],
        withheld: Mapping[str, int],
    ) -> None:
        wanted = sum(stream is not None for stream in stdio) + len(preopens) + len(sockets)
        if wanted > self.fds.max_fds:
            raise ValueError(
                f"the grants alone take {counted(wanted, 'descriptor')} and the limit is {self.fds.max_fds}; "
                "raise limits.fds"
            )
        for fd, stream in enumerate(stdio):
            if stream is not None:
                usual = r.of_type(stream.filetype) & ~(_READ if fd else _WRITE)
                self.fds.open(Descriptor(stream, usual, 0, _STDIO[fd], strict=self.strict, owned=False), fd)
        for name, directory in preopens.items():
            lacks = Withheld(0 if directory.writable else r.CHANGES, withheld.get(name, 0), name)
            self._withheld[name] = lacks
            base, inheriting = self._offered(lacks)
            self.fds.open(
                Descriptor(
                    directory, base, inheriting, name, strict=self.strict, preopen=name, owned=False, withheld=lacks
                )
            )
        for listener in sockets:
            self.fds.open(self._of_socket(listener))

    def _of_socket(self, socket: File) -> Descriptor:
        """The descriptor of a preopened socket: a listening one, or an end of a channel."""
        if hasattr(socket, "accept"):
            name = f"<listen {cast(Listening, socket).address}>"
            return Descriptor(socket, r.LISTENER, r.SOCKET, name, strict=self.strict, owned=False)
        return Descriptor(socket, r.SOCKET, 0, "<channel>", strict=self.strict)

    def _offered(self, lacks: Withheld) -> tuple[int, int]:
        """The rights of a granted directory's descriptor, and its inheriting rights."""
        if not self.strict:  # as in Wasmtime
            return r.DIRECTORY & ~int(Rights.PATH_FILESTAT_SET_SIZE) & ~lacks.named, r.INHERITING & ~lacks.named
        # Reading and writing stay in the inheriting set, so that the opening is refused (see CHANGES).
        return (
            r.DIRECTORY & ~lacks.read_only & ~lacks.named,
            r.INHERITING & ~lacks.read_only & ~(lacks.named & ~(_READ | _WRITE)),
        )

    def regrant(self, name: str, withheld: int, *, writable: bool) -> None:
        """Change the rights withheld from the directory granted at `name`, from any thread, while the guest runs.

        Newly withheld rights are revoked, also from everything opened beneath the directory. Rights that are no longer
        withheld return to the directory itself; descriptors opened before keep the rights they were opened with.
        `writable` adds the rights that a read-only grant does not have. Revoking those again is done by the capability
        (`grants/live/`).
        """
        lacks = self._withheld[name]
        if writable:
            lacks.read_only = 0
        lacks.named &= withheld
        lacks.revoked = withheld & ~lacks.named
        self._renew()
        for descriptor in list(self.fds.entries.values()):
            if descriptor.withheld is lacks:
                descriptor.update_rights(self._offered(lacks) if descriptor.preopen is not None else None)

    def withheld(self, what: str, rights: int, descriptor: Descriptor) -> WasiError:
        """The refusal of `rights` that the grant behind `descriptor` withholds."""
        taken_back = rights & descriptor.withheld.revoked
        if taken_back:
            reason = f"{what} {r.in_words(taken_back)}, which was granted, then taken back"
            return WasiError(Errno.NOTCAPABLE, reason, DeniedBy.REVOKED)
        reason = f"{what} {r.in_words(rights)}, which its grant withholds"
        need = Need(NeedKind.RIGHTS, descriptor.withheld.guest, tuple(r.listed(rights)))
        return WasiError(Errno.NOTCAPABLE, reason, DeniedBy.GRANT, need)

    def check(self, descriptor: Descriptor, needed: int) -> None:
        """Raise `WasiError` unless `descriptor` has all the rights of `needed`.

        A call that does not apply to the type of file is NOTDIR or NOTSOCK. A missing right is NOTCAPABLE in strict
        mode, and BADF in compat mode; it is a refusal by the grant if the grant is read-only, else by the right.
        """
        missing = int(needed) & ~descriptor.allowed
        if not missing:
            return
        filetype = descriptor.filetype
        if missing & r.ONLY_SOCKET and filetype not in (FileType.SOCKET_STREAM, FileType.SOCKET_DGRAM):
            raise WasiError(Errno.NOTSOCK)
        if missing & r.ONLY_DIRECTORY and filetype != FileType.DIRECTORY:
            raise WasiError(Errno.NOTDIR)
        what = f"descriptor {descriptor.fd} ({descriptor.path!r})"
        if missing & descriptor.withheld.cut:
            raise self.withheld(f"{what} lacks", missing & descriptor.withheld.cut, descriptor)
        if missing & descriptor.withheld.unpassed:
            why = f"which the link from {descriptor.withheld.giver} withholds"
            reason = f"{what} lacks {r.in_words(missing)}, {why}"
            raise WasiError(Errno.NOTCAPABLE if self.strict else Errno.BADF, reason, DeniedBy.RIGHT)
        if not self.strict:
            raise WasiError(Errno.BADF, f"{what} is not open for {_verb(missing, filetype)}", DeniedBy.RIGHT)
        if missing & descriptor.withheld.read_only:
            raise WasiError(
                Errno.NOTCAPABLE,
                f"{what} lacks {r.in_words(missing)}, because it is granted read-only",
                DeniedBy.GRANT,
                Need(NeedKind.WRITE, descriptor.withheld.guest),
            )
        if missing & ~r.of_type(filetype):  # not a refusal: no grant could give it (such as seeking in a stream)
            why = f"which {_KIND.get(FileType(filetype), 'a stream')} never has"
            raise WasiError(Errno.NOTCAPABLE, f"{what} lacks {r.in_words(missing)}, {why}")
        why = "which was not asked for when it was opened, was not passed on by its directory, or was given up"
        reason = f"{what} lacks {r.in_words(missing)}, {why}"
        raise WasiError(Errno.NOTCAPABLE, reason, DeniedBy.RIGHT, Need(NeedKind.COMPAT))

    def require_bytes(self, count: int, what: str = "this") -> None:
        """Raise NOSPC unless the run may still write `count` bytes, the cost of `what`."""
        left = self.most_written - self.written
        if count <= left:
            return
        limit = f"the limit of {self.most_written} bytes written"
        reason = f"{what} counts as {count} bytes and {left} are left of {limit}" if left > 0 else f"{limit} is used up"
        need = Need(NeedKind.LIMIT, limit="bytes_written")
        raise WasiError(Errno.NOSPC, f"{reason}; raise limits.bytes_written", DeniedBy.QUOTA, need)

    def has_room_for(self, cost: int) -> bool:
        """Whether the run may still add a name that costs `cost` bytes."""
        meter = self.meter
        return self.names < self.most_names and cost <= meter[MOST_WRITTEN] - meter[WRITTEN]

    def require_name(self, cost: int) -> None:
        """Raise NOSPC unless the run may still add a name that costs `cost` bytes (`name_cost`)."""
        if self.has_room_for(cost):
            return
        if self.names >= self.most_names:
            reason = f"the limit of {self.most_names} new names is used up; raise limits.names"
            raise WasiError(Errno.NOSPC, reason, DeniedBy.QUOTA, Need(NeedKind.LIMIT, limit="names"))
        self.require_bytes(cost, "a new name")

    def note(self, sentence: str) -> None:
        """Add a sentence to `notes`: each once, at most a hundred."""
        if sentence not in self.notes and len(self.notes) < _MAX_NOTES:
            self.notes.append(sentence)

    def remarks(self) -> list[str]:
        """The notes, and warnings about links that the run left."""
        return [*self.notes, *self.links.remarks(self._preopens)]

    def code_of(self, error: BaseException) -> Errno | None:
        """The errno alone of `explain`, which is all that is wanted of a failure if the run is not traced."""
        code = code_of(error)
        return Errno.PERM if code is Errno.NOTCAPABLE and not self.strict else code

    def explain(self, error: BaseException, descriptor: Descriptor | None = None) -> WasiError | None:
        """`errnos.explain`, with the errno of the rights mode: compat uses PERM for NOTCAPABLE.

        `descriptor` is the one that the call was made on: a capability does not know under which name it was granted,
        so the guest path of its `Need` is completed here.
        """
        failure = explain(error)
        if failure is None:
            return None
        if isinstance(error, Refused) and failure.need is not None:
            failure.need = _placed(failure.need, descriptor)
        if failure.errno is Errno.NOTCAPABLE and not self.strict:
            return WasiError(Errno.PERM, failure.reason, failure.denied_by, failure.need)
        return failure

    def close(self) -> None:
        """Close the guest's open descriptors, at the end of the run."""
        while self.on_close:
            self.on_close.pop()()
        self.fds.close_all()


def _placed(need: Need, descriptor: Descriptor | None) -> Need | None:
    """What a capability needed, with the full guest path; None if the path is unknown."""
    kind = need.kind
    if kind is NeedKind.DIRECTORY:
        return _outside("" if descriptor is None or descriptor.path == "." else descriptor.path, need.guest)
    if kind in (NeedKind.WRITE, NeedKind.QUOTA):
        guest = "" if descriptor is None else descriptor.withheld.guest
        return _more_of(kind, guest, need.rights, need.limit) if guest else None
    return need


@lru_cache(64)  # a program may be refused the same in a loop; paths are its own and may be long, so the cache is small
def _outside(here: str, path: str) -> Need:
    """What the path that leaves the directory at `here` needed."""
    if path.startswith("/"):
        return Need(NeedKind.DIRECTORY, path)
    if not posixpath.normpath(path).startswith(".."):
        return Need(NeedKind.ABOVE)  # a link led out
    # The path as the program wrote it, with its "..": a C library compares it with the names of the granted folders as
    # text, and begins at the one with the longest name.
    return Need(NeedKind.DIRECTORY, posixpath.join(here, path))


_more_of = lru_cache(64)(Need)
"""What is needed of a granted directory: made once, because making it takes longer than finding it."""


_KIND = {
    FileType.DIRECTORY: "a directory",
    FileType.REGULAR_FILE: "a file",
    FileType.SOCKET_STREAM: "a socket",
    FileType.SOCKET_DGRAM: "a socket",
}


def _verb(missing: int, filetype: int) -> str:
    if filetype == FileType.DIRECTORY:
        return "that: it is a directory"
    if missing & _WRITE:
        return "writing"
    return "reading" if missing & _READ else f"{r.names(missing)}"
