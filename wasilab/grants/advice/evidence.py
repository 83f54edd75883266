"""How grants were used according to a trace: which grant each call used, and whether the call changed it.

Every call acts on a grant: the preopened directory, stream or socket that its descriptor descends from, or one of the
kinds without a descriptor ("argv", "env", "clocks", "random"). `read` summarises a trace by grant, a column at a
time, so that a million calls take well under a second. `advise.py` draws the conclusions.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from ...text.escape import visible
from ...trace.answers.refusals import missed_streams
from ...trace.columns.decode import Batch, Values, built_in_plan, bytes_moved, plan
from ...trace.columns.records import Array
from ...trace.record.functions import FIRST_FURTHER, Function
from ...trace.record.recorder import DID_NOT_RETURN, Life
from ...trace.trace import Trace
from ...wasi.components.catalogue import INTERFACES
from ...wasi.host import NAME_COST
from ...wasi.operations import Operation
from ...wasi.preview1.spec import BY_NUMBER, SNAPSHOT1
from ...wasi.types import Errno, Eventtype, Fdflags, Oflags, Rights

DISCOVERY = frozenset({"fd_prestat_get", "fd_prestat_dir_name", "fd_fdstat_get"})
"""Calls with which every program inspects its descriptors; by themselves they do not use a grant."""

CHANGING = frozenset({
    "path_create_directory", "path_filestat_set_times", "path_link", "path_remove_directory", "path_rename",
    "path_symlink", "path_unlink_file", "fd_filestat_set_times", "fd_filestat_set_size", "fd_allocate", "fd_write",
    "fd_pwrite",
})  # fmt: skip
"""Calls that a read-only directory refuses; path_open too, if it asks to write, create or truncate."""

_LOOKING = frozenset({Operation.PREOPENS, Operation.DESCRIBE, Operation.CLOSE})
_CHANGES = frozenset({
    Operation.MAKE, Operation.REMOVE, Operation.RENAME, Operation.LINK, Operation.SYMLINK, Operation.SET_TIMES,
    Operation.RESIZE, Operation.ALLOCATE, Operation.WRITE,
})  # fmt: skip
_KIND_OF_OPERATION = {
    Operation.ARGUMENTS: "argv", Operation.ENVIRONMENT: "env", Operation.CLOCK: "clocks", Operation.SLEEP: "clocks",
    Operation.RANDOM: "random",
}  # fmt: skip
_COMPONENT_DISCOVERY = frozenset(
    function.name
    for interface in INTERFACES.values()
    for function in interface.functions.values()
    if function.operation in _LOOKING or function.name in ("get-stdin", "get-stdout", "get-stderr")
)
_COMPONENT_READS = frozenset(
    function.name
    for interface in INTERFACES.values()
    for function in interface.functions.values()
    if function.operation is Operation.READ
)
_KIND_OF_FAMILY = {"args": "argv", "environ": "env", "clock": "clocks", "random": "random"}
_STREAMS = {b"<stdin>": "stdin", b"<stdout>": "stdout", b"<stderr>": "stderr"}
_OPENING_CHANGES = int(Oflags.CREAT | Oflags.TRUNC)


@dataclass
class Use:
    """How one grant was used in the traces read: counts of calls that succeeded and that were refused, by name."""

    name: str
    """The guest path of a directory, or "stdin", "stdout", "stderr", "listen ADDRESS", "argv", "env", "clocks", ..."""
    calls: Counter[str] = field(default_factory=Counter)
    """Calls that succeeded."""
    changes: Counter[str] = field(default_factory=Counter)
    """Those of them that a read-only grant would have refused."""
    refused: Counter[str] = field(default_factory=Counter)
    """Calls that were refused."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Why the first of them was refused, by the name of the call; safe to print."""
    first: int = -1
    """`seq` of the first successful call that used it (not only inspected it), -1 for none."""
    first_change: int = -1
    """`seq` of the first changing call, -1 for none."""
    paths: dict[str, bool] = field(default_factory=dict)
    """Guest paths below a directory that were used successfully, and whether they were changed."""
    absent: dict[str, bool] = field(default_factory=dict)
    """Guest paths below a directory that were looked for and missing (ENOENT), and whether to change them."""

    @property
    def used(self) -> int:
        """Calls that needed the grant."""
        return sum(count for name, count in self.calls.items() if not only_looks(name))

    @property
    def looked(self) -> int:
        """Calls that succeeded but only inspected the descriptor."""
        return sum(self.calls.values()) - self.used


