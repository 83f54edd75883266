"""Hostile guests, written call by call: a list of WASI calls with any arguments becomes a module, is run and judged.

A guest is straight-line WebAssembly: each step is one call with constants for arguments; bytes are laid out in its
memory first. What it was answered is read from the trace, so a test asserts errno, reason and `denied_by` together.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import wasilab
from wasilab.capabilities.refusal import DeniedBy
from wasilab.module.module import from_wat
from wasilab.trace.answers.event import CallEvent
from wasilab.wasi.preview1.spec import MODULES
from wasilab.wasi.types import Errno

if TYPE_CHECKING:
    from .conftest import Yard

ALL = 0x1FFFFFFF
"""Every right (bits 0 to 28)."""
READ, SEEK, WRITE = 1 << 1, 1 << 2, 1 << 6
CREAT, DIRECTORY, EXCL, TRUNC = 1, 2, 4, 8
FOLLOW = 1
OUT = 1024
"""Where results go by default."""
TEXT = 4096
"""Where strings are laid out."""


class Text:
    """A string argument: its bytes are laid out in memory, its pointer and length are passed."""

    def __init__(self, text: str | bytes) -> None:
        self.data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")


class Guest:
    """Collects steps; `run()` runs them and returns the `Judged` run."""

    def __init__(
        self,
        yard: Yard | None = None,
        *,
        mode: str = "rw",
        module: str = "wasi_snapshot_preview1",
        grants: wasilab.Grants | None = None,
        pages: int = 2,
        memory: bool = True,
        raw: bool = True,
        **more: Any,
    ) -> None:
        if grants is None:
            dirs = {} if yard is None else {"/inside": wasilab.HostDir(str(yard.inside), mode)}  # type: ignore[arg-type]
            grants = wasilab.Grants(dirs=dirs, **more)
        self.grants = grants
        self.module = module
        self.pages = pages
        self.memory = memory
        self.raw = raw
        self.steps: list[tuple[str, list[int]]] = []
        self.data: list[tuple[int, bytes]] = []
        self._text = TEXT

    def put(self, address: int, data: bytes) -> Guest:
        """Lay out bytes in memory before the first call."""
        self.data.append((address, data))
        return self

    def iovec(self, address: int, *pairs: tuple[int, int]) -> Guest:
        """Lay out an array of iovecs."""
        return self.put(address, b"".join(struct.pack("<II", p & 0xFFFFFFFF, n & 0xFFFFFFFF) for p, n in pairs))

    def call(self, name: str, *arguments: int | str | bytes | Text) -> Guest:
        """Add a call; text is laid out and passed as pointer and length."""
        words: list[int] = []
        for argument in arguments:
            if isinstance(argument, (str, bytes, Text)):
                data = argument.data if isinstance(argument, Text) else Text(argument).data
                self.data.append((self._text, data))
                words += [self._text, len(data)]
                self._text += len(data) + 8
            else:
                words.append(argument)
        self.steps.append((name, words))
        return self

    def open(self, path: str | bytes, *, fd: int = 3, follow: int = FOLLOW, oflags: int = 0, rights: int = READ | SEEK,
             inheriting: int = 0, fdflags: int = 0, out: int = OUT) -> Guest:  # fmt: skip
        """Add a path_open."""
        return self.call("path_open", fd, follow, path, oflags, rights, inheriting, fdflags, out)

    def wat(self) -> str:
        """The module's text."""
        calls = MODULES[self.module]
        names = dict.fromkeys(name for name, _ in self.steps)
        imports, body = [], []
        for name in names:
            params = " ".join(calls[name].signature)
            result = "(result i32)" if calls[name].returns else ""
            imports.append(f'(import "{self.module}" "{name}" (func ${name} (param {params}) {result}))')
        for name, words in self.steps:
            signature = calls[name].signature
            assert len(words) == len(signature), f"{name} takes {signature}, not {words}"
            constants = " ".join(
                f"({kind}.const {_signed(word, 32 if kind == 'i32' else 64)})"
                for kind, word in zip(signature, words, strict=True)
            )
            call = f"(call ${name} {constants})"
            body.append(f"(drop {call})" if calls[name].returns else call)
        data = "".join(
            f'(data (i32.const {_signed(at, 32)}) "{"".join(f"{chr(92)}{b:02x}" for b in blob)}")'
            for at, blob in self.data
            if blob
        )
        memory = f'(memory (export "memory") {self.pages})' if self.memory else ""
        data = data if self.memory else ""
        return f'(module {" ".join(imports)} {memory} {data} (func (export "_start") {" ".join(body)}))'

    def run(self, **options: Any) -> Judged:
        """Run it, in both ways in which the engine can link (`raw=False` for the public one)."""
        module = from_wat(self.wat(), name="hostile")
        return Judged(wasilab.run(module, ["hostile"], self.grants, raw=self.raw, **options))


