"""Probes the compilers on this machine: each is tried once, and the result is kept on disk.

Being on PATH is not enough (a clang may lack a WASI libc, a rustc the target), so a compiler is used only if its probe
succeeded. A success is remembered until the executable changes (path, time, size), a failure for a minute, because the
missing package may be installed meanwhile.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .cache import trusted_cache_folder, write_atomic
from .diagnostics import CompileInterrupted, ToolchainError
from .process import ProcessBounds, run_group

FAILURE_LIFE = 60.0
"""Seconds for which a failed probe is remembered."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A compiler that works."""

    kind: str
    """"clang", "zig", "rustc", "go", "asc" or "wasmtime"."""
    argv: tuple[str, ...]
    """The start of the command, with the flags that this compiler needs for WASI."""
    version: str
    path: str
    """The executable."""
    how: str
    """How it was found: an environment variable, PATH, PyPI."""
    extra: dict[str, str] = field(default_factory=dict)
    """Results of the probe that its language file needs later."""

    @property
    def name(self) -> str:
        """The display name: kind and version."""
        return f"{self.kind} {self.version}"


@dataclass(frozen=True, slots=True)
class Failure:
    """A compiler that was found but does not work."""

    path: str
    why: str


def fingerprint(paths: Iterable[str]) -> str:
    """A text that changes when one of the files does: real path, time and size of each."""
    parts = []
    for path in paths:
        real = os.path.realpath(path)
        try:
            stat = os.stat(real)
            parts.append(f"{real}:{stat.st_mtime_ns}:{stat.st_size}")
        except OSError:
            parts.append(f"{real}:absent")
    return "\n".join(parts)


def remembered(
    purpose: str, path: str, probe: Callable[[], Tool], *, watch: Sequence[str] = (), refresh: bool = False
) -> Tool | Failure:
    """The result of `probe`, from disk if known for the same `purpose` and executable.

    `probe` raises `ToolchainError` with the reason if the compiler does not work. `watch` names other files whose
    change makes the result stale.
    """
    identity = f"2\n{purpose}\n{path}\n{fingerprint([path, *watch])}"
    file = trusted_cache_folder() / "probes" / (hashlib.sha256(identity.encode()).hexdigest()[:32] + ".json")
    if not refresh:
        known = _read(file)
        if known is not None:
            return known
    try:
        answer: Tool | Failure = probe()
    except CompileInterrupted:
        raise  # nothing was learned about the compiler
    except ToolchainError as error:
        answer = Failure(path, str(error))
    with contextlib.suppress(OSError, ToolchainError):
        record = {"tool": asdict(answer)} if isinstance(answer, Tool) else {"failure": answer.why, "path": answer.path}
        write_atomic(file, json.dumps({**record, "time": time.time()}).encode())
    return answer


def _read(file: Path) -> Tool | Failure | None:
    try:
        record = json.loads(file.read_bytes())
        if "tool" in record:
            known = record["tool"]
            return Tool(**{**known, "argv": tuple(known["argv"])})
        if 0 <= time.time() - record["time"] < FAILURE_LIFE:
            return Failure(record["path"], record["failure"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None


def executables(names: Iterable[str], folders: Iterable[str] = ()) -> list[str]:
    """The executables with these names on PATH and then in `folders`, in order, without duplicates (links resolved)."""
    search = [*filter(None, os.environ.get("PATH", os.defpath).split(os.pathsep)), *folders]
    found: dict[tuple[str, str], str] = {}
    for name in names:
        for folder in search:
            if os.name == "posix" and not os.access(os.path.join(folder, name), os.X_OK):
                continue  # every cell asks for hundreds of names: `which` would take a millisecond
            path = shutil.which(name, path=folder)
            if path is not None:
                found.setdefault((name, os.path.realpath(path)), path)
    return list(found.values())


def python_scripts() -> list[str]:
    """The folder of this Python environment's commands, which is often not on a notebook server's PATH."""
    import sysconfig

    return [sysconfig.get_path("scripts")]


def versioned_programs(
    name: str, variable: str, elsewhere: str, problem: Callable[[str], str], *, refresh: bool = False
) -> Iterator[Tool | Failure]:
    """Each program `name`: the one that the environment variable names, those on PATH and in this Python's environment.

    It works if `name --version` prints its name and version; otherwise `problem(output)` is the reason. `elsewhere`
    says how one that no variable names was found.
    """
    own = os.environ.get(variable, "").strip()
    places = [(variable, own)] if own else []
    places += [(elsewhere, path) for path in executables([name], python_scripts())]
    for how, path in places:
        if not os.path.isfile(path):
            yield Failure(path, "there is no such file")
            continue

        def probe(how: str = how, path: str = path) -> Tool:
            stated = run_group([path, "--version"], bounds=ProcessBounds(60))
            version = re.search(rf"{name} (\d[\w.]*)", stated.output)
            if stated.status != 0 or version is None:
                raise ToolchainError(problem(stated.output.strip()))
            return Tool(name, (path,), version[1], path, how)

        yield remembered(f"{name}\0{how}", path, probe, refresh=refresh)
