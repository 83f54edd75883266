"""`settings`: the engine's default settings and the alternatives."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from typing import Any, get_args

from ...engine.compiling import engine_options as how
from ...engine.compiling.wasm_features import FEATURES
from ...engine.limits import BOUNDS, DEFAULTS
from ...text.numbers import exact_size
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.parser import Parser
from ..line.request import Request

FLAGS = {
    "optimize": ("--optimize", get_args(how.Optimize)),
    "debug_info": ("--debug-info", ()),
    "cache": ("--cache", ()),
    "nan_canonical": ("--nan-canonical", ()),
    "max_stack": ("--max-stack", ()),
    "unknown_imports": ("--unknown-imports", get_args(how.UnknownImports)),
    "trap_on_grow_failure": ("--trap-on-grow-failure", ()),
    "coredump": ("--coredump", ()),
    "profile": ("--profile", get_args(how.Profile)),
}
"""The option for each field of `EngineOptions`, and its values if they are few."""


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.description = "The engine's default settings and limits."
    parser.add_argument("--json", action="store_true", help="as JSON")


def execute(request: Request, frontend: Frontend) -> Done:
    """Show the settings."""
    found = settings()
    frontend.say(json.dumps(found, indent=2) if request.options.json else describe(found))
    return Done(0, found if request.options.json else None)


def settings() -> dict[str, Any]:
    """The settings as plain JSON values. Sizes in bytes, times in seconds; null: no bound, or not set."""
    usual = how.EngineOptions()
    return {
        "wasmtime": version("wasmtime"),
        "platform": f"{platform.system()} {platform.machine()}",
        "engine": {
            name: {"flag": flag, "value": getattr(usual, name), "values": list(values) or None}
            for name, (flag, values) in FLAGS.items()
        },
        "features": {
            name: {"words": one.words, "on": one.foreign, "needs": list(one.needs)} for name, one in FEATURES.items()
        },
        "limits": {
            name: {"flag": bound.flag, "unit": bound.unit, "value": DEFAULTS[name], "words": bound.words}
            for name, bound in BOUNDS.items()
        },
    }


def describe(found: dict[str, Any]) -> str:
    """The same as text."""
    lines = [f"Wasmtime {found['wasmtime']} on {found['platform']}", "", "engine"]
    for name, one in found["engine"].items():
        others = f"  ({', '.join(one['values'])})" if one["values"] else ""
        value = exact_size(one["value"]) if name == "max_stack" else _said(one["value"])
        lines.append(f"  {one['flag']:24}{value:16}{others}")
    lines += ["", "WebAssembly features, for modules that were not compiled here (--feature NAME[=off])"]
    for name, one in found["features"].items():
        lines.append(f"  {name:24}{_said(one['on']):16}{one['words']}")
    lines += ["", "limits"]
    for name, one in found["limits"].items():
        lines.append(f"  {one['flag']:24}{BOUNDS[name].text(one['value']):16}{one['words']}")
    return "\n".join(line.rstrip() for line in lines)


def _said(value: object) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else "not set" if value is None else str(value)