@dataclass
class Evidence:
    """The uses in one or more traces, by grant, and the peaks to which `Limits` could be set."""

    uses: dict[str, Use] = field(default_factory=dict)
    traces: int = 0
    calls: int = 0
    dropped: int = 0
    """Calls that the traces no longer hold: what they used is not known."""
    fds: int = 0
    """The most descriptors open at once."""
    written: int = 0
    """The most bytes that one run wrote, including the charge for names and file growth (`wasi/host.py`)."""
    largest: int = 0
    """The most bytes that one call moved."""
    seconds: float = 0.0
    """The longest run, from its first call to its last."""

    def of(self, name: str) -> Use:
        """The use of a grant, empty if it was not used."""
        return self.uses.setdefault(name, Use(name))

    def add(self, trace: Trace) -> None:
        """Add another trace to this evidence."""
        self.traces += 1
        self.calls += len(trace)
        self.dropped += int(trace.dropped)
        roots = _Roots(trace)
        changing = _changing(trace)
        for row, reason in _groups(trace, roots, changing):
            self._take(*row)
            if reason:
                self.of(row[0]).reasons.setdefault(row[1], reason)
        self._paths(trace, roots, changing)
        for stream, call, rows in missed_streams(trace):  # to the guest they are simply not open
            self.of(stream).refused[call] += len(rows)
            self.of(stream).reasons.setdefault(call, f"{stream} is not granted")
        for name, life, path, seq in _targets(trace, roots):
            self._path(roots, life, path, True)
            target = roots.name(life)
            if target is not None and name != "path_symlink":
                self._take(target, name, True, False, True, 1, seq)
        self._peaks(trace)

    def _take(self, name: str, call: str, ok: bool, denied: bool, changing: bool, count: int, first: int) -> None:
        use = self.of(name)
        if denied:
            use.refused[call] += count
        if not ok:
            return
        use.calls[call] += count
        if not only_looks(call) and (use.first < 0 or first < use.first):
            use.first = first
        if changing:
            use.changes[call] += count
            if use.first_change < 0 or first < use.first_change:
                use.first_change = first

    def _paths(self, trace: Trace, roots: _Roots, changing: Array) -> None:
        """The guest paths named by calls, the grant of each, and whether they were changed there."""
        records = trace.records
        errno = records["errno"]
        first_only = records["call"] != SNAPSHOT1["path_symlink"].number  # whose first path is the link's text
        good = ((errno == 0) | (errno == int(Errno.NOENT))) & (records["path"] > 0) & first_only
        keys = np.stack([records["handle"], records["path"], changing, errno != 0], axis=1)[good].astype("<i8")
        for life, path, changed, absent in np.unique(keys, axis=0).tolist():
            self._path(roots, life, trace.store.paths[path - 1], bool(changed), bool(absent))

    def _path(self, roots: _Roots, number: int, path: bytes, changed: bool, absent: bool = False) -> None:
        life, root = roots.lives.get(number), roots.name(number)
        if life is not None and root is not None:
            full = posixpath.normpath(posixpath.join(_text(life.path), _text(path)))
            use = self.of(root)
            table = use.absent if absent else use.paths
            table[full] = table.get(full, False) or changed

    def _peaks(self, trace: Trace) -> None:
        records = trace.records
        if len(records):
            end = records["t_start"] + records["dur"]
            self.seconds = max(self.seconds, float(int(end.max()) - int(records["t_start"].min())) / 1e9)
        functions = trace.store.functions
        moved = bytes_moved(records["call"], records["errno"], records["result"], lambda: records["args"], functions)
        self.largest = max(self.largest, int(moved.max()) if len(moved) else 0)
        writes = [SNAPSHOT1[n].number for n in ("fd_write", "fd_pwrite", "sock_send")]
        writes += [n for n, f in _further(trace) if f.operation in (Operation.WRITE, Operation.SEND)]
        writing = np.isin(records["call"], writes)
        self.written = max(self.written, int(moved[writing].sum()) + _names_and_growth(trace))
        events = sorted(
            [(life.opened_seq, 1) for life in trace.store.lives.values()]
            + [(life.closed_seq, -1) for life in trace.store.lives.values() if life.closed_seq >= 0]
        )
        now = 0
        for _, step in events:
            now += step
            self.fds = max(self.fds, now)


