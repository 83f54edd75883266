"""The state of a run when one of its calls had returned, as a value to look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ...text.escape import html_text, shorten, visible
from ...text.numbers import duration, size
from ..answers.tabular import table_html, text_table
from ..columns.places import Place
from .files import FileContent

SHOWN = 40
"""Rows of each kind that `str` and a notebook show."""


@dataclass(frozen=True, slots=True)
class OpenDescriptor:
    """A descriptor that was open."""

    fd: int
    path: str
    """As it was opened; not safe to print (`text.escape.visible`)."""
    kind: str
    offset: int | None
    """Where the next read or write begins, bytes; None where it has none, or the record does not tell."""
    rights: int | None
    """What it may do (`wasi.types.Rights`); None where the record does not tell."""
    rights_shown: str
    """The rights by name, abbreviated."""
    exact: bool
    """Whether `rights` are those that it had; otherwise those that its opening asked for, which may be more."""
    append: bool
    opened_by: int
    """`seq` of the call that opened it, -1 when it was open from the start."""
    life: int


@dataclass(frozen=True, slots=True)
class HeldGrant:
    """A capability that the program was given."""

    name: str
    words: str
    state: str
    """"granted", "revoked" or "read-only"."""


@dataclass(frozen=True, slots=True)
class FileThen:
    """A file, folder or link, as far as the record tells of it."""

    path: str
    directory: bool
    size: int | None
    """Bytes; None where that is not known."""
    change: str
    """What the run had done to it: "", "created", "changed", "deleted", "renamed"."""
    row: int = field(repr=False, default=-1)
    """The row of the call that changed it last, -1 for none."""
    _content: Callable[[], FileContent | None] = field(repr=False, compare=False, default=lambda: None)

    @property
    def content(self) -> FileContent | None:
        """What it held; None where it is not known, or more than 64 KiB."""
        return self._content()

    @property
    def data(self) -> bytes | None:
        """What it held; None unless every byte is known."""
        content = self.content
        return content.data if content is not None and content.whole else None


@dataclass(frozen=True, slots=True)
class OutputThen:
    """What had been written to a stream."""

    length: int
    data: bytes
    """The bytes; fewer than `length`, or with zeros in between, where they were not kept."""
    whole: bool


def without_memory(seq: int) -> bytes:
    """Raise the error of a moment whose memory nothing can rebuild."""
    raise ValueError(
        f"the memory at call {seq} is not known: a trace alone does not run its program; run.at({seq}) of a run "
        "made with record=True rebuilds it"
    )


@dataclass(frozen=True)
class Moment:
    """The state of a run when call `seq` had returned. Times in ns since the run's start."""

    seq: int
    call: str
    """The line of the call, as strace writes it."""
    time: int
    place: Place | None
    """(file, line, function) of the source that made the call; None where it is not known."""
    descriptors: tuple[OpenDescriptor, ...]
    grants: tuple[HeldGrant, ...]
    files: tuple[FileThen, ...]
    """Files in the folders of memory, and all that the run wrote, made, renamed or removed."""
    stdout: OutputThen
    stderr: OutputThen
    memory_then: Callable[[], bytes] = field(repr=False, compare=False)

    @property
    def memory(self) -> bytes:
        """The linear memory of the instance that made the call, rebuilt by a replay. Raises ValueError (`CannotReplay`)
        where the trace does not hold what a replay needs; see `Run.memory_at`."""
        return self.memory_then()

    def __getitem__(self, path: str) -> FileThen:
        """The file with this path; KeyError names those that there are."""
        for file in self.files:
            if file.path == path:
                return file
        raise KeyError(f"{path!r} is not among {', '.join(file.path for file in self.files[:SHOWN]) or 'no files'}")

    def fd(self, number: int) -> OpenDescriptor:
        """The open descriptor with this number; KeyError if there was none."""
        for descriptor in self.descriptors:
            if descriptor.fd == number:
                return descriptor
        raise KeyError(f"descriptor {number} was not open after call {self.seq}")

    def _tables(self) -> list[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]:
        held: list[tuple[str, ...]] = [(visible(g.name), visible(g.words), g.state) for g in self.grants]
        descriptors: list[tuple[str, ...]] = [
            (str(d.fd), shorten(visible(d.path), 100), d.kind, offset_words(d), rights_words(d))
            for d in self.descriptors
        ]
        files: list[tuple[str, ...]] = [(shorten(visible(f.path), 100), size_words(f), f.change) for f in self.files]
        tables: list[tuple[str, tuple[str, ...], list[tuple[str, ...]]]] = [
            ("Open descriptors", ("fd", "path", "kind", "offset", "rights"), descriptors),
            ("Capabilities", ("name", "granted", "state"), held),
            ("Files", ("path", "size", "change"), files),
        ]
        return [(title, head, rows) for title, head, rows in tables if rows]

    def _headline(self) -> str:
        where = f", at {visible(self.place[0].rpartition('/')[2])}:{self.place[1]}" if self.place else ""
        return f"after call {self.seq}, {duration(self.time)} after the start{where}: {self.call}"

    def __str__(self) -> str:
        lines = [self._headline()]
        for title, head, rows in self._tables():
            left = (1, 2, 4) if len(head) == 5 else (0, 1, 2)
            lines += ["", title, *("  " + line for line in text_table([head, *rows[:SHOWN]], left))]
            lines += [f"  ... {len(rows) - SHOWN} more"] if len(rows) > SHOWN else []
        for name, output in (("stdout", self.stdout), ("stderr", self.stderr)):
            if output.length:
                lines += ["", f"{name}, {size(output.length)}", visible(output.data[-2000:], lines=True).rstrip("\n")]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts = [f"<p>{html_text(self._headline())}</p>"]
        for title, head, rows in self._tables():
            more = f"<p>… {len(rows) - SHOWN} more</p>" if len(rows) > SHOWN else ""
            parts.append(f"<h4>{title}</h4>{table_html(head, rows[:SHOWN])}{more}")
        for name, output in (("stdout", self.stdout), ("stderr", self.stderr)):
            if output.length:
                text = html_text(output.data[-2000:], lines=True)
                parts.append(f'<h4>{name}, {size(output.length)}</h4><pre dir="ltr">{text}</pre>')
        return "".join(parts)


def offset_words(descriptor: OpenDescriptor) -> str:
    """Where a descriptor stands, in words."""
    if descriptor.offset is None:
        return "at the end" if descriptor.append else ""
    return f"{descriptor.offset:,}"


def rights_words(descriptor: OpenDescriptor) -> str:
    """The rights of a descriptor, in words; "at most" where only what it was asked to have is known."""
    if descriptor.rights is None:
        return ""
    return descriptor.rights_shown if descriptor.exact else f"at most {descriptor.rights_shown}"


def size_words(file: FileThen) -> str:
    """The size of a file, in words."""
    if file.directory:
        return "folder"
    return "?" if file.size is None else size(file.size)
