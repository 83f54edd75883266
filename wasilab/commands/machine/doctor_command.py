"""`doctor`: what this machine has, what is missing and how to install it."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from typing import Any

from ...engine.compiling import advisories, engines
from ...engine.isolate.sandbox import LAYERS
from ...engine.session import why_not_native
from ...grants.value import GrantError
from ...runs import isolated
from ...text.numbers import counted, size
from ...toolchains import cache as store
from ...toolchains.compile import Compiled
from ...toolchains.diagnostics import ToolchainError
from ...toolchains.doctor import LanguageStatus, confinement, report, status, warm
from ...toolchains.probe import Tool
from ...toolchains.registry import SLOW_FIRST
from ...toolchains.wasm_tools.adapt import Adaptation, adaptation
from ...version import __version__
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.parser import Parser
from ..line.request import Request

PARTS = (
    "wasmtime", "numpy", "ipython", "ipykernel", "ipywidgets", "anywidget", "matplotlib", "platformdirs", "pyelftools",
    "demangle",
)  # fmt: skip
"""What wasilab needs."""
OPTIONAL = {
    "jupyterlab": ("notebooks in the browser", "pip install jupyterlab"),
    "pyarrow": ("traces as .parquet and Arrow tables", "pip install pyarrow"),
    "duckdb": ("traces in SQL", "pip install duckdb pyarrow"),
    "capstone": ("machine code as instructions (code)", "pip install capstone"),
    "pandas": ("traces as DataFrames", "pip install pandas pyarrow"),
}
"""Optional parts: what each is for, and the line that installs it."""


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.description = (
        "Which compilers were found and work, versions and caches; what is missing, with its install line."
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument(
        "--warm", action="store_true", help="build the libc caches now, so that the first cell is quick"
    )


def execute(request: Request, frontend: Frontend) -> Done:
    """Describe the machine; with `--warm`, build the libraries that the first C or C++ compile would wait for."""
    options = request.options
    if options.warm:
        return _warm(frontend)
    with frontend.busy("trying the compilers", options.json):
        facts = machine()
    if options.json:
        frontend.say(json.dumps(facts, indent=2))
    else:
        frontend.say(describe(facts))
    return Done(0)


def machine() -> dict[str, Any]:
    """All that `doctor` knows, as plain JSON values."""
    return {
        "wasilab": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "parts": {name: _version(name) for name in PARTS},
        "optional": {
            name: {"version": _version(name), "for": what, "install": line} for name, (what, line) in OPTIONAL.items()
        },
        "languages": {found.language: _language(found) for found in report()},
        "components": _components(adaptation(refresh=True)),
        "confinement": confinement(),
        "isolation": isolation_facts(),
        "native": {"used": not why_not_native(), "why_not": why_not_native()},
        "security": security(),
        "cache": _cache_facts(),
    }


def isolation_facts() -> dict[str, Any]:
    """The sandbox layers for `--isolate` on this machine: name -> meaning, and whether it is available."""
    try:
        active, why = isolated.outside.doctor(), ""
    except GrantError as error:
        active, why = [], str(error)
    layers = {name: {"active": name in active, "words": words} for name, words in LAYERS.items()}
    return {"layers": layers, "why_not": why}


def security() -> list[str]:
    """Known vulnerabilities of Wasmtime and problems with its cache, as sentences."""
    version = advisories.installed()
    known = advisories.warning(version).splitlines()
    if not known:
        known = [f"wasmtime {version}: no vulnerability known (advisories up to {advisories.CHECKED})"]
    trouble = engines.cache_trouble()
    return [*known, *([f"Wasmtime's cache is not used: {trouble}"] if trouble else [])]


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _language(found: LanguageStatus) -> dict[str, Any]:
    """The state of one language: the compiler used, whether it is warm, other compilers found, the install line."""
    return {
        "title": found.title,
        "uses": None if found.tool is None else _tool(found.tool),
        "cold": found.cold,
        "others": [_tool(one) for one in found.others],
        "failed": [{"path": one.path, "why": one.why} for one in found.failures],
        "install": found.install,
        "notes": list(found.notes),
    }


def _components(found: Adaptation) -> dict[str, Any]:
    """What converts modules to components (`adapt`, `--component`): the program, the adapters, the install line."""
    return {
        "tool": None if found.tools is None else _tool(found.tools),
        "adapter": None if found.command is None else str(found.command),
        "reactor_adapter": None if found.reactor is None else str(found.reactor),
        "failed": [{"path": one.path, "why": one.why} for one in found.failures],
        "install": found.install,
    }


def _tool(tool: Tool) -> dict[str, str]:
    return {"name": tool.name, "path": tool.path, "how": tool.how}


def _cache_facts() -> dict[str, Any]:
    held = store.size()
    return {"folder": str(held.folder), "modules": held.entries, "bytes": held.bytes, "limit": held.limit}


def describe(facts: dict[str, Any]) -> str:
    """The same as text."""
    lines = [f"wasilab {facts['wasilab']}, Python {facts['python']}, {facts['platform']}"]
    lines.append("  " + ", ".join(f"{name} {version or 'MISSING'}" for name, version in facts["parts"].items()))
    lines += ["", "languages"]
    for language in facts["languages"].values():
        uses = language["uses"]
        if uses is None:
            lines.append(f"  {language['title']:16}missing; install with: {language['install']}")
        else:
            where = "" if not uses["path"] else f", {uses['path']}"
            lines.append(f"  {language['title']:16}{uses['name']} ({uses['how']}{where})")
            if language["cold"]:
                lines.append(f"  {'':16}{language['cold']}; `wasilab doctor --warm` does it now")
            lines += [f"  {'':16}{note}" for note in language["notes"]]
        lines += [f"  {'':16}also: {other['name']} ({other['how']}, {other['path']})" for other in language["others"]]
        lines += [
            f"  {'':16}not usable: {failed['path'] or 'its compiler'}: {_first_line(failed['why'])}"
            for failed in language["failed"]
        ]
    made = facts["components"]
    tool = made["tool"]
    lines.append(f"  {facts['confinement']}")
    lines += ["", "components of preview1 modules (`wasilab adapt`, --component), and test scripts (`wasilab wast`)"]
    known = "missing" if tool is None else f"{tool['name']} ({tool['how']}, {tool['path']})"
    lines.append(f"  {'wasm-tools':16}{known}")
    lines.append(f"  {'adapter':16}{made['adapter'] or 'missing'}")
    lines += [f"  {'':16}not usable: {one['path']}: {_first_line(one['why'])}" for one in made["failed"]]
    if made["install"]:
        lines.append(f"  {'':16}install with: {made['install']}")
    lines += ["", "security", *(f"  {line}" for line in facts["security"])]
    lines += ["", *isolation_lines(facts["isolation"])]
    lines += ["", native_words(facts["native"]["why_not"]), "", "optional parts"]
    for name, part in facts["optional"].items():
        state = part["version"] or "missing; install with: " + part["install"]
        lines.append(f"  {name:16}{state} ({part['for']})")
    held = facts["cache"]
    lines += [
        "",
        f"compile cache: {counted(held['modules'], 'module')}, {size(held['bytes'])} of at most {size(held['limit'])}, "
        f"in {held['folder']}",
    ]
    return "\n".join(lines)


def isolation_lines(facts: dict[str, Any]) -> list[str]:
    """The sandbox layers of `--isolate` on this machine."""
    if facts["why_not"]:
        return [f"--isolate cannot be used: {facts['why_not']}"]
    rows = facts["layers"].items()
    lacking = [name for name, layer in rows if not layer["active"]]
    verdict = f"--isolate=strict refuses to run: {', '.join(lacking)} missing" if lacking else "--isolate=strict works"
    return [
        f"sandbox of an isolated run ({verdict})",
        *(f"  {name:16}{layer['words'] if layer['active'] else 'missing: ' + layer['words']}" for name, layer in rows),
    ]


def native_words(why_not: str) -> str:
    """Who answers a guest's calls here; `why_not` says why no native library does, "" where one does."""
    if why_not:
        return f"calls are answered in Python, without the native library: {why_not}"
    return "calls are answered by the native library where they succeed"


def _first_line(text: str) -> str:
    rows = [row for row in text.splitlines() if row.strip()]
    return rows[0][:160] if rows else "it said nothing"


def _warm(frontend: Frontend) -> Done:
    """Make each installed compiler that is cold build its libraries now; C is required."""
    failed = False
    for language in SLOW_FIRST:
        found = status(language)
        if found.tool is None:
            frontend.note(f"{found.title}: missing; install with: {found.install}")
            failed |= language == "c"
            continue
        if found.cold is None:
            frontend.say(f"{found.title}: {found.tool.name} is warm")
            continue
        try:
            done = _warm_one(language, found.cold, frontend)
        except ToolchainError as error:
            frontend.note(f"{found.title}: {error}")
            failed |= language == "c"
        else:
            frontend.say(f"{found.title}: {done.toolchain} is warm now, after {done.seconds:.0f} s")
    return Done(1 if failed else 0)


def _warm_one(language: str, cold: str, frontend: Frontend) -> Compiled:
    with frontend.busy(cold) as busy:
        return warm(language, on_progress=lambda seconds, sentence: busy.tick(sentence))
