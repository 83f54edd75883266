"""A program's inputs as one value that can be made smaller: arguments, variables, stdin, files, and what is granted.

They come from grants, or from a recording alone: what its program read of its files, listings and streams.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from ...capabilities.clocks import Clocks
from ...capabilities.host.hostdir import HostDir
from ...capabilities.memory.memdir import MemDir, Symlink
from ...capabilities.protocols import FileType
from ...capabilities.random import Random
from ...engine.replay.recorded_calls import read_calls
from ...grants.forms.python import from_python
from ...grants.grants import Grants
from ...grants.value import GrantArguments, GrantError
from ...text.numbers import counted, size
from ...trace.answers.event import CallEvent
from ...trace.moments.history import History
from ...trace.moments.life_columns import LifeColumns
from ...wasi.preview1.spec import SNAPSHOT1
from ...wasi.types import Oflags
from ..replays.recordings import Recording
from ..replays.reopening import inside

Node = bytes | Symlink | dict[str, bytes]
"""A file, a symbolic link or an empty folder, as `MemDir.files` has it."""

HELD = ("argv", "stdout", "stderr", "clocks", "random")
"""What may be granted beside folders, variables and stdin."""
MOST_FILE = 64 << 20
"""Maximum bytes of a file taken from a recording; the rest is left out."""
_CREATES = int(Oflags.CREAT | Oflags.TRUNC)


class MinimizeError(ValueError):
    """What cannot be minimised; the message names the reason and the remedy."""


@dataclass(frozen=True, slots=True)
class InputFolder:
    """A granted folder."""

    files: Mapping[str, Node] = field(default_factory=dict)
    writable: bool = False

    @property
    def mode(self) -> Literal["ro", "rw"]:
        """Its mode as a grant."""
        return "rw" if self.writable else "ro"


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What a program is given, with the contents of its folders."""

    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: bytes | None = b""
    """None: there is no stdin."""
    folders: Mapping[str, InputFolder] = field(default_factory=dict)
    held: tuple[str, ...] = HELD
    """Which of `HELD` it has."""
    withheld: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The rights that folders lack, by name."""
    base: Grants = field(default_factory=Grants)
    """Everything else: limits, rights, faults, the kind of clocks and randomness."""

    def grants(self) -> Grants:
        """As grants; each call makes new folders in memory."""
        held = self.held
        dirs = {guest: MemDir(dict(each.files), mode=each.mode) for guest, each in self.folders.items()}
        withheld = {guest: rights for guest, rights in self.withheld.items() if guest in dirs}
        return self.base.with_(
            dirs=dirs, withheld=withheld, env=dict(self.env), stdin=self.stdin, args="argv" in held,
            stdout="stdout" in held, stderr="stderr" in held,
            clocks=self.base.clocks if "clocks" in held else Clocks.nothing(),
            random=self.base.random if "random" in held else Random.nothing(),
        )  # fmt: skip

    @property
    def granted(self) -> list[str]:
        """The names of what is granted."""
        return [*self.held, *["stdin"] * (self.stdin is not None), *self.folders]

    @property
    def file_count(self) -> int:
        """Files, links and empty folders in all folders."""
        return sum(len(folder.files) for folder in self.folders.values())

    @property
    def input_bytes(self) -> int:
        """Bytes of arguments, variables, stdin and files."""
        files = [node for folder in self.folders.values() for node in folder.files.values()]
        found = sum(len(node) for node in files if isinstance(node, bytes)) + len(self.stdin or b"")
        found += sum(len(name.encode()) + len(value.encode()) for name, value in self.env.items())
        return found + sum(len(arg.encode("utf-8", "surrogateescape")) for arg in self.args)

    def __str__(self) -> str:
        parts = [counted(len(self.granted), "grant"), counted(self.file_count, "file")]
        parts += [counted(len(self.args), "argument"), counted(len(self.env), "variable")]
        return f"{', '.join(parts)}, {size(self.input_bytes)} of input"

    # ---- where they come from

    @classmethod
    def from_grants(cls, grants: Grants, args: tuple[str, ...]) -> Reproduction:
        """What grants give; host folders are copied into memory. Raises `MinimizeError` for what cannot be copied."""
        if grants.ask or not isinstance(grants.stdin, bytes | None):
            raise MinimizeError("interactive input cannot be made smaller: give stdin as text, and remove --ask")
        if grants.sockets or grants.overrides:
            raise MinimizeError("sockets and overrides cannot be made smaller: leave them out")
        folders = {}
        for guest, given in grants.dirs.items():
            copied = HostDir(given.path, "copy").fresh() if isinstance(given, HostDir) else given
            if not isinstance(copied, MemDir):
                raise MinimizeError(f"the folder at {guest!r} is of a class of your own, whose files are not known")
            writable = given.mode != "ro" if isinstance(given, HostDir) else given.writable
            folders[guest] = InputFolder(copied.files(), writable)
        held = {
            "argv": grants.args, "stdout": grants.stdout, "stderr": grants.stderr,
            "clocks": grants.clocks != Clocks.nothing(), "random": grants.random != Random.nothing(),
        }  # fmt: skip
        return cls(
            args, grants.env, grants.stdin, folders, tuple(name for name in HELD if held[name]),
            {guest: tuple(names) for guest, names in grants.withheld.items()}, _repeatable(grants),
        )  # fmt: skip

    @classmethod
    def from_recording(cls, recording: Recording) -> Reproduction:
        """What a recorded program was given, as far as its calls tell. What it did not read is not there, or zeros."""
        return _Inputs(recording).found()


def _repeatable(grants: Grants) -> Grants:
    """Without what a `Reproduction` holds itself; clocks step and randomness is seeded."""
    changes: GrantArguments = {"dirs": {}, "withheld": {}, "env": {}, "stdin": b"", "ask": False}
    if not grants.clocks.realtime.virtual:
        changes["clocks"] = Clocks.stepped(1000)
    if grants.random in (Random.real(), Random.nothing()):
        changes["random"] = Random.seeded(0)
    return grants.with_(**changes)


class _Inputs:
    """Puts together what a recorded program read."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._trace = recording.trace
        self._columns = LifeColumns(self._trace)
        self._history = History(self._trace)
        self._files: dict[str, bytearray] = {}
        self._sizes: dict[str, int] = {}
        self._folders: set[str] = set()
        self._others: dict[str, Node] = {}
        self._touched: set[str] = set()
        """What the program wrote to: what it reads there later is its own."""
        self._writes: set[str] = set()
        """Granted folders in which it changed something."""

    def found(self) -> Reproduction:
        lives = self._trace.store.lives
        preopens = [text(life.preopen) for life in lives.values() if life.preopen is not None]
        stdin = b""
        env: dict[str, str] = {}
        for call in read_calls(self._trace):
            spec = call.call
            if spec is None or call.errno:
                continue
            life = lives.get(call.handle)
            name = spec.name
            if name in ("fd_read", "fd_pread") and life is not None:
                if life.path == b"<stdin>":
                    stdin += call.data
                else:
                    offset = self._columns.offset_at(life, call.seq) - call.result
                    if name == "fd_pread":
                        offset = call.words[3] | call.words[4] << 32
                    self._read(text(life.path), offset, call.data)
            elif name == "environ_get":
                pairs = [text(each).partition("=") for each in call.data.split(b"\0")[:-1]]
                env = {key: value for key, _, value in pairs if key}
            elif name in ("fd_filestat_get", "path_filestat_get", "path_open", "fd_readdir", "path_readlink"):
                self._look(call.seq, name, text(life.path) if life is not None else "")
            elif name in _CHANGES:
                self._change(call.seq, name, text(life.path) if life is not None else "")
        held = tuple(
            name for name in HELD
            if name not in ("stdout", "stderr") or any(life.path == f"<{name}>".encode() for life in lives.values())
        )  # fmt: skip
        has_stdin = any(life.path == b"<stdin>" for life in lives.values())
        folders = {guest: InputFolder(self._in(guest, preopens), guest in self._writes) for guest in preopens}
        return Reproduction(
            tuple(self._recording.arguments), env, stdin if has_stdin else None, folders, held, {}, self._base()
        )

    def _base(self) -> Grants:
        """The limits, rights and faults that the recorded run had."""
        try:
            found = from_python(str(self._trace.meta.get("grants")), Grants)
        except GrantError:  # a folder of it is gone
            return _repeatable(Grants())
        limits = replace(self._recording.limits(found.limits, live=True), fuel=found.limits.fuel)
        return _repeatable(Grants(limits=limits, rights=found.rights, faults=found.faults, features=found.features))

    def _read(self, path: str, offset: int, data: bytes) -> None:
        if path in self._touched or offset < 0 or offset + len(data) > MOST_FILE:
            return
        content = self._files.setdefault(path, bytearray())
        if len(content) < offset + len(data):
            content.extend(bytes(offset + len(data) - len(content)))
        content[offset : offset + len(data)] = data

    def _look(self, seq: int, name: str, of: str) -> None:
        event = CallEvent(self._trace, seq)
        path = event.path or of
        if path in self._touched:
            return
        if name == "path_open":
            if int(event.args["oflags"]) & _CREATES and self._is_new(path, seq):
                self._touched.add(path)
                self._note_change(path)
                return
            opened = next((life for life in self._trace.store.lives.values() if life.opened_seq == seq), None)
            if opened is not None and opened.kind == FileType.DIRECTORY:
                self._folders.add(path)
            else:
                self._files.setdefault(path, bytearray())
        elif name == "path_readlink":
            self._others[path] = Symlink(event.data.decode("utf-8", "replace"))
        elif name == "fd_readdir":
            for entry in event.args["buf"] or ():
                inner = text(entry.name)
                if inner in ("", ".", ".."):
                    continue
                if entry.filetype == FileType.DIRECTORY:
                    self._folders.add(f"{of.rstrip('/')}/{inner}")
                elif entry.filetype == FileType.REGULAR_FILE:
                    self._files.setdefault(f"{of.rstrip('/')}/{inner}", bytearray())
        else:
            stat = next(iter(event.result.values()), None)
            if stat is None:
                return
            if stat.filetype == FileType.DIRECTORY:
                self._folders.add(path)
            elif stat.filetype == FileType.REGULAR_FILE and int(stat.size) <= MOST_FILE:
                self._files.setdefault(path, bytearray())
                self._sizes[path] = max(self._sizes.get(path, 0), int(stat.size))

    def _is_new(self, path: str, seq: int) -> bool:
        files = self._history.files
        node = files.node_at(path, seq) if path in files.names else None
        return node is None or node.created == seq

    def _change(self, seq: int, name: str, of: str) -> None:
        path = CallEvent(self._trace, seq).path or of
        if path not in self._touched and path not in self._folders:  # it was there
            if name in ("path_unlink_file", "path_rename", "path_link"):
                self._files.setdefault(path, bytearray())
            elif name == "path_remove_directory":
                self._folders.add(path)
        self._touched.add(path)
        self._note_change(path)

    def _note_change(self, path: str) -> None:
        preopens = [text(life.preopen) for life in self._trace.store.lives.values() if life.preopen is not None]
        holding = [guest for guest in preopens if path.startswith(inside(guest))]
        if holding:
            self._writes.add(max(holding, key=lambda guest: len(inside(guest))))

    def _in(self, guest: str, preopens: list[str]) -> dict[str, Node]:
        """The files in a granted folder that are in no other one below it."""
        found: dict[str, Node] = {}

        def add(path: str, node: Node) -> None:
            begin = inside(guest)
            others = (inside(other) for other in preopens if len(inside(other)) > len(begin))
            if path.startswith(begin) and len(path) > len(begin) and not any(map(path.startswith, others)):
                found[path[len(begin) :]] = node

        for path, content in self._files.items():
            content.extend(bytes(max(0, min(self._sizes.get(path, 0), MOST_FILE) - len(content))))
            add(path, bytes(content))
        for path, node in self._others.items():
            add(path, node)
        for path in self._folders:
            if not any(each.startswith(f"{path}/") for each in (*self._files, *self._others, *self._folders)):
                add(path, {})
        return {path: node for path, node in found.items() if not any(each.startswith(f"{path}/") for each in found)}


_CHANGES = frozenset(
    name for name in SNAPSHOT1
    if name in ("fd_write", "fd_pwrite", "fd_allocate", "fd_filestat_set_size", "path_create_directory", "path_link",
                "path_rename", "path_remove_directory", "path_symlink", "path_unlink_file")
)  # fmt: skip


def text(path: bytes) -> str:
    """A guest's path or name as text."""
    return path.decode("utf-8", "replace")
