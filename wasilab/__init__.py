"""wasilab: compile, grant, run, and see every WASI call, in Jupyter, IPython, a script or a terminal.

The public names are resolved on first use, so `import wasilab` does nothing visible and costs nothing; `%load_ext
wasilab` makes the rest ready in the background, where somebody sits at the notebook or the prompt.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__ as __version__

if TYPE_CHECKING:
    from .capabilities.clocks import Clocks
    from .capabilities.host.hostdir import HostDir
    from .capabilities.host.sockets import listen
    from .capabilities.memory.memdir import MemDir
    from .capabilities.random import Random
    from .engine.instances import GuestError
    from .engine.limits import Limits
    from .grants.advice.advise import advise
    from .grants.grants import Grants
    from .grants.overrides import override, remove_overrides
    from .module.module import Module, load
    from .panel.panel import panel
    from .runs.instance import Instance
    from .runs.run import Run
    from .runs.runner import compile, instantiate, run
    from .trace.trace import Trace

_HOME = {
    "Clocks": "capabilities.clocks",
    "Grants": "grants.grants",
    "GuestError": "engine.instances",
    "HostDir": "capabilities.host.hostdir",
    "Instance": "runs.instance",
    "Limits": "engine.limits",
    "MemDir": "capabilities.memory.memdir",
    "Module": "module.module",
    "Random": "capabilities.random",
    "Run": "runs.run",
    "Trace": "trace.trace",
    "advise": "grants.advice.advise",
    "compile": "runs.runner",
    "instantiate": "runs.runner",
    "listen": "capabilities.host.sockets",
    "load": "module.module",
    "override": "grants.overrides",
    "panel": "panel.panel",
    "remove_overrides": "grants.overrides",
    "run": "runs.runner",
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
