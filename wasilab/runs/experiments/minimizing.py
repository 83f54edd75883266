"""`minimize`: the smallest inputs with which a program still shows something, by delta debugging.

Each candidate is one run under grants with folders in memory, stepping clocks and seeded randomness. Parts are left out
in halves, quarters and so on down to single ones (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing
Input", 2002, in the order of complements only), over and over until no single part can be left out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from ...capabilities.host.hostdir import HostDir
from ...capabilities.memory.memdir import MemDir, Symlink
from ...capabilities.protocols import Directory
from ...engine.limits import Limits
from ...grants.grants import Grants
from ...grants.live.pump import Listeners
from ...grants.value import GrantError
from ...text.escape import shorten, visible
from ...text.numbers import counted
from ...text.shell import join
from ...trace.trace import Trace
from ..prepare import RunOptions
from ..replays.recordings import Recording
from ..run import Run
from ..runner import start_run
from .reproduction import InputFolder, MinimizeError, Reproduction

MOST_RUNS = 5000
LONGEST_FILE = 60
"""Bytes of a file or of stdin that the result shows."""
Kept = Callable[[Run], bool]
"""Whether a run shows what is to be kept."""
Part = TypeVar("Part", str, bytes, list[str])


class _Enough(Exception):
    """The limit of runs was reached, or the user interrupted."""


@dataclass(frozen=True, slots=True)
class Minimized:
    """The result of `minimize`: the smallest inputs that were found, and the run with them."""

    inputs: Reproduction
    run: Run
    before: Reproduction
    runs: int
    """Runs that it took."""
    complete: bool
    """Whether no single part can be left out; False if it was interrupted or the runs were used up."""
    recording: Recording

    @property
    def grants(self) -> Grants:
        """The smallest grants, with the files in memory."""
        return self.inputs.grants()

    @property
    def args(self) -> tuple[str, ...]:
        """The smallest arguments."""
        return self.inputs.args

    def save(self, folder: str | os.PathLike[str]) -> str:
        """Write the program, its files and `policy.toml` into an empty or new folder; returns the command that runs
        them there. Raises `MinimizeError` for a folder that has something in it, and OSError."""
        at = Path(folder)
        check_new(at)
        at.mkdir(parents=True, exist_ok=True)
        (at / "program.wasm").write_bytes(self.recording.module.bytes)
        dirs: dict[str, Directory] = {}
        for number, (guest, given) in enumerate(self.inputs.folders.items()):
            host = at / f"files{number}"
            _write(given.files, host)
            dirs[guest] = HostDir(os.path.relpath(host), "copy" if given.writable else "ro")
        grants = self.grants
        options: list[str] = []
        if isinstance(grants.stdin, bytes) and not _is_text(grants.stdin):  # a policy cannot say it
            (at / "stdin").write_bytes(grants.stdin)
            grants, options = grants.with_(stdin=b""), ["--stdin", str(at / "stdin")]
        grants.with_(dirs=dirs, withheld=grants.withheld).save(at / "policy.toml")
        for name, library in self.recording.preload.items():
            file = at / f"library{len(options)}.wasm"
            file.write_bytes(library.bytes)
            options += ["--preload", f"{name}={file}"]
        invoke = self.recording.how.get("invoke")
        options += ["--invoke", str(invoke)] if invoke is not None else []
        return join(["wasilab", "run", "--policy", str(at / "policy.toml"), *options, str(at / "program.wasm"),
                     *self.args])  # fmt: skip

    def __str__(self) -> str:
        """What is left, in lines."""
        inputs = self.inputs
        how = "" if self.complete else "; not finished"
        lines = [f"before: {self.before}", f"now:    {inputs} ({counted(self.runs, 'run')}{how})"]
        lines += [f"granted: {', '.join(inputs.granted) or 'nothing'}"]
        lines += [f"arguments: {visible(join(inputs.args))}"] * bool(inputs.args)
        lines += [f"variable: {visible(name)}={_shown(value.encode())}" for name, value in inputs.env.items()]
        if inputs.stdin:
            lines.append(f"stdin: {_shown(inputs.stdin)}")
        for guest, folder in inputs.folders.items():
            lines.append(f"folder {visible(guest)}, {folder.mode}")
            for path, node in sorted(folder.files.items()):
                what = f"link to {visible(node)}" if isinstance(node, Symlink) else ""
                what = what or (_shown(node) if isinstance(node, bytes) else "folder")
                lines.append(f"  {visible(path)}: {what}")
        return "\n".join(lines)

    __repr__ = __str__


def check_new(folder: Path) -> None:
    """Raise `MinimizeError` unless `folder` is empty or does not exist."""
    if folder.exists() and not folder.is_dir():
        raise MinimizeError(f"{folder} is a file: name a new folder")
    if folder.exists() and any(folder.iterdir()):
        raise MinimizeError(f"{folder} is not empty: name a new folder")


def minimize(
    trace: Trace | Run | Recording,
    keep: str | Kept,
    *,
    grants: Grants | None = None,
    most_runs: int = MOST_RUNS,
    progress: Callable[[int, Reproduction], object] | None = None,
) -> Minimized:
    """Find the smallest grants, files and input bytes with which a recorded program still shows `keep`.

    `keep`: a filter (`Trace.filter`) that at least one call must satisfy, or a function of the run. The inputs are
    taken from the recording: what the program read. With `grants` they are taken from these instead; host folders are
    copied into memory and stay as they are. Clocks step and randomness is seeded, so the first run must show `keep`
    without the recorded ones. `progress` is called after each run with the number of runs and the best inputs so far.
    An interrupt returns the best so far (`complete` is False), as do `most_runs`.

    Raises `CannotReplay`, `QueryError` for a wrong filter, and `MinimizeError` (a ValueError) where the recording or
    the first run does not show `keep`.
    """
    recording = trace if isinstance(trace, Recording) else _recording(trace)
    recording.refuse_component("the inputs of a recording are minimized for core modules only")
    kept = _kept(keep, recording)
    search = _Minimizing(recording, kept, most_runs, progress)
    if grants is None:
        return search.result(Reproduction.from_recording(recording), "what the recording tells")
    return search.result(Reproduction.from_grants(grants, tuple(recording.arguments)), "these grants")


def _recording(trace: Trace | Run) -> Recording:
    if isinstance(trace, Trace):
        return Recording(trace)
    return Recording(trace.trace, trace.module, trace.preloads)


def _kept(keep: str | Kept, recording: Recording) -> Kept:
    if not isinstance(keep, str):
        return keep
    if not keep.strip():
        raise MinimizeError("every call satisfies an empty filter: name what must stay, such as call=path_open")
    if not len(recording.trace.filter(keep)):
        raise MinimizeError(
            f"no call of the recording satisfies {keep!r}: wasilab trace --filter FILTER shows which calls do"
        )
    expression = keep
    return lambda run: len(run.trace.filter(expression)) > 0


class _Minimizing:
    """One search: candidates, the runs so far, and the best inputs."""

    def __init__(
        self, recording: Recording, kept: Kept, most_runs: int,
        progress: Callable[[int, Reproduction], object] | None,
    ) -> None:  # fmt: skip
        self._recording = recording
        self._kept = kept
        self._most_runs = most_runs
        self._progress = progress
        self._runs = 0
        self._options = RunOptions(
            name=recording.trace.meta.get("name"), invoke=recording.how.get("invoke"), preload=recording.preload,
            engine=recording.engine(),
        )  # fmt: skip
        seconds = recording.trace.meta.get("seconds")
        self._seconds = max(2.0, 20 * seconds) if isinstance(seconds, float) else 10.0
        self._best: tuple[Reproduction, Run] | None = None

    def result(self, inputs: Reproduction, source: str) -> Minimized:
        """The smallest inputs; `source` says where `inputs` come from."""
        complete = False
        try:
            if not self._shows(inputs):
                raise MinimizeError(
                    f"a run with {source} does not show it: with other clocks and randomness the program does "
                    "something else, or it needs what it did not read; name the grants that show it, as for run"
                )
            while self._pass():
                pass
            complete = True
        except (_Enough, KeyboardInterrupt):
            if self._best is None:
                raise MinimizeError("it was interrupted before the first run had ended") from None
        assert self._best is not None, "the first run shows it"
        found, run = self._best
        return Minimized(found, run, inputs, self._runs, complete, self._recording)

    def _shows(self, inputs: Reproduction) -> bool:
        """Run it with `inputs`; whether it shows what is to be kept. Then they are the best so far."""
        if self._runs >= self._most_runs:
            raise _Enough
        self._runs += 1
        try:
            grants = inputs.grants()
        except (GrantError, ValueError):  # names that cannot be
            return False
        seconds = min(self._seconds, grants.limits.seconds or self._seconds)
        limits: dict[str, object] = {name: getattr(grants.limits, name) for name in Limits.__slots__}
        grants = grants.with_(limits=Limits(**{**limits, "seconds": seconds}))  # type: ignore[arg-type]
        run = start_run(self._recording.module, inputs.args, grants, self._options, Listeners())
        if run.outcome.kind == "interrupt":
            raise _Enough
        shown = self._kept(run)
        if shown:
            self._best = inputs, run
        if self._progress is not None and self._best is not None:
            self._progress(self._runs, self._best[0])
        return shown

    @property
    def _now(self) -> Reproduction:
        assert self._best is not None, "the first run shows it"
        return self._best[0]

    def _pass(self) -> bool:
        """Leave out what can be left out, the coarse before the fine; returns whether anything was."""
        before = self._now
        self._reduce_grants()
        for guest in self._now.folders:
            self._reduce_files(guest)
        self._reduce(list(self._now.args), lambda args: replace(self._now, args=tuple(args)))
        self._reduce(list(self._now.env), lambda names: replace(self._now, env=_only(self._now.env, names)))
        if self._now.stdin:
            self._reduce(self._now.stdin, lambda data: replace(self._now, stdin=data))
        for name, value in self._now.env.items():
            self._reduce(value, self._variable(name))
        for at, arg in enumerate(self._now.args):
            self._reduce(arg, self._argument(at))
        return self._now != before

    def _reduce_grants(self) -> None:
        self._reduce(list(self._now.held), lambda held: replace(self._now, held=tuple(held)))
        if self._now.stdin is not None:
            self._shows(replace(self._now, stdin=None))
        self._reduce(list(self._now.folders), lambda names: replace(self._now, folders=_only(self._now.folders, names)))
        for guest, folder in self._now.folders.items():
            if folder.writable:
                self._shows(self._with(guest, replace(folder, writable=False)))

    def _reduce_files(self, guest: str) -> None:
        def with_files(paths: list[str]) -> Reproduction:
            folder = self._now.folders[guest]
            return self._with(guest, replace(folder, files=_only(folder.files, paths)))

        self._reduce(sorted(self._now.folders[guest].files), with_files)
        for path, node in self._now.folders[guest].files.items():
            if isinstance(node, bytes):
                self._reduce(node, self._file(guest, path))

    def _with(self, guest: str, folder: InputFolder) -> Reproduction:
        return replace(self._now, folders={**self._now.folders, guest: folder})

    def _file(self, guest: str, path: str) -> Callable[[bytes], Reproduction]:
        def with_data(data: bytes) -> Reproduction:
            folder = self._now.folders[guest]
            return self._with(guest, replace(folder, files={**folder.files, path: data}))

        return with_data

    def _variable(self, name: str) -> Callable[[str], Reproduction]:
        return lambda value: replace(self._now, env={**self._now.env, name: value})

    def _argument(self, at: int) -> Callable[[str], Reproduction]:
        def with_argument(value: str) -> Reproduction:
            args = self._now.args
            return replace(self._now, args=(*args[:at], value, *args[at + 1 :]))

        return with_argument

    def _reduce(self, whole: Part, inputs: Callable[[Part], Reproduction]) -> None:
        """Leave out parts of `whole`, in halves first, until no single item of it can be left out."""
        if not whole or self._shows(inputs(whole[:0])):
            return
        length = (len(whole) + 1) // 2
        while len(whole) > 1:
            at, shorter = 0, False
            while at < len(whole):
                rest = whole[:at] + whole[at + length :]
                if rest and self._shows(inputs(rest)):
                    whole, shorter = rest, True
                else:
                    at += length
            if length == 1 and not shorter:
                return
            length = max(1, min(length // 2 if not shorter or length > 1 else 1, len(whole) // 2))


V = TypeVar("V")


def _only(mapping: Mapping[str, V], names: list[str]) -> dict[str, V]:
    return {name: value for name, value in mapping.items() if name in names}


def _shown(data: bytes) -> str:
    return shorten(repr(data)[1:], LONGEST_FILE)


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _write(files: Mapping[str, bytes | Symlink | dict[str, bytes]], folder: Path) -> None:
    """Write files into a new folder. `MemDir` checks their names: none leaves the folder or goes through a link."""
    folder.mkdir()
    for path, node in MemDir(dict(files)).files().items():
        at = folder / path
        (at if isinstance(node, dict) else at.parent).mkdir(parents=True, exist_ok=True)
        if isinstance(node, Symlink):
            at.symlink_to(str(node))
        elif isinstance(node, bytes):
            at.write_bytes(node)
