"""Random programs under wasilab and under Wasmtime's own WASI: a differential fuzz.

A program is a list of a dozen calls on the standard tree, which open, change and close things in an order that nobody
chose. Both hosts run it; the first call that comes to something else, or a difference in what is left behind, needs an
entry in `differences.py`. The short form is the family "random" of `test_differential.py`. The long form:

    python -m tests.conformance.random_programs 5000 --seed 1

It prints the number of programs and calls compared, the differences by their reason, and each program that differs
without one; it exits with 1 if there is one.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import product
from pathlib import Path

from wasilab.capabilities.protocols import FileType

from .compare import Result, disagreement, run_ours, run_theirs
from .differences import DIFFERENCES
from .relay import Answer, Caller, Handle
from .scenarios import Family, Scenario

CALLS = 12
"""Calls of a program."""
NAMES = ("file", "new", "dir", "empty", "link", "dirlink", "dangling", "dir/inner", "dir/sub", "dirlink/inner", "..",
         "../x", "out/x", "dir/../file", ".", "file/", "dir/", "new/", "none/x", "loop")  # fmt: skip
RIGHTS = 0x1FFFFFFF
READ, WRITE = 2, 64
READER = RIGHTS & ~(WRITE | 1 << 8 | 1 << 22)  # Wasmtime opens for writing for any right to change the file
TOP = 1 << 63
SHORT = (*range(300), 1250, 1515, 1762)
"""The programs of the short form; the last ones found a difference once."""
OFFSETS = (0, 1, 5, 10, 100, 5000, TOP - 1, TOP, 2**64 - 1)

Step = Callable[[Caller, Handle, list[Handle]], object]


def _open(rng: random.Random) -> Step:
    path, oflags, follow = rng.choice(NAMES), rng.choice((0, 0, 0, 1, 1, 2, 4, 8, 1 | 4, 1 | 8)), rng.randint(0, 1)
    rights = rng.choice((RIGHTS, RIGHTS, READER, RIGHTS & ~READ))
    fdflags = rng.choice((0, 0, 0, 1, 4))

    def step(g: Caller, d: Handle, held: list[Handle]) -> None:
        opened = g.open(d, path, oflags, rights, follow, fdflags)
        if opened is not None:
            held.append(opened)

    return step


def _on_a_descriptor(rng: random.Random) -> Step:
    """A call on something that the program opened before, or on its folder."""
    which, data = rng.random(), bytes(rng.randrange(65, 91) for _ in range(rng.choice((0, 1, 7, 40))))
    offset, size = rng.choice(OFFSETS), rng.choice((0, 1, 10, 64))
    call = rng.choice(("write", "write", "read", "read", "seek", "tell", "pwrite", "pread", "size", "stat", "close",
                       "flags", "sync", "allocate", "renumber"))  # fmt: skip
    other, whence = rng.random(), rng.randint(0, 2)
    delta = rng.choice((0, 3, -2, 100))

    def step(g: Caller, d: Handle, held: list[Handle]) -> None:
        fd = held[int(which * len(held))] if held else d
        match call:
            case "write":
                g.call("fd_write", fd, [data])  # of several buffers Wasmtime writes one
            case "read":
                g.call("fd_read", fd, [size])
            case "seek":
                g.call("fd_seek", fd, delta, whence)
            case "tell":
                g.call("fd_tell", fd)
            case "pwrite":
                g.call("fd_pwrite", fd, [data], offset if offset < 6000 else TOP)
            case "pread":
                g.call("fd_pread", fd, [size], offset)
            case "size":
                g.call("fd_filestat_set_size", fd, offset if offset < 6000 or offset >= TOP else TOP)
            case "stat":
                answer = g.call("fd_filestat_get", fd, show=False)
                g.log.append((f"fd_filestat_get({fd.name})", answer.errno, _type_and_size(answer)))
            case "close":
                g.call("fd_close", fd)
            case "flags":
                g.call("fd_fdstat_set_flags", fd, 1 if delta else 0)
            case "sync":
                g.call("fd_sync", fd)
            case "allocate":
                g.call("fd_allocate", fd, offset if offset < 6000 else TOP, size)
            case _ if len(held) > 1:
                g.call("fd_renumber", fd, held[int(other * len(held))])

    return step


def _type_and_size(answer: Answer) -> tuple[int, ...]:
    """What both hosts must agree on in a filestat: the type, and the size of a file."""
    if not answer.values:
        return ()
    filestat = answer.values[0]
    return (filestat[2], filestat[4] if filestat[2] == FileType.REGULAR_FILE else 0)


def _on_a_path(rng: random.Random) -> Step:
    path, other, follow = rng.choice(NAMES), rng.choice(NAMES), rng.randint(0, 1)
    call = rng.choice(("create_directory", "remove_directory", "unlink_file", "readlink", "rename", "rename", "link",
                       "symlink", "filestat_get"))  # fmt: skip

    def step(g: Caller, d: Handle, held: list[Handle]) -> None:
        match call:
            case "readlink":
                g.call("path_readlink", d, path, 64)
            case "rename":
                g.call("path_rename", d, path, d, other)
            case "link":
                g.call("path_link", d, 0, path, d, other)
            case "symlink":
                g.call("path_symlink", other, d, path)
            case "filestat_get":
                answer = g.call("path_filestat_get", d, follow, path, show=False)
                shown = f"path_filestat_get({d.name}, {follow}, {path!r})"
                g.log.append((shown, answer.errno, _type_and_size(answer)))
            case _:
                g.call(f"path_{call}", d, path)

    return step


def _program(seed: int, g: Caller, d: Handle) -> None:
    rng, held = random.Random(seed), list[Handle]()
    makers = (_open, _open, _on_a_descriptor, _on_a_descriptor, _on_a_descriptor, _on_a_path)
    for _ in range(CALLS):
        rng.choice(makers)(rng)(g, d, held)
        if g.log and g.log[-1][1] in ("TRAP", "EXIT"):
            return
    for handle in held:
        g.call("fd_close", handle, show=False)


def programs(numbers: Iterable[int]) -> Iterator[tuple[str, Scenario]]:
    """The programs of these numbers. Each depends on its number only, so that one can be run again by itself."""
    for number in numbers:
        yield f"random {number}", partial(_program, number)


def family(numbers: Iterable[int] = SHORT) -> Family:
    """The family "random", of these programs."""
    return Family("random", partial(programs, numbers))


def _parting(ours: Result, theirs: Result) -> str:
    """The calls up to the first that differs, or what is left behind."""
    for at, (mine, other) in enumerate(zip(ours.log, theirs.log, strict=False)):
        if mine != other:
            return f"{ours.log[: at + 1]}, where Wasmtime has {other}"
    here = {path: (what, theirs.tree.get(path)) for path, what in ours.tree.items() if theirs.tree.get(path) != what}
    return f"{ours.log}, and then {here or sorted(set(theirs.tree) - set(ours.tree))}"


def main(argv: list[str] | None = None) -> int:
    """Compare many programs, in rounds, each on a folder and in memory, with compat and strict rights."""
    parser = argparse.ArgumentParser(prog="tests.conformance.random_programs", description="differential fuzz")
    parser.add_argument("programs", type=int)
    parser.add_argument("--seed", type=int, default=0, help="the number of the first program")
    options = parser.parse_args(argv)
    reasons: Counter[str] = Counter()
    compared = calls = bad = 0
    for first in range(options.seed, options.seed + options.programs, 250):
        many = min(250, options.seed + options.programs - first)
        some = family(range(first, first + many))
        with tempfile.TemporaryDirectory() as folder:
            theirs = run_theirs(some, Path(folder) / "theirs")
            for kind, rights in product(("host", "memory"), ("compat", "strict")):
                ours = run_ours(some, Path(folder) / f"{kind}-{rights}", kind, rights)
                for label, expected in theirs.items():
                    compared += 1
                    calls += len(expected.log)
                    found = disagreement(ours[label], expected)
                    if found is None:
                        continue
                    covering = [one for one in DIFFERENCES if one.covers(label, kind, rights, "rw", *found)]
                    reasons[covering[0].reason[:90] if covering else "WITHOUT A REASON"] += 1
                    if not covering:
                        bad += 1
                        print(f"{label}, {kind}, {rights}: {found}: {_parting(ours[label], expected)}")
    print(f"{options.programs:,} programs, {compared:,} comparisons, {calls:,} calls of Wasmtime's")
    for reason, count in reasons.most_common():
        print(f"{count:7,}  {reason}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
