"""wasilab: compile, grant, run, and see every WASI call, in Jupyter, IPython, a script or a terminal.

The public names are imported on first use, so `import wasilab` is cheap and has no side effects. `%load_ext wasilab`
imports the rest in the background in an interactive session. `__init__.pyi` declares the same names for type checkers.
"""

from __future__ import annotations

from .lazy import attach
from .version import __version__ as __version__

_NAMES = {
    "Channel": "capabilities.host.local.channel:Channel",
    "Clocks": "capabilities.clocks:Clocks",
    "EngineOptions": "engine.compiling.engine_options:EngineOptions",
    "Fault": "grants.faults:Fault",
    "Grants": "grants.grants:Grants",
    "GuestError": "engine.instances:GuestError",
    "HostDir": "capabilities.host.hostdir:HostDir",
    "Instance": "runs.instance:Instance",
    "Lab": "runs.lab:Lab",
    "Limits": "engine.limits:Limits",
    "MemDir": "capabilities.memory.memdir:MemDir",
    "Module": "module.module:Module",
    "Random": "capabilities.random:Random",
    "Run": "runs.run:Run",
    "Trace": "trace.trace:Trace",
    "V128": "engine.values.vector:V128",
    "adapt": "runs.adapter:adapt",
    "advise": "grants.advice.advise:advise",
    "compile": "runs.compiler:compile",
    "explore": "runs.experiments.exploring:explore",
    "foresee": "grants.advice.foresight:foresee",
    "function_code": "views.inside.function_code:function_code",
    "instantiate": "runs.instance:instantiate",
    "listen": "capabilities.host.sockets:listen",
    "load": "module.module:load",
    "minimize": "runs.experiments.minimizing:minimize",
    "look_inside": "views.inside.module_picture:look_inside",
    "override": "grants.override_registry:override",
    "panel": "panels.panel:panel",
    "remove_overrides": "grants.override_registry:remove_overrides",
    "run": "runs.runner:run",
    "sweep": "runs.experiments.sweeping:sweep",
}
"""The public names and where each is defined."""

__all__ = sorted(_NAMES)

__getattr__ = attach(
    __name__, {**_NAMES, "course": "course", "load_ipython_extension": "magics:load_ipython_extension"}
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
