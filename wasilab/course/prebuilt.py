"""The programs of the lessons, ready to run without a compiler.

`program("copy")` is a module with its source; `program_names()` lists all. A program lies in `programs/NAME.c` with its
`NAME.wasm` beside it, or in `NAME.wat`, which is assembled when it is asked for; those that `examples/` has as well are
taken from there. `programs/built.json` holds how they were compiled, and the hashes of each source and module.

To add one: write `programs/NAME.c` (its first comment says what it does) and run `python -m wasilab.course.rebuild`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from ..module.module import Module, ModuleError, load
from ..text.nearest import did_you_mean

FLAGS = ("-Os",)
"""The compiler's flags beside wasilab's own."""
FURTHER_FLAGS = {"mmap": ("-D_WASI_EMULATED_MMAN", "-lwasi-emulated-mman")}
"""Flags that single programs need."""
_ELSEWHERE = {
    "copy": "copy.c", "words": "words.c", "counter": "lab/counter.wat", "keeper": "lab/keeper.wat",
    "mmap": "rationale/mmap.c", "remove": "rationale/remove.wat", "renumber": "rationale/renumber.wat",
    "ticket": "rationale/ticket.wat",
}  # fmt: skip
"""The programs that lie below `wasilab/examples`."""


@dataclass(frozen=True, slots=True)
class LessonProgram:
    """The source of a program: `name`, `lang` ("c" or "wat"), `file` (its name), `text`."""

    name: str
    lang: str
    file: str
    text: str

    @property
    def about(self) -> str:
        """What it does: the sentence that its first comment begins with."""
        comment = ""
        if self.text.startswith("/*"):
            comment = " ".join(self.text[2:].partition("*/")[0].split())
        for line in self.text.splitlines():
            if not line.startswith(("//", ";;")):
                break
            comment = f"{comment} {line[2:].strip()}".lstrip()
        end = comment.find(". ")
        return comment if end < 0 else comment[: end + 1]


def program_names() -> tuple[str, ...]:
    """The names of the programs, sorted."""
    return tuple(sorted(_sources()))


def program_source(name: str) -> LessonProgram:
    """The source of a program. Raises `ModuleError` for a name that there is not."""
    found = _sources().get(name)
    if found is None:
        names = program_names()
        known = f"; there are {', '.join(names)}"
        raise ModuleError(f"no program is named {name!r}{did_you_mean(name, names, known)}")
    return LessonProgram(name, found.name.rpartition(".")[2], found.name, found.read_text(encoding="utf-8"))


def program(name: str) -> Module:
    """The module of a lesson's program, prebuilt: no compiler is needed. Raises `ModuleError` for an unknown name."""
    source = program_source(name)
    data = source.text.encode() if source.lang == "wat" else folder().joinpath(f"{name}.wasm").read_bytes()
    module = load(data, name=name)
    module.source, module.lang, module.source_name = source.text, source.lang, source.file
    return module


def folder() -> Traversable:
    """Where the modules lie."""
    return files("wasilab.course").joinpath("programs")


@cache
def _sources() -> dict[str, Traversable]:
    examples = files("wasilab").joinpath("examples")
    found = {name: examples.joinpath(*path.split("/")) for name, path in _ELSEWHERE.items()}
    own = [each for each in folder().iterdir() if each.name.endswith((".c", ".wat"))]
    return found | {each.name.rpartition(".")[0]: each for each in own}
