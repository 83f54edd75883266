"""`exercise`: an exercise of the course: what to do, and the cell to begin with."""

from __future__ import annotations

from ...course.claim import CourseError
from ...course.register import exercise, exercise_ids
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    where = "put into a new cell" if kind == "notebook" else "printed"
    parser.description = (
        f"An exercise of the course. Its statement is shown and its starter {where}: {kind_word(kind)} exercise 03.1. "
        "Without ID all are listed."
    )
    parser.add_argument("id", nargs="?", metavar="ID", help="the exercise, such as 03.1")


def kind_word(kind: FrontendKind) -> str:
    """How a command is called in a front end."""
    return "%wasi" if kind == "notebook" else "wasilab"


def execute(request: Request, frontend: Frontend) -> Done:
    """Show an exercise and offer its starter, or list all exercises."""
    id = request.options.id
    if id is None:
        for each in exercise_ids():
            frontend.say(exercise(each).headline)
        return Done()
    try:
        shown = exercise(id)
    except CourseError as error:
        raise UsageProblem(str(error)) from None
    frontend.say(f"{shown.headline}\n\n{shown.entry.statement.strip()}\n")
    line, _, source = shown.entry.cell.partition("\n")
    if frontend.kind == "cli":
        frontend.say(f"\n{shown.entry.cell}")
    elif shown.entry.starter:
        frontend.offer(line, source)
    return Done()
