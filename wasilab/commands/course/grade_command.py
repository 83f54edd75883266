"""`grade`: the programs and policies of a folder of notebooks, run and judged by their exercises."""

from __future__ import annotations

from pathlib import Path

from ...capabilities.host import landlock
from ...course.claim import CourseError
from ...course.grading.grader import Grade, grade
from ...course.grading.grades import grades_csv, grades_html, grades_text
from ...runs.prepare import Isolate
from ...text.numbers import counted
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.outputs import check_writable
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem

_ISOLATE: dict[str, Isolate] = {"on": True, "strict": "strict", "off": False}
_FORMS = {".csv": "CSV", ".html": "a page"}


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.description = (
        "Grade the notebooks of a folder: programs and policies are taken from their text by exercise, compiled, and "
        "run in the exercise's trials, each in a confined process. No Python of a notebook is run. A table is printed; "
        "-o writes it as well: wasilab grade submitted -o grades.csv -o grades.html"
    )
    parser.add_argument("folder", metavar="FOLDER", help="the folder; notebooks in folders of it are graded, too")
    parser.add_argument(
        "-e", "--exercise", action="append", default=[], metavar="ID", help="grade these exercises only (03.1)"
    )
    parser.add_argument(
        "-o", "--output", action="append", default=[], metavar="FILE", help="write the table (.csv or .html)"
    )
    parser.add_argument(
        "--isolation", choices=tuple(_ISOLATE), default="on",
        help="the sandbox of each program: all layers that there are (on), all or nothing (strict), none (off)",
    )  # fmt: skip


def execute(request: Request, frontend: Frontend) -> Done:
    """Grade, print the table, write the files. The value for a notebook is the list of rows."""
    options = request.options
    if not options.folder:
        raise UsageProblem("the name of the folder is empty")
    outputs = [Path(name) for name in options.output]
    for path in outputs:
        if path.suffix not in _FORMS:
            raise UsageProblem(f"-o {path}: a table is written as .csv or .html")
        check_writable("-o", str(path))
    if not landlock.abi():
        frontend.note("this system has no Landlock: a compiler can open any file that you can, and quote it")
    isolate: Isolate = _ISOLATE[options.isolation]
    rows: list[Grade] = []
    try:
        with frontend.busy("grading", ticking=True) as busy:
            for row in grade(options.folder, options.exercise, isolate):
                rows.append(row)
                busy.tick(f"grading: {row.notebook}")
    except CourseError as error:
        raise UsageProblem(str(error)) from None
    for line in grades_text(rows, frontend.columns):
        frontend.say(line)
    for path in outputs:
        text = grades_csv(rows) if path.suffix == ".csv" else grades_html(rows, f"Grades of {options.folder}")
        try:
            path.write_text(text, encoding="utf-8", newline="")
        except OSError as error:
            raise UsageProblem(f"-o {path}: {error.strerror or error}") from None
        frontend.note(f"{path}: {counted(len(rows), 'row')}")
    return Done(0, None)