def _names_and_growth(trace: Trace) -> int:
    """At most how much the names that a run made and the sizes that it set count in `Limits.bytes_written`.

    A trace does not say whether a file opened with creat existed, or how large a file was before. Gaps left by writes
    beyond the end are not counted.
    """
    count = 0
    lengths = np.array([0, *map(len, trace.store.paths)], np.int64)
    for name in ("path_open", "path_create_directory", "path_symlink", "path_link", "fd_filestat_set_size"):
        how = built_in_plan(SNAPSHOT1[name].number)
        words = {param.name: param.word for param in how.params}
        rows = np.flatnonzero((trace.column("call") == how.number) & (trace.column("errno") == 0))
        for part, index, _ in trace.store.batches(rows if trace.rows is None else trace.rows[rows]):
            batch = Batch(part, index, how)
            if name == "fd_filestat_set_size":
                count += int(batch.word64(words["size"]).sum())
                continue
            made = np.ones(len(index), bool)
            if name == "path_open":
                made = (batch.word(words["oflags"]) & int(Oflags.CREAT)) != 0
            count += int((NAME_COST + lengths[batch.records["path"]])[made].sum())
            if name in ("path_symlink", "path_link"):  # the path above is the text, or the old name
                count += sum(map(len, batch.aux))
    return count + _component_names(trace, lengths)


def _further(trace: Trace) -> list[tuple[int, Function]]:
    """The functions of the trace's own list, by number: those of a component."""
    return list(enumerate(trace.store.functions.further, FIRST_FURTHER))


def _component_names(trace: Trace, lengths: Array) -> int:
    """`_names_and_growth` of the calls of a component."""
    count = 0
    making = _opening(trace, ("create",))
    for number, function in _further(trace):
        rows = np.flatnonzero((trace.column("call") == number) & (trace.column("errno") == 0))
        if function.operation in (Operation.MAKE, Operation.SYMLINK, Operation.LINK):
            count += int((NAME_COST + lengths[trace.records["path"][rows]]).sum())
        elif function.operation is Operation.OPEN:
            count += int((NAME_COST + lengths[trace.records["path"][rows]])[making[rows]].sum())
        elif function.operation is Operation.RESIZE:
            count += sum(value for _, values in _arguments(trace, number, "size", rows) for value in values if value)
    return count


def _arguments(trace: Trace, number: int, name: str, rows: Array) -> Iterator[tuple[Array, Values]]:
    """(rows, values) of the parameter `name` of calls of a function of the trace's own list."""
    how = plan(trace.store.functions, number)
    field = next((param for param in how.params if param.name == name), None)
    if field is not None:
        for part, index, where in trace.store.batches(rows if trace.rows is None else trace.rows[rows]):
            yield rows[where], Batch(part, index, how).values(field)


