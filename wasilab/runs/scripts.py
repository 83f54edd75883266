"""Runs WebAssembly test scripts (`.wast`): each is parsed by wasm-tools and carried out in a process of its own."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..capabilities.host.cache_folders import cache_folder
from ..engine.compiling.wasm_features import Features, features
from ..engine.components.component_binary import is_component, parse
from ..engine.components.validation import MISSING_FEATURES, VALIDATOR_FEATURES, uses_missing_features
from ..engine.wast.progress import ScriptProgress
from ..engine.wast.script import ScriptVerdict
from ..engine.wast.script_process import ScriptProcess
from ..module.binary import WasmFormatError
from ..toolchains.cache import make_folder
from ..toolchains.wasm_tools.component_validator import validate_component
from ..toolchains.wasm_tools.script_parser import ScriptParseError, parse_script

FOLDER_FEATURES: Mapping[str, Sequence[str]] = {"threads": ("reference-types=off", "multi-memory=off")}
"""Features of the scripts in a folder of this name; elsewhere all that Wasmtime has are on. WebAssembly/testsuite has
scripts of the threads proposal that are older than modules with several tables and memories, and expect errors.
"""
SCRIPT_SUFFIX = ".wast"
LARGEST_SCRIPT = 64 << 20
"""The most bytes of a script."""
LARGEST_JUDGED, MOST_JUDGED = 1 << 20, 1000
"""The most bytes of a component, and the most modules of a script, that are looked at for wasm-tools to judge."""


@dataclass(frozen=True, slots=True)
class ScriptSource:
    """A script to run."""

    name: str
    """What messages call it: its path, or "script" for a text."""
    path: Path | None = None
    text: str = ""
    """The script itself, if there is no path."""

    def read(self) -> bytes:
        """Its bytes. Raises `OSError`, and `ValueError` if it is too large."""
        if self.path is None:
            return self.text.encode()
        with self.path.open("rb") as file:
            data = file.read(LARGEST_SCRIPT + 1)
        if len(data) > LARGEST_SCRIPT:
            raise ValueError(f"it is larger than {LARGEST_SCRIPT:,} bytes")
        return data

    def switches(self) -> Sequence[str]:
        """The features that its folder asks for."""
        return () if self.path is None else FOLDER_FEATURES.get(self.path.resolve().parent.name, ())


@dataclass(slots=True)
class ScriptTotals:
    """Counts over the scripts that were run."""

    scripts: int = 0
    passed: int = 0
    """Assertions that hold; likewise the next two."""
    failed: int = 0
    skipped: int = 0
    others_failed: int = 0
    """Commands other than assertions that failed or were skipped."""
    differently: int = 0
    """Assertions that hold, with another error text than the script expects."""
    not_run: list[str] = field(default_factory=list)
    """The scripts that could not be parsed, or did not run to their end."""

    @property
    def holds(self) -> bool:
        """Whether nothing failed."""
        return not (self.failed or self.others_failed or self.not_run)

    def add(self, progress: ScriptProgress) -> None:
        """Add the counts of one script."""
        self.scripts += 1
        self.passed += progress.passed
        self.failed += progress.failed
        self.skipped += progress.skipped
        self.others_failed += progress.others_failed
        self.differently += progress.differently


def run_scripts(
    sources: Iterable[ScriptSource],
    totals: ScriptTotals,
    on_verdict: Callable[[ScriptSource, ScriptVerdict], object],
    on_script: Callable[[ScriptSource], object] = lambda source: None,
    *,
    switches: Sequence[str] = (),
    seconds: float = 10.0,
) -> None:
    """Run scripts one after the other, and count in `totals`, which is right at any time, also after an interrupt.

    `on_verdict` gets each verdict that failed, was skipped, or has words; `on_script` each script before it is run.
    `switches` turn features on or off, instead of those that a script's folder asks for. Each command of a script may
    take `seconds`. Raises `FeatureError`, `ScriptParserMissing`, `ScriptsCannotRun`.
    """
    process = ScriptProcess()
    try:
        for source in sources:
            on_script(source)
            for verdict in _run(process, source, totals, switches, seconds):
                on_verdict(source, verdict)
    finally:
        process.close()


def _run(
    process: ScriptProcess, source: ScriptSource, totals: ScriptTotals, switches: Sequence[str], seconds: float
) -> Iterator[ScriptVerdict]:
    chosen = features(switches or source.switches(), foreign=False)
    with tempfile.TemporaryDirectory(prefix="wast-", dir=make_folder(cache_folder() / "work")) as folder:
        try:
            parse_script(source.read(), Path(folder))
        except (OSError, ValueError, ScriptParseError) as error:
            totals.scripts += 1
            totals.not_run.append(source.name)
            line = error.line if isinstance(error, ScriptParseError) else 0
            words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            yield ScriptVerdict(line, "script", "failed", f"it cannot be parsed: {words}")
            return
        begun = False
        try:
            judged = _judged(Path(folder), chosen)
            for verdict in process.run(Path(folder), chosen, seconds, judged):
                begun = True
                yield verdict
            begun = True
        finally:
            if begun or process.progress.line:
                totals.add(process.progress)
        if process.ended:
            totals.not_run.append(source.name)
            words = f"{process.ended}; the rest of it was not run"
            yield ScriptVerdict(process.progress.line, "script", "failed", words)


def _judged(folder: Path, chosen: Features) -> dict[str, str]:
    """What wasm-tools says is wrong with the components that use what Wasmtime cannot switch on, by their SHA-256.

    It must know Wasmtime's features as well; a version that does not judges nothing.
    """
    switches = [name if on else f"-{name}" for name, on in chosen]
    wanted = [*switches, *VALIDATOR_FEATURES, *MISSING_FEATURES]
    found = {}
    for file in sorted(folder.glob("*.wasm"))[:MOST_JUDGED]:
        if file.stat().st_size > LARGEST_JUDGED:
            continue
        data = file.read_bytes()
        try:
            if not is_component(data) or not uses_missing_features(parse(data)):
                continue
        except WasmFormatError:
            continue
        words = validate_component(file, wanted)
        if words is not None:
            found[hashlib.sha256(data).hexdigest()] = words
    return found


def scripts_below(path: Path) -> list[ScriptSource]:
    """The script `path`, or all below the folder `path`, in order of their paths."""
    if not path.is_dir():
        return [ScriptSource(str(path), path)]
    return [ScriptSource(str(each), each) for each in sorted(path.rglob(f"*{SCRIPT_SUFFIX}")) if each.is_file()]
