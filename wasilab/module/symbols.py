"""Names of functions as people write them: C++ and Rust names demangled, by the `demangle` package.

A stack shows the qualified name alone: parameter types are left out and template arguments are shown as `<...>`. Names
come from a stranger's module, so the package works within bounds, and a name that it cannot read is shown as it is.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

MAX_NAME = 4096
"""Longer names are not tried."""
MAX_DEPTH = 100
"""Nesting of templates and scopes in one name."""
_DETAILS = re.compile(r"(?<=\{closure)#\d+(?=\})|\[abi:\w+\]|(?<=operator\"\") |^(?:non-)?virtual (?=thunk)")
"""What is left out of a name: which of several closures, ABI tags, a space."""


@lru_cache(maxsize=8192)
def demangle(name: str) -> str:
    """`_ZN3lab3BoxIiE3getEv` -> `lab::Box<...>::get`. A name that is not mangled, or not understood, is unchanged."""
    if not name.startswith(("_Z", "_R")) or len(name) > MAX_NAME:
        return name
    import demangle as library  # 50 ms: only when a mangled name is shown

    limits = library.Limits(max_depth=MAX_DEPTH, max_output=4 * MAX_NAME, max_substitutions=MAX_NAME)
    try:
        tree = library.parse(name, language=("itanium", "rust"), limits=limits)
        return _DETAILS.sub("", _short(tree)) or name
    except (library.DemanglingError, RecursionError):
        return name


def _short(node: Any) -> str:
    """The text of a node of the package's tree (or of a piece of text in it), without parameters and arguments."""
    if isinstance(node, str):
        return node
    match node.kind:
        case "function" if node.name is not None:
            return _short(node.name)
        case "template":
            return f"{_short(node.base)}<...>"
        case "qualified":
            return "::".join(_short(part) for part in node.parts)
        case "special":
            return f"{node.label}{_short(node.inner)}"
        case "symbol" | "path":
            return "".join(_short(part) for part in node.parts)
        case "raw" if node.text.startswith("'lambda"):
            return "{lambda}"
        case _:
            return str(node.spell())
