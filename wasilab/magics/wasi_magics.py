"""The magics as IPython sees them, and what `%load_ext wasilab` registers."""

from __future__ import annotations

import re
from typing import Any

from IPython.core.completer import context_matcher
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, line_cell_magic, magics_class, no_var_expand

from .. import runs
from ..commands.line.usage import UsageProblem
from ..commands.line.words import split
from . import cells
from .notebook_session import NotebookSession, cell_number
from .preload import Preload, wanted


@magics_class
class WasiMagics(Magics):
    """The magics and the session that they share."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self.session = NotebookSession()
        self.preload = Preload(lambda: cells.deferred.warm_up(widgets=getattr(shell, "kernel", None) is not None))

    @no_var_expand
    @line_cell_magic
    def wasi(self, line: str, cell: str | None = None) -> object:
        """Compile a cell to WebAssembly and run it under grants; or run a wasilab command.

        A cell:

            %%wasi [LANG] [--name NAME] [--args 'ARG...'] [--dir HOST[::GUEST][:ro|:rw|:copy]]... [-- COMPILER FLAGS]
            (the source)

        LANG is c (the default), c++, zig, rust, go, assemblyscript or wat. The guest gets its arguments, stdout,
        stderr, clocks and randomness, and nothing else unless an option grants it. Its output streams into the
        cell, its stdin is the notebook's input box, and Interrupt stops it. The cell's value (`_`) is
        the `Run`: `_.exit_code`, `_.stdout`, `_.trace`, `_.denied`.

        A line:

            %wasi COMMAND [OPTION]...        the same commands as `wasilab COMMAND` in a terminal
            %wasi run NAME|FILE [ARG]...     run a named module (`--name`) or a file again, under other grants
            %wasi sql select ... from calls  ask the last run's trace in SQL (%%wasi sql: the cell is the query)
            %wasi template LANG              a new cell with a small program to start from
            %wasi                            lists the commands

        A source can have its compiler read your files and variables (#include, .incbin, include_str!, env!). The
        compiler is confined where the system can do it: see `%wasi compile --help`.

        `%wasi help cell` and `%wasi COMMAND --help` list the options. An unquoted {expression} is replaced with its
        Python value (`--dir {folder}::/data`, `--args {my_list}`); quoted text and everything else stays as it is.
        """
        self.preload.wait()
        assert self.shell is not None, "IPython made the magics"
        if cell is None:
            return cells.deferred.run_line(self.shell, self.session, line)
        return cells.deferred.run_cell(self.shell, self.session, line, cell)

    @no_var_expand
    @cell_magic
    def wasi_file(self, line: str, cell: str) -> None:
        """Write the cell into the compile folder of the session, for later `%%wasi` cells to include.

            %%wasi_file util.h
            int twice(int x);

        The file is in memory; cells that are compiled afterwards see it, and are compiled again when it changes.
        """
        assert self.shell is not None, "IPython made the magics"
        try:
            words = split(line)
            if len(words) != 1:
                raise UsageProblem("%%wasi_file NAME: one file name, such as util.h")
            self.session.file(words[0], cell if cell.endswith("\n") else cell + "\n", cell_number(self.shell))
        except UsageProblem as problem:
            raise UsageError(problem.message) from None


    @no_var_expand
    @cell_magic
    def wast(self, line: str, cell: str) -> object:
        """Run the cell as a WebAssembly test script: modules and assertions about them.

            %%wast [--timeout SECONDS] [--feature NAME[=off]]... [--notes]
            (module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
            (assert_return (invoke "add" (i32.const 1) (i32.const 2)) (i32.const 3))

        Each assertion that fails is a line: its place, what was expected and what came. `%wasi wast --help` lists the
        options; `%wasi wast FILE...` runs files.
        """
        self.preload.wait()
        assert self.shell is not None, "IPython made the magics"
        return cells.deferred.run_script_cell(self.shell, self.session, line, cell)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """`%load_ext wasilab`: register the magics and their completion; loading twice keeps the session."""
    if any(isinstance(found, WasiMagics) for found in shell.magics_manager.registry.values()):
        return
    registered = WasiMagics(shell)
    shell.register_magics(registered)
    _draw_for_pages_only(shell)
    _show_differences(shell)
    transformers = getattr(shell, "input_transformers_cleanup", None)
    if transformers is not None:
        transformers.append(keep_empty_cell)
    completer = getattr(shell, "Completer", None)
    if completer is not None and hasattr(completer, "custom_matchers"):
        completer.custom_matchers.append(_lazy_matcher(registered.preload, registered.session))
    if wanted(shell):
        registered.preload.begin()


def keep_empty_cell(lines: list[str]) -> list[str]:
    """Let a cell that is only `%%wasi LANG` reach the magic, which inserts a template.

    IPython itself refuses a cell magic without a body.
    """
    first = lines[0] if lines else ""
    alone = re.match(r"%%wasi(?:\s|$)", first) and not "".join(lines[1:]).strip()
    return [first.rstrip("\n") + "\n", " \n"] if alone else lines


keep_empty_cell.has_side_effects = True  # type: ignore[attr-defined]
# IPython must not apply it to a line being typed: the added empty line would make the cell look complete.


def _show_differences(shell: object) -> None:
    """Show `a.diff(b)` of two traces as two runs on one axis."""
    formatter = getattr(shell, "display_formatter", None)
    if formatter is not None:
        formatter.ipython_display_formatter.for_type_by_name("wasilab.trace.answers.diff", "Diff", _on_one_axis)


def _on_one_axis(difference: runs.run_diff.Difference) -> None:
    cells.deferred.show_difference(difference)


def _draw_for_pages_only(shell: object) -> None:
    """In a text-only terminal, do not draw the picture of a run."""
    formatter = getattr(shell, "display_formatter", None)
    if formatter is not None and list(formatter.active_types) == ["text/plain"]:
        formatter.mimebundle_formatter.for_type_by_name("wasilab.runs.run", "Run", _text_only)


def _text_only(run: runs.run.Run, include: object = None, exclude: object = None) -> dict[str, str]:
    return {"text/plain": cells.deferred.report_text(run, output=not run.streamed)}


def _lazy_matcher(preload: Preload, session: NotebookSession) -> object:
    """The completion matcher; it imports what it needs at the first Tab on one of our lines."""
    found: list[Any] = []

    @context_matcher()  # type: ignore[untyped-decorator]
    def wasilab_matcher(context: Any) -> dict[str, Any]:
        text = context.full_text
        if "%wasi" not in text:
            return {"completions": []}
        if not found:
            preload.wait()
            found.append(cells.deferred.matcher_for(session))
        answer: dict[str, Any] = found[0](context)
        return answer

    return wasilab_matcher
