"""Names of a package that are imported on first use, as SPEC 1 of the Scientific Python project describes it.

    # views/__init__.py                                   # views/__init__.pyi, for type checkers
    from ..lazy import attach                             from . import display as display

    __getattr__ = attach(__name__, {"display": "display"})

`from .. import views` then costs nothing, and executing `views.display.show(run)` imports `views/display.py`. A run
that is never displayed does not import numpy, matplotlib or widgets, and no import hides inside a function.
`tests/test_architecture.py` counts each name here as an import.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def attach(package: str, names: Mapping[str, str]) -> Callable[[str], object]:
    """The `__getattr__` (PEP 562) of the package called `package`.

    `names` maps each name to its target within the package: "display" is the module `display`, and
    "trace:Trace" is `Trace` in the module `trace`.
    """

    def load(name: str) -> object:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home, _, attribute = names[name].partition(":")
        module = import_module(f"{package}.{home}")
        value = getattr(module, attribute) if attribute else module
        setattr(sys.modules[package], name, value)
        return value

    return load
