"""`demo`: one program, refused and then granted, and everything that wasilab shows about the two runs."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from importlib import resources
from pathlib import Path

from ...capabilities.host.features import POSSIBLE_MODES, Mode
from ...capabilities.host.hostdir import HostDir
from ...grants.grants import Grants
from ...module.module import Module
from ...runs import runner
from ...runs.run import Run
from ...toolchains.diagnostics import ToolchainMissing
from ...views.report import report
from ...views.timeline.figure import figure
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem
from ..traces.saved import strace
from .after_run import ending, explanations, warnings
from .compiling import compile_text

TEXT = "Nothing is ambient: this file was copied because two folders were granted.\n"


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.description = "Compile a small C program that copies a file, run it refused and granted, draw its timeline."
    parser.add_argument(
        "--into", default="wasilab-demo", metavar="FOLDER", help="where it writes (default: %(default)s)"
    )


def execute(request: Request, frontend: Frontend) -> Done:
    """Compile the bundled copy.c, run it without grants and with them, write the pictures."""
    if not request.options.into:
        raise UsageProblem("--into: the name is empty; name a folder, which is created if it does not exist")
    folder = Path(request.options.into).expanduser()
    source = (resources.files("wasilab") / "examples" / "copy.c").read_text(encoding="utf-8")
    source_folder, target_folder = _folders(folder, source)
    frontend.say(f"== 1. Compile: {folder}/copy.c, a program that copies a file")
    try:
        module = compile_text(source, "c", frontend, name="copy", portable=True)
    except ToolchainMissing as missing:
        frontend.note(f"wasilab demo: {missing}")
        frontend.note("then run `wasilab demo` again; `wasilab doctor` shows what else is found")
        return Done(1)
    (folder / "copy.wasm").write_bytes(module.bytes)
    asks = {family: names for family, names in module.asks().items() if family in ("path", "environ", "sock")}
    frontend.say(f"{folder}/copy.wasm: {len(module.bytes):,} bytes; among what it can ask for: "
             f"{', '.join(name for names in asks.values() for name in names) or 'nothing outside itself'}")  # fmt: skip

    mode: Mode = "rw" if "rw" in POSSIBLE_MODES else "copy"
    args = ["in/hello.txt", "out/hello.txt"]
    frontend.say(
        f"\n== 2. Run it with nothing granted: wasilab run {shlex.quote(str(folder / 'copy.wasm'))} {' '.join(args)}"
    )
    refused = _run(module, args, Grants(), frontend)

    frontend.say(
        f"\n== 3. Run it again with two folders granted: --dir {source_folder}::in --dir {target_folder}::out:{mode}"
    )
    dirs = {"in": HostDir(str(source_folder)), "out": HostDir(str(target_folder), mode=mode)}
    granted = _run(module, args, Grants(dirs=dirs), frontend)
    granted.changes.apply()  # of a copy

    pictures = []
    for run, name in ((refused, "refused"), (granted, "granted")):
        picture = folder / f"timeline-{name}.png"
        figure(run).savefig(picture)
        page = folder / f"report-{name}.html"
        report.to_html(run, page)
        pictures.append(f"  {picture}   {page}")
    frontend.say("\n== 4. The two runs as pictures and as pages that stand alone\n" + "\n".join(pictures))

    copied = target_folder / "hello.txt"
    ok = granted.exit_code == 0 and copied.is_file() and copied.read_text() == TEXT and refused.exit_code != 0
    if not ok:
        frontend.note("wasilab demo: the runs did not behave as expected; please report this with the text above")
        return Done(1)
    frontend.say(
        f"\nThe copy is in {copied}. Go on with the course, in JupyterLab:\n"
        f"  {_beside('wasilab')} lab lessons"
        "      (or, in any notebook: %load_ext wasilab, then %%wasi c)\n"
        f"or here:\n  {_beside('wasilab')} run --strace --dir {shlex.quote(str(source_folder))}::in "
        f"--dir {shlex.quote(str(target_folder))}::out:{mode} "
        f"{'--apply ' if mode == 'copy' else ''}{shlex.quote(str(folder / 'copy.wasm'))} {' '.join(args)}"
    )
    return Done(0, granted)


def _beside(command: str) -> str:
    """A command of this environment as it would be typed: its name if PATH has it, else its path."""
    folder = os.path.dirname(sys.argv[0])
    here = os.path.join(folder, command)
    found = shutil.which(command)
    if not os.path.isfile(here) or (found is not None and os.path.samefile(found, here)):
        return command
    return shlex.quote(here)


def _folders(folder: Path, example: str) -> tuple[Path, Path]:
    """`folder/in` with the text to copy, an empty `folder/out`, and beside them the program's source."""
    source, target = folder / "in", folder / "out"
    try:
        source.mkdir(parents=True, exist_ok=True)
        target.mkdir(exist_ok=True)
        (source / "hello.txt").write_text(TEXT, encoding="utf-8")
        (folder / "copy.c").write_text(example, encoding="utf-8")
        (target / "hello.txt").unlink(missing_ok=True)
    except OSError as error:
        raise UsageProblem(
            f"--into {folder}: {error.strerror or error}; name a folder that can be written to"
        ) from None
    return source, target


def _run(module: Module, args: list[str], grants: Grants, frontend: Frontend) -> Run:
    streams = frontend.streams()
    try:
        run = runner.run(module, args, grants, name="copy", on_stdout=streams.stdout, on_stderr=streams.stderr)
    finally:
        streams.close()
    frontend.say(strace(run.trace, time="none"))
    out = frontend.out
    for line in [*ending(run, out), *warnings(run, out), *explanations(run, out)]:
        frontend.say(line)
    frontend.say(f"exit status {run.exit_code}, {len(run.trace)} WASI calls, {len(list(run.denied))} refused")
    return run