def _opening(trace: Trace, words: tuple[str, ...]) -> Array:
    """Which calls of a component open a file with one of the flags (a boolean a row)."""
    found = np.zeros(len(trace), bool)
    for number, function in _further(trace):
        if function.operation is Operation.OPEN:
            rows = np.flatnonzero(trace.column("call") == number)
            for name in ("open-flags", "flags"):
                for where, values in _arguments(trace, number, name, rows):
                    found[where] |= [any(word in str(value) for word in words) for value in values]
    return found


def only_looks(name: str) -> bool:
    """Whether a call, by its name, only inspects what was granted, which does not use the grant."""
    return name in DISCOVERY or name in _COMPONENT_DISCOVERY or name.startswith("[resource-drop]")


def reads(name: str) -> bool:
    """Whether a call, by its name, reads from a stream."""
    return name in ("fd_read", "fd_pread") or name in _COMPONENT_READS


def read(*traces: Trace) -> Evidence:
    """The combined evidence of some traces."""
    evidence = Evidence()
    for trace in traces:
        evidence.add(trace)
    return evidence


class _Roots:
    """Maps a descriptor's life to the name of the grant from which it descends."""

    def __init__(self, trace: Trace) -> None:
        self.lives: Mapping[int, Life] = trace.store.lives
        records = trace.records
        self._opener: dict[int, int] = {}
        """seq of a call -> life of its first descriptor, for the calls that opened something."""
        opening = [SNAPSHOT1["path_open"].number, SNAPSHOT1["sock_accept"].number]
        opening += [n for n, f in _further(trace) if f.operation in (Operation.OPEN, Operation.ACCEPT)]
        openers = np.isin(records["call"], opening)
        rows = np.flatnonzero(openers & (records["errno"] == 0))
        seqs = np.asarray(trace.column("seq"))[rows].tolist()
        self._opener = dict(zip(seqs, records["handle"][rows].tolist(), strict=True))
        self._names: dict[int, str | None] = {0: None}
        # If the opening call was dropped, fall back to the longest granted path that is a prefix.
        self._granted = sorted((_text(x.preopen) for x in self.lives.values() if x.preopen is not None), key=len)

    def name(self, life: int) -> str | None:
        """The name of the grant, None if the life is unknown or has no origin."""
        if life not in self._names:
            self._names[life] = None  # a forged file may hold a cycle
            self._names[life] = self._find(life)
        return self._names[life]

    def at(self, fd: int, seq: int) -> int:
        """The life of a descriptor number at one call, 0 if unknown."""
        for number, life in self.lives.items():
            if life.number_at(seq)[0] == fd and life.opened_seq < seq and not 0 <= life.closed_seq <= seq:
                return number
        return 0

    def _find(self, number: int) -> str | None:
        life = self.lives.get(number)
        if life is None:
            return None
        if life.preopen is not None:
            return _text(life.preopen)
        if life.path in _STREAMS and life.opened_seq < 0:
            return _STREAMS[life.path]
        if life.path in _STREAMS and life.type.endswith("put-stream"):
            return _STREAMS[life.path]
        if life.parent:
            return self.name(life.parent)
        if life.path.startswith(b"<listen ") and life.opened_seq < 0:
            return "listen " + _text(life.path)[8:-1]
        parent = self._opener.get(life.opened_seq)
        if parent is not None:
            return self.name(parent)
        path = _text(life.path)
        below = [g for g in self._granted if path == g or path.startswith(g.rstrip("/") + "/")]
        return below[-1] if below else None


