"""`demo`: one program, refused and then granted, with everything that wasilab shows of the two runs."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from importlib import resources
from pathlib import Path
from typing import Any

from ..capabilities.host.hostdir import HostDir
from ..grants.grants import Grants
from ..module.module import Module
from ..runs import runner
from ..toolchains.diagnostics import ToolchainMissing
from ..views.report import report
from ..views.timeline.figure import figure
from .line.frontend import Done, Door
from .line.grammar import Request
from .line.program import compile_text
from .line.usage import UsageProblem
from .running import ending, explanations, warnings
from .tracing import strace

TEXT = "Nothing is ambient: this file was copied because two folders were granted.\n"


def demo(request: Request, door: Door) -> Done:
    """Compile the bundled copy.c, run it without grants and with them, write the pictures."""
    if not request.options.into:
        raise UsageProblem("--into: the name is empty; name a folder, which is made where it is missing")
    folder = Path(request.options.into).expanduser()
    source = (resources.files("wasilab") / "examples" / "copy.c").read_text(encoding="utf-8")
    source_folder, target_folder = _folders(folder, source)
    door.say(f"== 1. Compile: {folder}/copy.c, a program that copies a file")
    try:
        module = compile_text(source, "c", door, name="copy")
    except ToolchainMissing as missing:
        door.note(f"wasilab demo: {missing}")
        door.note("then run `wasilab demo` again; `wasilab doctor` shows what else is found")
        return Done(1)
    (folder / "copy.wasm").write_bytes(module.bytes)
    asks = {family: names for family, names in module.asks().items() if family in ("path", "environ", "sock")}
    door.say(f"{folder}/copy.wasm: {len(module.bytes):,} bytes; among what it can ask for: "
             f"{', '.join(name for names in asks.values() for name in names) or 'nothing outside itself'}")  # fmt: skip

    args = ["in/hello.txt", "out/hello.txt"]
    door.say(
        f"\n== 2. Run it with nothing granted: wasilab run {shlex.quote(str(folder / 'copy.wasm'))} {' '.join(args)}"
    )
    refused = _run(module, args, Grants(), door)

    door.say(f"\n== 3. Run it again with two folders granted: --dir {source_folder}::in --dir {target_folder}::out:rw")
    dirs = {"in": HostDir(str(source_folder), mode="ro"), "out": HostDir(str(target_folder), mode="rw")}
    granted = _run(module, args, Grants(dirs=dirs), door)

    pictures = []
    for run, name in ((refused, "refused"), (granted, "granted")):
        picture = folder / f"timeline-{name}.png"
        figure(run).savefig(picture)
        page = folder / f"report-{name}.html"
        report.to_html(run, page)
        pictures.append(f"  {picture}   {page}")
    door.say("\n== 4. The two runs as pictures and as pages that stand alone\n" + "\n".join(pictures))

    copied = target_folder / "hello.txt"
    ok = granted.exit_code == 0 and copied.is_file() and copied.read_text() == TEXT and refused.exit_code != 0
    if not ok:
        door.note("wasilab demo: the runs did not do what they should; please report it with the text above")
        return Done(1)
    door.say(
        f"\nThe copy is in {copied}. Go on in a notebook:\n"
        f"  {_beside('jupyter')} lab notebooks/00-start-here.ipynb"
        "      (or, in any notebook: %load_ext wasilab, then %%wasi c)\n"
        f"or here:\n  {_beside('wasilab')} run --strace --dir {shlex.quote(str(source_folder))}::in "
        f"--dir {shlex.quote(str(target_folder))}::out:rw {shlex.quote(str(folder / 'copy.wasm'))} {' '.join(args)}"
    )
    return Done(0, granted)


def _beside(command: str) -> str:
    """A command of this environment as the person would type it: by name where PATH has it, else by its path."""
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


def _run(module: Module, args: list[str], grants: Grants, door: Door) -> Any:
    streams = door.streams()
    try:
        run = runner.run(module, args, grants, name="copy", on_stdout=streams.stdout, on_stderr=streams.stderr)
    finally:
        streams.close()
    door.say(strace(run.trace, time="none"))
    for line in [*ending(run), *warnings(run), *explanations(run)]:
        door.say(line)
    door.say(f"exit status {run.exit_code}, {len(run.trace)} WASI calls, {len(list(run.denied))} refused")
    return run
