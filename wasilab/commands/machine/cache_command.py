"""`cache`: what compilations have kept on disk."""

from __future__ import annotations

import os

from ...text.numbers import counted, size
from ...toolchains import cache as store
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.parser import Parser
from ..line.request import Request


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.description = "The compile cache."
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--size", action="store_true", help="its size (the default)")
    which.add_argument("--clear", action="store_true", help="empty it")


def execute(request: Request, frontend: Frontend) -> Done:
    """Show or empty the compile cache."""
    if request.options.clear:
        before = store.clear()
        frontend.say(f"{counted(before.entries, 'module')}, {size(before.bytes)} removed from {before.folder}")
        return Done(0)
    held = store.size()
    modules = counted(held.entries, "module")
    frontend.say(f"{modules}, {size(held.bytes)} of at most {size(held.limit)}, in {held.folder}")
    zig = os.environ.get("ZIG_GLOBAL_CACHE_DIR")
    if zig:
        frontend.say(f"zig keeps its own in {zig}")
    return Done(0)
