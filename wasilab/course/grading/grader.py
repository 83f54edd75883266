"""Grading what a notebook hands in: compiled by a confined compiler, run in a confined process, over all trials."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...grants.value import GrantError
from ...module.module import Module, ModuleError, load
from ...runs.prepare import Isolate
from ...runs.runner import run
from ...text.escape import shorten, visible
from ...toolchains.compile import compile_source
from ...toolchains.confinement import CompileLimits
from ...toolchains.diagnostics import CompileError, CompileInterrupted, ToolchainError, ToolchainMissing
from ...toolchains.registry import language_name
from ..checked import Checked
from ..checking import result_of
from ..claim import CourseError
from ..judging import judge_module, judge_policy
from ..notebook_file import BadNotebook
from ..register import find_exercise
from .submissions import HandedIn, find_notebooks, read_notebook

COMPILE_LIMITS = CompileLimits(seconds=120, memory=2 << 30)
"""The limits of one compile."""
LANGUAGES = ("c", "c++", "zig", "rust", "go", "assemblyscript", "wat")
"""The languages that are graded: those whose compiler runs no code of the source."""
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Grade:
    """One row: what a notebook earns in one exercise. All texts are safe to print."""

    notebook: str
    """Its path in the folder."""
    exercise: str
    """The exercise's id; "" where the notebook could not be read or hands in nothing."""
    points: float
    out_of: float
    note: str
    """What became of it, in a sentence without a full stop."""
    checked: Checked | None = None
    """The verdicts; None if nothing ran."""


def grade(folder: str | os.PathLike[str], exercises: Sequence[str] = (), isolate: Isolate = True) -> Iterator[Grade]:
    """Grade the notebooks of a folder, row by row: each exercise that a notebook hands in, or each of `exercises`.

    No Python of a notebook is run. `isolate` is how programs run: True, "strict" (with all layers of the sandbox), or
    False, in this process. Raises `CourseError` for a folder that cannot be read, an unknown exercise, or an isolation
    that this machine does not have.
    """
    wanted = [find_exercise(id).id for id in exercises]
    root = Path(folder)
    try:
        notebooks = find_notebooks(root)
    except BadNotebook as error:
        raise CourseError(f"the folder {str(root)!r} {error}") from None
    if not notebooks:
        raise CourseError(f"the folder {str(root)!r} holds no notebooks (*.ipynb)")
    _try_isolation(isolate)
    return _rows(root, notebooks, wanted, isolate)


def _try_isolation(isolate: Isolate) -> None:
    """Run a program that does nothing in the way that is asked for, so that its absence costs nobody points."""
    try:
        outcome = run(load(b'(module (func (export "_start")))'), isolate=isolate).outcome
    except GrantError as error:
        raise CourseError(f"programs cannot be isolated here: {error}; --isolation off runs them without") from None
    if not outcome.ok:
        raise CourseError(f"programs cannot be isolated here: {outcome.message}; --isolation on uses what there is")


def _rows(root: Path, notebooks: Sequence[Path], wanted: Sequence[str], isolate: Isolate) -> Iterator[Grade]:
    for path in notebooks:
        name = visible(os.fspath(path.relative_to(root)))
        try:
            found = {each.exercise.id: each for each in read_notebook(path)}
        except BadNotebook as error:
            yield Grade(name, "", 0, 0, str(error))
            continue
        if not found and not wanted:
            yield Grade(name, "", 0, 0, "no cell hands in a program or policy of an exercise")
        for id in wanted or sorted(found):
            if id in found:
                yield _graded(name, found[id], isolate)
            else:
                yield Grade(name, id, 0, find_exercise(id).points, "no cell hands it in")


def _graded(notebook: str, held: HandedIn, isolate: Isolate) -> Grade:
    entry = held.exercise
    try:
        if entry.kind == "policy":
            judged = judge_policy(held.text, entry, isolate=isolate)
        else:
            judged = judge_module(_compiled(held), entry, isolate=isolate)
    except (CompileError, CompileInterrupted, ToolchainError, ToolchainMissing, ModuleError) as error:
        kind = "it does not compile: " if isinstance(error, CompileError) else ""
        return Grade(notebook, entry.id, 0, entry.points, _noted(held, f"{kind}{_first_error(str(error))}"))
    checked = result_of(judged, entry.id, attempt=0)
    held_claims = sum(each.state == "holds" for each in checked.verdicts)
    note = "all claims hold" if checked else f"{held_claims} of {len(checked.verdicts)} claims hold"
    return Grade(notebook, entry.id, checked.points, checked.out_of, _noted(held, note), checked)


def _compiled(held: HandedIn) -> Module:
    language = language_name(held.lang)
    if language not in LANGUAGES:
        raise ModuleError(f"programs in {language} are not graded")
    name = held.exercise.name
    made = compile_source(
        held.text, language, held.exercise.flags, name=name, first_line=2, limits=COMPILE_LIMITS, reports=True
    )
    return Module(made.wasm, name, source=made.source, lang=made.language, source_name=made.file_name)


def _first_error(text: str) -> str:
    """The line of a compiler's text that says what is wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = next((line for line in lines if "error" in line), lines[0] if lines else "")
    return shorten(visible(line), _SHOWN)


def _noted(held: HandedIn, note: str) -> str:
    """The note, with the cell that counted where there were several."""
    return note if held.times == 1 else f"{note} (cell {held.cell}, the last of {held.times} that hand it in)"
