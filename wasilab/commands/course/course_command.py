"""`course`: a copy of the course in a folder, and new versions of its lessons."""

from __future__ import annotations

from pathlib import Path

from ...course.claim import CourseError
from ...course.copying.pulling import first_notebook, pull
from ...text.escape import visible
from ...text.numbers import counted
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.description = (
        "Copy the course into a folder: wasilab course lessons. Called again, it brings the lessons up to date and "
        "leaves alone every cell that you changed, added or deleted."
    )
    parser.add_argument("folder", metavar="FOLDER", help="a new folder, or a copy of the course")
    parser.add_argument("--teacher", action="store_true", help="with the pages for teachers")


def execute(request: Request, frontend: Frontend) -> Done:
    """Copy or update, and say what was done."""
    pull_course(request.options.folder, frontend, teacher=request.options.teacher)
    return Done()


def pull_course(name: str, frontend: Frontend, *, teacher: bool = False) -> Path:
    """Copy the course into the folder of that name, or update it, and say what was done. Raises `UsageProblem`."""
    if not name:
        raise UsageProblem("the name of the folder is empty")
    folder = Path(name).expanduser()
    try:
        files = pull(folder, teacher=teacher)
    except CourseError as error:
        raise UsageProblem(str(error)) from None
    if all(each.note == "new" for each in files):
        frontend.say(f"{visible(name)}: the course, {counted(len(files), 'file')}; begin with {first_notebook()}")
        return folder
    for each in files:
        if each.changed or each.note.startswith("left"):
            frontend.say(f"{each.name}: {each.note}")
    if not any(each.changed for each in files):
        frontend.say(f"{visible(name)}: the lessons are up to date")
    return folder
