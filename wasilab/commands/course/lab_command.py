"""`lab`: JupyterLab on a copy of the course."""

from __future__ import annotations

from ...course.claim import CourseError
from ...course.copying.jupyter import open_lab
from ..line.argument_types import count
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem
from .course_command import pull_course

FOLDER = "wasilab-course"


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.description = (
        "Open JupyterLab on a copy of the course, which is made or brought up to date as by `wasilab course`: "
        "wasilab lab lessons. Its kernel is this Python; its notebooks are trusted. Ctrl-C ends it."
    )
    parser.add_argument("folder", nargs="?", default=FOLDER, metavar="FOLDER", help="default: %(default)s")
    parser.add_argument("--no-browser", action="store_true", help="print the address and open no browser")
    parser.add_argument("--allow-root", action="store_true", help="let Jupyter's server run as root, as in a container")
    parser.add_argument("--port", type=count, metavar="N", help="the port of the server (default: Jupyter's, 8888)")


def execute(request: Request, frontend: Frontend) -> Done:
    """Copy or update the course and run JupyterLab until it ends."""
    options = request.options
    if frontend.kind == "notebook":
        raise UsageProblem("lab opens JupyterLab and belongs in a terminal; %wasi course FOLDER copies the course")
    if options.port is not None and options.port > 65535:
        raise UsageProblem(f"--port {options.port}: a port is at most 65535")
    folder = pull_course(options.folder, frontend)
    try:
        return Done(open_lab(folder, browser=not options.no_browser, port=options.port, root=options.allow_root))
    except CourseError as error:
        raise UsageProblem(str(error)) from None
