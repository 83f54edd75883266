"""Coverage-guided fuzzing of the readers of strangers' files: `python -m tests.hostile.readers --seconds 600`.

A reader gets bytes that came of others by small changes. An input that reaches a line of the readers' code from a line
from which none has reached it before is kept and changed further. What must hold: a reader answers with what it reads
or with its one kind of error, whose message is one line; in bounded time, and in memory in proportion.

The readers: `wasm` (a module looked at, with its names and its debug information), `component` (the binary format and
the world), `wtrace`, `jsonl`, `parquet` (a trace opened and shown in every way), `policy` (TOML).

It starts with the inputs in `corpus/READER/`, which are kept small; `--keep` adds what was found to them. A finding is
printed with the seed and kept in the file that is named.
"""

from __future__ import annotations

import argparse
import random
import resource
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import wasilab.engine
import wasilab.grants
import wasilab.module
import wasilab.trace
from wasilab.engine.components.world import world_of
from wasilab.grants.forms.toml import merge_text
from wasilab.grants.grants import Grants
from wasilab.grants.value import GrantError
from wasilab.module.binary import WasmFormatError
from wasilab.module.dwarf import debug_info, source_map
from wasilab.module.module import ModuleError, load
from wasilab.text.escape import visible
from wasilab.trace.errors import TraceError
from wasilab.trace.record import container
from wasilab.trace.trace import Trace

CORPUS = Path(__file__).parent / "corpus"
SECONDS = 10.0
"""CPU seconds that one input may take, under the tracing that measures coverage (ten times slower)."""
GROWTH = 300 << 20
"""Bytes by which one input may raise the process's highest use of memory."""
LONGEST = 1 << 16
_PACKAGE = str(Path(wasilab.trace.__file__).parents[1])
_ROOMS = tuple(f"{_PACKAGE}/{room}" for room in ("module/", "trace/", "engine/components/", "grants/forms/"))
_TOKENS: dict[str, tuple[bytes, ...]] = {
    "wasm": (b"\0asm\1\0\0\0", b"name", b".debug_info", b".debug_line", b"producers", b"\x60\0\0", b"\x80\x80\x04"),
    "component": (b"\0asm\x0d\0\1\0", b"\0asm\1\0\0\0", b"wasi:cli/run@0.2.0", b"\x40\0\0", b"\x42\0", b"\x71"),
    "wtrace": (container.MAGIC, b"\x28\xb5\x2f\xfd", b"{}", b"[]", b"null"),
    "jsonl": (b"{", b"}", b"[", b"null", b"1e999", b'"\\ud800"', b"-1", b'"call":', b'"args":', b"\n", b"true"),
    "parquet": (b"PAR1", b"wasilab", b"\x15\x02", b"\x19\x1c", b"\xff\xff\xff\x7f"),
    "policy": (b"[dirs]", b'"/d" = ', b"{", b"}", b"[[", b"]]", b"deny_all = true", b"mode = ", b'"rw"', b"memory",
               b"=", b"\n", b"[limits]", b"1e999", b"-1", b"[env]", b"withhold = ["),
}  # fmt: skip


def _read_module(data: bytes, folder: Path) -> None:
    module = load(data)
    module.to_dict()
    for index in list(module.function_names)[:20]:
        module.function_name(index)
    debug_info(module)
    lines = source_map(module)
    if lines is not None:
        for offset in (0, 1, 100, len(data)):
            lines.locate(offset)


def _read_component(data: bytes, folder: Path) -> None:
    module = load(data)
    if module.is_component:
        str(world_of(module))


def _read_trace(suffix: str) -> Callable[[bytes, Path], None]:
    def read(data: bytes, folder: Path) -> None:
        path = folder / f"input{suffix}"
        path.write_bytes(data)
        trace = Trace.load(path)
        trace.text(limit=50, stacks=True)
        for view in (trace.denied, trace.summary(), trace.fds(), trace.by_line()):
            str(view)
        len(trace.filter("path~. or ok or failed"))

    return read


def _read_policy(data: bytes, folder: Path) -> None:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    merge_text(Grants(), text, folder=folder)


@dataclass(frozen=True)
class Reader:
    """One reader, and the errors with which it may answer."""

    read: Callable[[bytes, Path], None]
    errors: tuple[type[Exception], ...]


