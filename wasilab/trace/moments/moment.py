"""The state of a run after one of its calls, as a value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ...text.escape import html_text, shorten, visible
from ...text.numbers import duration, size
from ..answers.tabular import table_html, text_table
from ..columns.places import Place
from .files import FileContent

SHOWN = 40
"""Maximum rows of each kind in `str` and in a notebook."""


@dataclass(frozen=True, slots=True)
class OpenDescriptor:
    """A descriptor that was open."""

    fd: int
    path: str
    """Its path when opened; not safe to print (`text.escape.visible`)."""
    kind: str
    offset: int | None
    """Its offset in bytes; None if it has none, or if unknown."""
    rights: int | None
    """Its rights (`wasi.types.Rights`); None if unknown."""
    rights_shown: str
    """The rights by name, abbreviated."""
    exact: bool
    """Whether `rights` are the actual ones; otherwise those requested at opening, which may be more."""
    append: bool
    opened_by: int
    """`seq` of the call that opened it; -1 if it was open from the start."""
    life: int
    instance: str = ""
    """The name of the instance that has it, in a trace of several; not safe to print."""


@dataclass(frozen=True, slots=True)
class HeldGrant:
    """A granted capability."""

    name: str
    words: str
    state: str
    """"granted", "revoked" or "read-only"."""


@dataclass(frozen=True, slots=True)
class FileThen:
    """A file, folder or link, as far as known."""

    path: str
    directory: bool
    size: int | None
    """Its size in bytes; None if unknown."""
    change: str
    """The run's last kind of change: "", "created", "changed", "deleted", "renamed"."""
    row: int = field(repr=False, default=-1)
    """The row of the call that changed it last, -1 for none."""
    _content: Callable[[], FileContent | None] = field(repr=False, compare=False, default=lambda: None)

    @property
    def content(self) -> FileContent | None:
        """Its contents; None if unknown, or more than 64 KiB."""
        return self._content()

    @property
    def data(self) -> bytes | None:
        """Its contents; None unless every byte is known."""
        content = self.content
        return content.data if content is not None and content.whole else None


@dataclass(frozen=True, slots=True)
class OutputThen:
    """The output to a stream so far."""

    length: int
    data: bytes
    """The bytes; if not all were kept, fewer than `length` or with zeros in between."""
    whole: bool


def without_memory(seq: int) -> bytes:
    """Raise the error of a moment whose memory cannot be rebuilt."""
    raise ValueError(
        f"the memory at call {seq} is not known: a trace alone does not run its program; run.at({seq}) of a run "
        "made with record=True rebuilds it"
    )


@dataclass(frozen=True)
class Moment:
    """The state of a run after call `seq`. Times in ns since the run's start."""

    seq: int
    call: str
    """The line of the call, as strace writes it."""
    time: int
    place: Place | None
    """(file, line, function) of the source line that made the call; None if unknown."""
    descriptors: tuple[OpenDescriptor, ...]
    grants: tuple[HeldGrant, ...]
    files: tuple[FileThen, ...]
    """Files in folders in memory, and all files that the run wrote, created, renamed or removed."""
    stdout: OutputThen
    stderr: OutputThen
    memory_then: Callable[[], bytes] = field(repr=False, compare=False)

    @property
    def memory(self) -> bytes:
        """The linear memory of the instance that made the call, rebuilt by a replay. Raises ValueError (`CannotReplay`)
        if the trace does not have what a replay needs; see `Run.memory_at`."""
        return self.memory_then()

    def __getitem__(self, path: str) -> FileThen:
        """The file with this path; KeyError lists the existing ones."""
        for file in self.files:
            if file.path == path:
                return file
        known = ", ".join(file.path for file in self.files[:SHOWN])
        raise KeyError(f"no file {path!r}; the files are {known or 'none'}")

    def fd(self, number: int, instance: str | None = None) -> OpenDescriptor:
        """The open descriptor with this number, of that instance if there are several; KeyError if there was none, or
        one in several instances."""
        found = [d for d in self.descriptors if d.fd == number and instance in (None, d.instance)]
        if len(found) == 1:
            return found[0]
        if found:
            names = " or ".join(repr(d.instance) for d in found)
            raise KeyError(f"descriptor {number} was open in several instances: say instance={names}")
        of = "" if instance is None else f" in {instance!r}"
        raise KeyError(f"descriptor {number} was not open{of} after call {self.seq}")

    def _tables(self) -> list[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]:
        held: list[tuple[str, ...]] = [(visible(g.name), visible(g.words), g.state) for g in self.grants]
        descriptors: list[tuple[str, ...]] = [
            (str(d.fd), shorten(visible(d.path), 100), d.kind, offset_words(d), rights_words(d))
            for d in self.descriptors
        ]
        head: tuple[str, ...] = ("fd", "path", "kind", "offset", "rights")
        if any(d.instance for d in self.descriptors):
            head = ("instance", *head)
            instances = [shorten(visible(d.instance), 40) for d in self.descriptors]
            descriptors = [(name, *row) for name, row in zip(instances, descriptors, strict=True)]
        files: list[tuple[str, ...]] = [(shorten(visible(f.path), 100), size_words(f), f.change) for f in self.files]
        tables: list[tuple[str, tuple[str, ...], list[tuple[str, ...]]]] = [
            ("Open descriptors", head, descriptors),
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
            left = tuple(at for at, name in enumerate(head) if name not in ("fd", "offset"))
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
    """The offset of a descriptor as text."""
    if descriptor.offset is None:
        return "at the end" if descriptor.append else ""
    return f"{descriptor.offset:,}"


def rights_words(descriptor: OpenDescriptor) -> str:
    """The rights of a descriptor as text; "at most" if only the requested rights are known."""
    if descriptor.rights is None:
        return ""
    return descriptor.rights_shown if descriptor.exact else f"at most {descriptor.rights_shown}"


def size_words(file: FileThen) -> str:
    """The size of a file as text."""
    if file.directory:
        return "folder"
    return "?" if file.size is None else size(file.size)
