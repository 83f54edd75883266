"""`inspect`: what a module is and can ask for, read from its bytes; nothing is run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from ...engine.components.world import World, unprovided, world_of
from ...grants.advice.foresight import differing, foresee
from ...module.binary import FuncType, WasmFormatError
from ...module.dwarf import debug_info
from ...module.module import Module, ModuleError
from ...module.module_words import DEBUG_WORDS, FAMILY_WORDS, KIND_WORDS, PACKAGE_WORDS
from ...module.precompiled import is_precompiled
from ...text.escape import shorten, visible
from ...text.numbers import counted, size
from ...views.inside.module_picture import ModulePicture, look_inside
from ...wasi.components.catalogue import WORLDS
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.options import LANGUAGE_HELP, file_argument
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem
from ..runner.foreseen import answer_lines, comparison_lines, grants_under, never_lines
from ..runner.machine_code_lines import described_machine_code
from .program import load_program

EXPORTS_SHOWN = 40
NAMES_WIDTH = 100
WORLD_SHOWN = 400


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.description = (
        "What a module imports, exports and can ask for, and what is inside: sections, function table, memory,\n"
        "largest functions, what could be dropped. Nothing is run."
    )
    parser.epilog = f"Example: {'%wasi inspect look' if kind == 'notebook' else 'wasilab inspect copy.wasm'}"
    file_argument(parser, "a .wasm, .wat or source file")
    parser.add_argument("second", nargs="?", metavar="OTHER", help="a second one, to compare what both ask for")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument(
        "--under", metavar="FLAGS",
        help="show how these grants would answer each import; FLAGS are flags of run in one text: '--dir . --env A=1'",
    )  # fmt: skip
    parser.add_argument("--lang", metavar="LANG", help=LANGUAGE_HELP)


def execute(request: Request, frontend: Frontend) -> Done:
    """Describe the module that FILE is or compiles to."""
    options = request.options
    alone = options.second is None and options.under is None
    if alone and isinstance(options.file, (str, os.PathLike)) and is_precompiled(Path(options.file).expanduser()):
        return _machine_code(Path(options.file).expanduser(), options.json, frontend)
    module = load_program(options.file, frontend, lang=options.lang, quiet=options.json, portable=True)
    if not alone:
        return _foresee(module, request, frontend)
    return _described(module, frontend, {} if options.json else None)


def _described(module: Module, frontend: Frontend, told: dict[str, object] | None) -> Done:
    """Describe a module; as JSON with what is `told` of it already, if that is not None."""
    if module.is_component:
        try:
            world = world_of(module)
        except WasmFormatError as error:
            raise ModuleError(f"{module.name} is a damaged component: {error}") from None
        if told is not None:
            told = {**told, "imports": world.imports, "exports": world.exports, "not_provided": unprovided(world)}
            frontend.say(json.dumps({**module.to_dict(), **told}, indent=2))
        else:
            frontend.say("\n".join(visible(line) for line in describe_component(module, world)))
        return Done()
    picture: ModulePicture | None = None
    trouble = ""
    try:
        picture = look_inside(module)
    except ModuleError as error:
        trouble = str(error)
    if told is not None:
        description = {**told, **module.to_dict()}
        description |= {"debug": debug_info(module).name.lower(), "inside": picture and picture.to_dict()}
        frontend.say(json.dumps(description, indent=2))
        return Done()
    lines = list(describe(module))
    if picture is None:
        lines.append(f"what is inside cannot be shown: {trouble}")
    elif frontend.kind == "cli":
        lines.append(picture.text())
    frontend.say("\n".join(lines))
    return Done(0, picture if frontend.kind == "notebook" else None)


def _machine_code(path: Path, as_json: bool, frontend: Frontend) -> Done:
    """What a file of machine code is, and the module in it."""
    found = described_machine_code(path)
    if as_json and found.module is None:
        frontend.say(json.dumps(found.to_dict(), indent=2))
    elif not as_json:
        frontend.say("\n".join(found.lines(path)))
    return Done() if found.module is None else _described(found.module, frontend, found.to_dict() if as_json else None)


def _foresee(module: Module, request: Request, frontend: Frontend) -> Done:
    """How grants would answer, or what two modules ask for."""
    options = request.options
    second = None
    if options.second is not None:
        second = load_program(options.second, frontend, lang=options.lang, quiet=options.json, portable=True)
    for each in (module, second):
        if each is not None and each.is_component:
            raise UsageProblem(f"{each.name} is a component: its imports are interfaces (inspect it by itself)")
    lines: list[str] = []
    told: dict[str, object] = {}
    if options.under is not None:
        found = foresee(module, grants_under(options.under))
        told |= asdict(found)
        lines += answer_lines(found)
    if second is not None:
        told |= dict(zip(("only_first", "only_second", "both"), differing(module, second), strict=True))
        lines += comparison_lines(module, second)
    frontend.say(json.dumps(told, indent=2) if options.json else "\n".join(lines))
    return Done()


def describe(module: Module) -> Iterator[str]:
    """The lines of the description."""
    yield f"{visible(module.name)}: {KIND_WORDS[module.kind]}"
    yield f"  size      {size(len(module.bytes))}"
    if module.kind != "component":
        yield f"  debug     {DEBUG_WORDS[debug_info(module)]}"
    snapshots = sorted({item.module for item in module.wasi_imports})
    if snapshots:
        calls = len({item.name for item in module.wasi_imports})
        yield f"  WASI      {', '.join(snapshots)}, {counted(calls, 'call')}"
    elif module.kind != "component":
        touch = "touch nothing by itself" if module.imports else "touch nothing"
        yield f"  WASI      no call: it can compute, but {touch}"
    memory = module.memory
    if memory is not None:
        most = "no maximum" if memory.max_bytes is None else f"at most {size(memory.max_bytes)}"
        yield f"  memory    {size(memory.min_bytes)} at the start, {most}"
    if module.start is not None:
        yield "  start     runs code as soon as it is instantiated"
    asks = module.asks()
    if asks:
        yield "it can ask for"
        for family, names in asks.items():
            yield f"  {family:9} {FAMILY_WORDS[family]}"
            yield from _wrapped("            ", [visible(n) for n in names])
    yield from never_lines(module)
    ours = set(map(id, module.wasi_imports))
    others = [item for item in module.imports if id(item) not in ours]
    if others:
        yield "it imports from elsewhere (--preload NAME=FILE gives such a module)"
        for item in others[:EXPORTS_SHOWN]:
            name = visible(f"{item.module}.{item.name}")
            yield f"  {shorten(name, NAMES_WIDTH)} {shorten(str(item.type), NAMES_WIDTH)}"
        yield from _more(len(others))
    yield "it exports" if module.exports else "it exports nothing"
    for export in module.exports[:EXPORTS_SHOWN]:
        kind: object = export.kind
        if export.kind == "func":
            kind = module.function_type(export.index) or FuncType((), ())
        yield f"  {shorten(visible(export.name), NAMES_WIDTH)} {kind}"
    yield from _more(len(module.exports))


def describe_component(module: Module, world: World) -> Iterator[str]:
    """The lines of the description of a component: in words, then its world as WIT."""
    yield f"{module.name}: {KIND_WORDS['component']}"
    yield f"  size      {size(len(module.bytes))}"
    runs = [name for name in world.exports if name.startswith(WORLDS)]
    if runs:
        yield f"  runs      as {', '.join(runs)}"
    packages: dict[str, list[str]] = {}
    for name in world.imports:
        package, _, interface = name.partition("@")[0].removeprefix("wasi:").partition("/")
        if name.startswith("wasi:"):
            packages.setdefault(package, []).append(interface)
    if packages:
        yield "it can ask for"
    for package, names in packages.items():
        yield f"  {package:10} {PACKAGE_WORDS.get(package, 'unknown to wasilab')}"
        yield from _wrapped("             ", names)
    missing = unprovided(world)
    if missing:
        yield f"it cannot be run here: wasilab does not provide {', '.join(missing)}"
    lines = list(world.wit())
    yield "its world"
    yield from (f"  {shorten(line, 2 * NAMES_WIDTH)}" for line in lines[:WORLD_SHOWN])
    if len(lines) > WORLD_SHOWN:
        yield f"  ... and {counted(len(lines) - WORLD_SHOWN, 'line')} more (--json gives all)"


def _more(total: int) -> Iterator[str]:
    if total > EXPORTS_SHOWN:
        yield f"  ... and {total - EXPORTS_SHOWN:,} more (--json lists all)"


def _wrapped(indent: str, names: list[str], width: int = 100) -> Iterator[str]:
    line = indent
    for at, name in enumerate(names):
        piece = shorten(name, 60) + ("," if at + 1 < len(names) else "")
        if len(line) + len(piece) > width and line.strip():
            yield line.rstrip()
            line = indent
        line += piece + " "
        if at >= EXPORTS_SHOWN * 2:
            line += "..."
            break
    yield line.rstrip()