READERS: dict[str, Reader] = {
    "wasm": Reader(_read_module, (ModuleError,)),
    "component": Reader(_read_component, (ModuleError, WasmFormatError)),
    "wtrace": Reader(_read_trace(".wtrace"), (TraceError,)),
    "jsonl": Reader(_read_trace(".jsonl"), (TraceError,)),
    "parquet": Reader(_read_trace(".parquet"), (TraceError,)),
    "policy": Reader(_read_policy, (GrantError,)),
}


class Coverage:
    """The edges between lines of the readers' code that were taken while it was on."""

    def __init__(self) -> None:
        self.edges: set[tuple[Any, int, int]] = set()
        self._known: dict[Any, bool] = {}

    def __enter__(self) -> Coverage:
        sys.settrace(self._call)
        return self

    def __exit__(self, *error: object) -> None:
        sys.settrace(None)

    def _call(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        ours = self._known.get(code)
        if ours is None:
            ours = self._known[code] = code.co_filename.startswith(_ROOMS)
        if not ours:
            return None
        edges, last = self.edges, -1

        def line(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal last
            if event == "line":
                edges.add((code, last, frame.f_lineno))
                last = frame.f_lineno
            return line

        return line


def mutated(data: bytes, others: list[bytes], reader: str, rng: random.Random) -> bytes:
    """`data` with some small changes."""
    raw = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 12))):
        at = rng.randrange(len(raw) + 1)
        kind = rng.randrange(9)
        if kind == 0 and raw:
            raw[at % len(raw)] ^= 1 << rng.randrange(8)
        elif kind == 1 and raw:
            raw[at % len(raw)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif kind == 2:
            raw[at:at] = rng.randbytes(rng.choice((1, 2, 5)))
        elif kind == 3:
            del raw[at : at + rng.choice((1, 2, 8, 64))]
        elif kind == 4:
            raw[at : at + rng.choice((0, 4))] = rng.choice(_TOKENS[reader])
        elif kind == 5:
            number = rng.choice((0, 1, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 63, (1 << 64) - 1))
            raw[at : at + 8] = struct.pack("<Q", number)[: rng.choice((1, 2, 4, 8))]
        elif kind == 6:
            start = rng.randrange(len(raw) + 1)
            raw[at:at] = raw[start : start + rng.choice((2, 8, 40))]
        elif kind == 7:
            other = rng.choice(others)
            start = rng.randrange(len(other) + 1)
            raw[at:] = other[start:]
        elif reader in ("jsonl", "policy"):
            raw[at : at + 1] = rng.choice((b'"', b"0", b"9" * 40, b"[" * 50, b"\xc3\xa9", b"\x1b", b"\0", b",", b":"))
        else:  # an integer in LEB128 where the binary formats have them
            raw[at : at + 1] = rng.choice((b"\xff\xff\xff\xff\x0f", b"\x80\x80\x80\x80\x80\x01", b"\x80\0"))
    del raw[LONGEST:]
    return sealed(bytes(raw)) if reader == "wtrace" and rng.random() < 0.8 else bytes(raw)


def sealed(raw: bytes) -> bytes:
    """A .wtrace whose checksums are right, as far as its blocks can be told apart: else a change is found at once."""
    out, at, head = bytearray(raw), len(container.MAGIC), container.BLOCK
    while at + head.size <= len(raw):
        kind, codec, _, stored, size = head.unpack_from(raw, at)
        body = raw[at + head.size : at + head.size + stored]
        if len(body) != stored:
            break
        head.pack_into(out, at, kind, codec, zlib.crc32(body), stored, size)
        at += head.size + stored + (-stored & 7)
    return bytes(out)


@dataclass
class Found:
    """What came of fuzzing one reader."""

    reader: str
    runs: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    read: int = 0
    wrong: list[str] = field(default_factory=list)
    corpus: list[bytes] = field(default_factory=list)
    begun: int = 0
    """Inputs that it started with."""
    edges: int = 0
    began: int = 0
    """Edges that those reached."""

    def line(self) -> str:
        """It in one line."""
        return (
            f"{self.reader:10} {self.runs:>9,} inputs, {self.read:,} read, {self.refused.total():,} refused; "
            f"{self.edges:,} edges ({self.began:,} of the corpus), {len(self.corpus):,} kept; {len(self.wrong)} wrong"
        )


def tried(reader: str, data: bytes, folder: Path, coverage: Coverage, found: Found) -> None:
    """Let a reader read `data`, and note what came of it."""
    target = READERS[reader]
    found.runs += 1
    start, most = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with coverage:
            target.read(data, folder)
    except target.errors as error:
        found.refused[type(error).__name__] += 1
        said = str(error)
        if data[:1] in (b"(", b";", b" ", b"\n"):
            said = said.replace("\n", " ")  # text of a module, whose mistake is shown below the line that has it
        if len(said) > 2000 or visible(said) != said:
            _wrong(found, data, f"its message is not one line of text: {said[:200]!r}")
    except BaseException as error:  # whatever else comes out is the finding
        if isinstance(error, KeyboardInterrupt):
            raise
        _wrong(found, data, f"{type(error).__name__}: {str(error)[:200]}")
    else:
        found.read += 1
    took = time.process_time() - start
    if took > SECONDS:
        _wrong(found, data, f"it took {took:.1f} s of CPU")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most) << 10
    if grown > GROWTH:
        _wrong(found, data, f"it took {grown >> 20} MiB of memory")