def _groups(
    trace: Trace, roots: _Roots, changing: Array
) -> Iterator[tuple[tuple[str, str, bool, bool, bool, int, int], str]]:
    """(grant, call, succeeded, refused, changed, count, first seq) of every kind of call on every grant, and the reason
    of the first that was refused."""
    records = trace.records
    key = (
        records["handle"].astype("<u8") << np.uint64(16)
        | records["call"].astype("<u8") << np.uint64(8)
        | (np.isin(records["errno"], (0, DID_NOT_RETURN)).astype("<u8") << np.uint64(2))
        | ((records["denied_by"] != 0).astype("<u8") << np.uint64(1))
        | changing.astype("<u8")
    )
    kinds, first, counts = np.unique(key, return_index=True, return_counts=True)
    seqs = np.asarray(trace.column("seq"))
    for kind, row, count in zip(kinds.tolist(), first.tolist(), counts.tolist(), strict=True):
        number = kind >> 8 & 0xFF
        ok, denied, changed = bool(kind & 4), bool(kind & 2), bool(kind & 1)
        further = trace.store.functions.get(number)
        call = further if further is not None else BY_NUMBER[number] if number < len(BY_NUMBER) else None
        if call is None:
            continue
        if further is not None:
            name = _KIND_OF_OPERATION.get(further.operation) or roots.name(kind >> 16)
        else:
            name = _KIND_OF_FAMILY.get(call.family) or roots.name(kind >> 16)
        if call.name == "poll_oneoff" and changed:
            name = "clocks"
        if name is not None:
            reason = trace.store.reason(row if trace.rows is None else int(trace.rows[row])).text if denied else ""
            yield (name, call.name, ok, denied, changed, count, int(seqs[row])), visible(reason)


def _targets(trace: Trace, roots: _Roots) -> Iterator[tuple[str, int, bytes, int]]:
    """(call, life of the directory, path, seq) of what path_link, path_rename and path_symlink made."""
    for name in ("path_rename", "path_link", "path_symlink"):
        how = built_in_plan(SNAPSHOT1[name].number)
        word = [field.word for field in how.params if field.kind == "fd"][-1]
        rows = np.flatnonzero((trace.column("call") == how.number) & (trace.column("errno") == 0))
        seqs = trace.column("seq")[rows].tolist()
        for part, index, where in trace.store.batches(rows if trace.rows is None else trace.rows[rows]):
            batch = Batch(part, index, how)
            for row, fd, path in zip(where.tolist(), batch.word(word).tolist(), batch.aux, strict=True):
                yield name, roots.at(fd, seqs[row]), path, seqs[row]


def _changing(trace: Trace) -> Array:
    """Which calls a read-only grant would refuse (a boolean a row); of polls, which wait for a time."""
    records = trace.records
    changing = [SNAPSHOT1[name].number for name in CHANGING]
    changing += [n for n, f in _further(trace) if f.operation in _CHANGES]
    found = np.isin(records["call"], changing) | _opening(trace, ("create", "truncate", "write", "mutate-directory"))
    _timers(trace, found)
    opens = SNAPSHOT1["path_open"].number
    rows = np.flatnonzero(records["call"] == opens)
    if len(rows):
        at = {param.name: param.word for param in built_in_plan(opens).params}
        for part, index, where in trace.store.batches(rows if trace.rows is None else trace.rows[rows]):
            batch = Batch(part, index, built_in_plan(opens))
            asks = (batch.word(at["oflags"]) & _OPENING_CHANGES) != 0
            asks |= (batch.word64(at["fs_rights_base"]) & np.uint64(int(Rights.FD_WRITE))) != 0
            asks |= (batch.word(at["fdflags"]) & int(Fdflags.APPEND)) != 0
            found[rows[where]] = asks
    return found


def _timers(trace: Trace, found: Array) -> None:
    polls = built_in_plan(SNAPSHOT1["poll_oneoff"].number)
    field = next(param for param in polls.params if param.kind == "insubs")
    rows = np.flatnonzero(trace.column("call") == polls.number)
    for part, index, where in trace.store.batches(rows if trace.rows is None else trace.rows[rows]):
        for row, subscriptions in zip(where.tolist(), Batch(part, index, polls).values(field), strict=True):
            found[rows[row]] = any(sub.type == Eventtype.CLOCK for sub in subscriptions or ())


def _text(path: bytes | str) -> str:
    return path if isinstance(path, str) else path.decode("utf-8", "surrogateescape")
