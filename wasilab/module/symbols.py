"""Demangles the names of C++ and Rust functions, with the `demangle` package.

A stack shows only the qualified name: parameter types are omitted and template arguments are shown as `<...>`. Names
are untrusted input, so the package is given limits, and a name that it cannot parse is shown unchanged.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

MAX_NAME = 4096
"""Longer names are not demangled."""
MAX_DEPTH = 100
"""Maximum nesting of templates and scopes in one name."""
_DETAILS = re.compile(r"(?<=\{closure)#\d+(?=\})|\[abi:\w+\]|(?<=operator\"\") |^(?:non-)?virtual (?=thunk)")
"""Parts that are removed from a name: numbers of closures, ABI tags, a space."""


@lru_cache(maxsize=8192)
def demangle(name: str) -> str:
    """`_ZN3lab3BoxIiE3getEv` -> `lab::Box<...>::get`. A name that is not mangled, or cannot be parsed, is unchanged."""
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