def _wrong(found: Found, data: bytes, what: str) -> None:
    kind = what[:60]
    if any(kind in known for known in found.wrong):
        return
    with tempfile.NamedTemporaryFile(prefix=f"wasilab-{found.reader}-", delete=False) as file:
        file.write(data)
    found.wrong.append(f"{what} (the input is in {file.name})")


def corpus(reader: str) -> list[bytes]:
    """The inputs to begin with."""
    return [path.read_bytes() for path in sorted((CORPUS / reader).iterdir())]


def fuzz(reader: str, seed: int, go_on: Callable[[Found], bool]) -> Found:
    """Fuzz a reader for as long as `go_on(found)` says so."""
    found, coverage, rng = Found(reader), Coverage(), random.Random(f"{reader} {seed}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found.corpus = corpus(reader)
        found.begun = len(found.corpus)
        for data in found.corpus:
            tried(reader, data, folder, coverage, found)
        found.began = found.edges = len(coverage.edges)
        while go_on(found):
            recent = rng.random() < 0.5
            data = rng.choice(found.corpus[-20:] if recent else found.corpus)
            data = mutated(data, found.corpus, reader, rng)
            tried(reader, data, folder, coverage, found)
            if len(coverage.edges) > found.edges:
                found.edges = len(coverage.edges)
                found.corpus.append(data)
    return found


def keep(found: Found, most: int = 12, size: int = 2048) -> int:
    """Put the small inputs that reach the most into the corpus; how many."""
    coverage, kept = Coverage(), 0
    with tempfile.TemporaryDirectory() as name:
        for data in found.corpus[: found.begun]:
            tried(found.reader, data, Path(name), coverage, Found(found.reader))
        gains: list[tuple[int, bytes]] = []
        for data in found.corpus[found.begun :]:
            alone = Coverage()
            tried(found.reader, data, Path(name), alone, Found(found.reader))
            gains.append((len(alone.edges - coverage.edges), data))
    for _, data in sorted(gains, reverse=True):
        if kept < most and len(data) <= size:
            (CORPUS / found.reader / f"{zlib.crc32(data):08x}").write_bytes(data)
            kept += 1
    return kept


def main(arguments: Iterable[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.readers", description=__doc__.split("\n")[0])
    parser.add_argument("reader", nargs="*", help=f"only these of {', '.join(READERS)}")
    parser.add_argument("--seconds", type=float, default=60.0, help="of CPU, each reader (default 60)")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--keep", action="store_true", help="add what was found to the corpus")
    given = parser.parse_args(None if arguments is None else list(arguments))
    unknown = [name for name in given.reader if name not in READERS]
    if unknown:
        parser.error(f"there is no reader {unknown[0]}; there are {', '.join(READERS)}")
    print(f"seed {given.seed}", flush=True)
    wrong = 0
    for reader in given.reader or READERS:
        end = time.process_time() + given.seconds
        found = fuzz(reader, given.seed, lambda _, end=end: time.process_time() < end)  # type: ignore[misc]
        print(found.line(), flush=True)
        for finding in found.wrong:
            print(f"  WRONG {finding}", flush=True)
        if given.keep:
            print(f"  {keep(found)} kept in the corpus", flush=True)
        wrong += len(found.wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