def program(
    names: str, body: str, *, memory: str = '(memory (export "memory") 1)', extra: str = "",
    module: str = "wasi_snapshot_preview1",
) -> str:  # fmt: skip
    """The text of a guest for what straight lines cannot say: `names` are imported as `$name`, `body` is `_start`."""
    imports = []
    for name in names.split():
        call = MODULES[module][name]
        result = "(result i32)" if call.returns else ""
        params = " ".join(call.signature)
        imports.append(f'(import "{module}" "{name}" (func ${name} (param {params}) {result}))')
    return f'(module {" ".join(imports)} {memory} {extra} (func $start (export "_start") {body}))'


def judged(
    text: str, grants: wasilab.Grants | None = None, *, args: Sequence[str | bytes] = (), **options: Any
) -> Judged:
    """Compile WebAssembly text, run it and judge it."""
    return Judged(wasilab.run(from_wat(text, name="hostile"), args, grants, **options))


def i32(*numbers: int) -> str:
    """The numbers as constants of WebAssembly text."""
    return " ".join(f"(i32.const {number})" for number in numbers)


def _signed(word: int, bits: int) -> int:
    word &= (1 << bits) - 1
    return word - (1 << bits) if word >> (bits - 1) else word


class Judged:
    """A run of a hostile guest with the assertions that every case needs."""

    def __init__(self, run: wasilab.Run) -> None:
        self.run = run
        assert run.outcome.kind != "error", f"the host failed: {run.outcome.message}\n{run.outcome.detail}"

    def __getitem__(self, index: int) -> CallEvent:
        return self.run.trace[index]

    def errnos(self) -> list[str]:
        """The answers in order, as names."""
        names = {int(errno): errno.name for errno in Errno}
        return [names.get(e, "-") for e in self.run.trace["errno"].tolist()]

    def assert_answered(self, *names: str) -> Judged:
        """Assert the answers of all calls, in order."""
        assert self.errnos() == list(names), "\n" + self.run.trace.text()
        return self

    def assert_refused(self, by: DeniedBy, reason: str, *, call: int = -1) -> Judged:
        """Assert who refused a call (the last by default), and a part of the sentence in the trace."""
        event = self.run.trace[call if call >= 0 else len(self.run.trace) + call]
        assert DeniedBy(event.denied_by) is by, f"denied by {event.denied_by!r}: {event}"
        assert reason in (event.reason or ""), event.reason
        return self

    def assert_trapped(self, message: str) -> Judged:
        """Assert that the guest was trapped, and a part of the message; the trace's last row is that call."""
        assert self.run.outcome.kind == "trap", f"{self.run.outcome}\n{self.run.trace.text()}"
        assert message in self.run.outcome.message, self.run.outcome.message
        assert self.run.trace["errno"].tolist()[-1] == 255
        return self

    def sees(self, data: bytes) -> bool:
        """Whether `data` reached the guest in any call that moved bytes."""
        return any(data in (event.data or b"") for event in self.run.trace)
