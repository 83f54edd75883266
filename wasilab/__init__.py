"""wasilab: compile, grant, run, and see every WASI call, in Jupyter, IPython, a script or a terminal.

The public names are resolved on first use, so `import wasilab` does nothing visible and costs nothing; `%load_ext
wasilab` makes the rest ready in the background, where somebody sits at the notebook or the prompt.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .capabilities.clocks import Clocks
    from .capabilities.entropy import Random
    from .capabilities.hostdir import HostDir
    from .capabilities.memdir import MemDir
    from .capabilities.sockets import listen
    from .engine.limits import Limits
    from .engine.live import GuestError
    from .grants.advise import advise
    from .grants.grants import Grants
    from .grants.overrides import override, remove_overrides
    from .instances import Instance
    from .module import Module, load
    from .runner import compile, instantiate, run
    from .runs import Run
    from .trace.trace import Trace
    from .views.panel import panel

__version__ = "0.1.0"

_HOME = {
    "Clocks": "capabilities.clocks",
    "Grants": "grants.grants",
    "GuestError": "engine.live",
    "HostDir": "capabilities.hostdir",
    "Instance": "instances",
    "Limits": "engine.limits",
    "MemDir": "capabilities.memdir",
    "Module": "module",
    "Random": "capabilities.entropy",
    "Run": "runs",
    "Trace": "trace.trace",
    "advise": "grants.advise",
    "compile": "runner",
    "instantiate": "runner",
    "listen": "capabilities.sockets",
    "load": "module",
    "override": "grants.overrides",
    "panel": "views.panel",
    "remove_overrides": "grants.overrides",
    "run": "runner",
}

__all__ = [
    "Clocks",
    "Grants",
    "GuestError",
    "HostDir",
    "Instance",
    "Limits",
    "MemDir",
    "Module",
    "Random",
    "Run",
    "Trace",
    "advise",
    "compile",
    "instantiate",
    "listen",
    "load",
    "override",
    "panel",
    "remove_overrides",
    "run",
]


_VIEWS = {
    "report": "views.report:mimebundle",
    "show": "views.report:show",
    "text": "views.report:text",
    "html": "views.report:to_html",
    "plot": "views.plots:plot",
    "plots": "views.plots:plots",
    "timeline": "views.widget:timeline",
    "panel": "views.panel:panel",
}


def view(kind: str) -> Any:
    """The function that draws a run in the way `kind` names; found here, so that lower floors need not import views."""
    home, _, name = _VIEWS[kind].partition(":")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'wasilab' has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


def load_ipython_extension(ipython: Any) -> None:
    """`%load_ext wasilab`: register the magics `%wasi`, `%%wasi` and `%%wasi_file`."""
    from .magics import load

    load(ipython)
