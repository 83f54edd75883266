"""Execute a magic: its words, the request, the command, and errors as a cell shows them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from IPython.core.error import UsageError

from ...commands.catalog import execute
from ...commands.line.frontend import Done
from ...commands.line.grammar import parse
from ...commands.line.outputs import refuse_overwriting
from ...commands.line.request import Request
from ...commands.line.usage import HelpAsked, UsageProblem
from ...commands.line.words import Values, split
from ...commands.notebook.cell_line import build_cell, parse_cell
from ...commands.programs.compiling import compile_text, compiler_flags
from ...commands.programs.program import load_program
from ...commands.programs.running import run_module
from ...commands.traces.sql_command import STATEMENT
from ...grants.forms.flags import compile_limits
from ...grants.value import GrantError
from ...module.module import ModuleError
from ...text.numbers import with_article
from ...toolchains.diagnostics import CompileError, CompileInterrupted, ToolchainError, ToolchainMissing
from ...toolchains.doctor import warm_in_background
from ...toolchains.registry import language_name, toolchain_for
from ..notebook_session import CellShell, NotebookSession, cell_number, check_name
from .detached import start
from .failures import CellFailure, CellInterrupted, CompileFailed
from .interrupts import ignore_interrupts
from .notebook_frontend import NotebookFrontend

_DOLLAR_NAME = re.compile(r"""(?<!\S)[^\s'"]*\$([A-Za-z_]\w*)""")
"""A word that is not quoted, with `$name` in it."""


def _words(line: str, shell: CellShell, values: Values, frontend: NotebookFrontend) -> list[str]:
    """`words.split`, and a remark where IPython's own magics would have put in the value of `$name`."""
    words = split(line, lambda source: shell.ev(source), values)
    for found in _DOLLAR_NAME.finditer(line):
        name = found[1]
        try:
            shell.ev(name)
        except Exception:  # noqa: BLE001  (no variable of that name: a plain text)
            continue
        frontend.remark(f"${name} is passed as it is written; for the value of {name} write {{{name}}}")
    return words


def run_line(shell: CellShell, session: NotebookSession, line: str) -> object:
    """`%wasi COMMAND ...`: execute it; returns the value to show."""
    values = Values()
    frontend = NotebookFrontend(session, shell)

    def carry_out() -> Done:
        words = _sql_words(line) or _words(line, shell, values, frontend)
        if words[:2] == ["help", "cell"]:
            raise HelpAsked(build_cell(values).format_help())
        request = parse(words, "notebook", values)
        _check_name(request)
        if request.command == "run" and request.options.detach:
            return _detached(request, frontend)
        done = execute(request, frontend)
        return _finished(session, request, done) if request.command == "run" else done

    return _as_a_cell(carry_out, frontend)


def run_cell(shell: CellShell, session: NotebookSession, line: str, cell: str) -> object:
    """`%%wasi ...`: compile the body, run it; returns the `Run`."""
    if line.split()[:1] == ["wast"]:
        return run_script_cell(shell, session, line.strip()[len("wast") :], cell)
    if line.split()[:1] == ["sql"]:
        return run_line(shell, session, f"{line} {_plain_word(cell)}")
    values = Values()
    frontend = NotebookFrontend(session, shell)

    def carry_out() -> Done:
        request = parse_cell(_words(line, shell, values, frontend), values)
        options = request.options
        _check_name(request)
        refuse_overwriting(options)
        language = language_name(options.lang or "c")
        if not cell.strip():
            frontend.remark(_offer_template(shell, line, language))
            return Done()
        _warm_c(session, language)
        started = time.perf_counter()
        try:
            module = compile_text(
                cell,
                language,
                frontend,
                name=options.name or "cell",
                flags=compiler_flags(options, language, request.rest),
                files=session.files,
                first_line=2,
                quiet=options.quiet,
                component=options.component,
                limits=compile_limits(options),
            )
        except CompileError as error:
            file = toolchain_for(language).file_name(options.name or "cell")
            places = _places(error, session, file, cell_number(shell))
            raise CompileFailed(error.output, places, error.hints) from None
        compiled = time.perf_counter() - started
        if options.save:
            _save(module.portable().bytes, options.save)
        if options.name:
            session.keep(options.name, module, cell=options)
        if options.compile_only:
            return Done(0, module)
        args = guest_args(options.args)
        if options.detach:
            return Done(0, start(module, args, options, frontend))
        return _finished(session, request, run_module(module, args, options, frontend, compile_seconds=compiled))

    return _as_a_cell(carry_out, frontend)


def run_script_cell(shell: CellShell, session: NotebookSession, line: str, cell: str) -> object:
    """`%%wast ...`: run the body as a script. Its lines are counted as in the cell, whose first one is the magic's."""
    return run_line(shell, session, f"wast {line} --text {_one_word(chr(10) + cell)}")


def _places(error: CompileError, session: NotebookSession, file: str, number: int) -> list[tuple[int, int]]:
    """(cell, line) of each error in a cell: this one, or the `%%wasi_file` cell that wrote the file."""
    found = []
    for one in error.diagnostics:
        if one.severity == "error" and one.line:
            if one.file == file:
                found.append((number, one.line))
            elif one.file in session.cells:
                found.append((session.cells[one.file], one.line + 1))
    return found


_SQL = re.compile(rf"\s*sql\s+(?:([\w-]+)\s+)??({STATEMENT.pattern}.*)", re.IGNORECASE | re.DOTALL)


def _sql_words(line: str) -> list[str]:
    """The words of `%wasi sql [NAME] select ...` without quotes around the statement, which keeps its own."""
    found = _SQL.match(line)
    return ["sql", *([found[1]] if found[1] else []), "--", found[2].strip()] if found else []


def _plain_word(text: str) -> str:
    """`text` without surrounding space as one word for `split`."""
    return _one_word(text.strip())


def _one_word(text: str) -> str:
    """`text` as one word for `split`, whatever quotes it contains."""
    return "'" + text.replace("'", "'\"'\"'") + "'"


def _offer_template(shell: CellShell, line: str, language: str) -> str:
    """Put the language's template into the empty cell; returns a message about it.

    The cell succeeds, because JupyterLab ignores the payload of a failed cell.
    """
    toolchain = toolchain_for(language)
    shell.set_next_input(f"%%wasi {line}\n{toolchain.template}".rstrip("\n"), replace=True)
    return f"the cell was empty: it now holds a small {toolchain.title} program to change and run"


def _warm_c(session: NotebookSession, language: str) -> None:
    """At the first cell of another language, start a cold C compiler's library build in the background, as a queued
    cell leaves out what `%load_ext` does in advance."""
    if not session.warmed:
        session.warmed = True
        if language != "c":
            warm_in_background("c")


def guest_args(given: object) -> list[str]:
    """The guest's arguments: a text that is split like a shell's, or the items of a Python list."""
    if given is None:
        return []
    if isinstance(given, str):
        return split(given)
    if isinstance(given, (list, tuple)):
        return [str(item) for item in given]
    raise UsageProblem(f"--args is {with_article(type(given).__name__)}: give a text or a list")


def _finished(session: NotebookSession, request: Request, done: Done) -> Done:
    """Remember the run; if the user stopped it, fail the cell so that queued cells do not run."""
    run = done.value
    session.last = run
    run.streamed = True
    if run.outcome.kind == "interrupt":
        ignore_interrupts()
        if not request.options.quiet:
            from IPython.display import display

            display(run)  # type: ignore[no-untyped-call]
        raise CellInterrupted
    return Done(done.status, None if request.options.quiet else run)


def _check_name(request: Request) -> None:
    name = getattr(request.options, "name", None)
    if name is not None and request.command in ("run", "compile", "cell"):
        check_name(name)


def _save(data: bytes, path: str) -> None:
    from pathlib import Path

    target = Path(path).expanduser()
    try:
        target.write_bytes(data)
    except OSError as error:
        raise UsageProblem(f"--save {path}: {error.strerror or error}") from None


def _detached(request: Request, frontend: NotebookFrontend) -> Done:
    options = request.options
    module = load_program(
        options.file, frontend, lang=options.lang, quiet=options.quiet, limits=compile_limits(options)
    )
    return Done(0, start(module, request.rest, request.options, frontend))


def _as_a_cell(carry_out: Callable[[], Done], frontend: NotebookFrontend) -> object:
    """The value of `carry_out`, with errors converted to what a cell shows."""
    try:
        return carry_out().value
    except HelpAsked as asked:
        frontend.say(asked.text)
        return None
    except UsageProblem as problem:
        raise UsageError(f"{problem.command}: {problem.message}" if problem.command else problem.message) from None
    except (GrantError, ModuleError) as error:
        raise UsageError(str(error)) from None
    except CompileError as error:
        raise CompileFailed(error.output, hints=error.hints) from None
    except CompileInterrupted:
        ignore_interrupts()
        raise CellInterrupted("the compile was stopped") from None
    except ToolchainMissing as error:
        raise CellFailure(str(error)) from None
    except ToolchainError as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        if error.filename is None:
            raise
        raise UsageError(f"{error.filename!r}: {error.strerror or error}") from None
    except KeyboardInterrupt as interrupt:
        ignore_interrupts()
        if isinstance(interrupt, CellInterrupted):
            raise
        raise CellInterrupted from None
