from .capabilities.clocks import Clocks as Clocks
from .capabilities.host.hostdir import HostDir as HostDir
from .capabilities.host.sockets import listen as listen
from .capabilities.memory.memdir import MemDir as MemDir
from .capabilities.random import Random as Random
from .engine.compiling.engine_options import EngineOptions as EngineOptions
from .engine.instances import GuestError as GuestError
from .engine.limits import Limits as Limits
from .engine.values.vector import V128 as V128
from .grants.advice.advise import advise as advise
from .grants.grants import Grants as Grants
from .grants.override_registry import override as override
from .grants.override_registry import remove_overrides as remove_overrides
from .magics import load_ipython_extension as load_ipython_extension
from .module.module import Module as Module
from .module.module import load as load
from .panels.panel import panel as panel
from .runs.adapter import adapt as adapt
from .runs.compiler import compile as compile
from .runs.instance import Instance as Instance
from .runs.instance import instantiate as instantiate
from .runs.lab import Lab as Lab
from .runs.run import Run as Run
from .runs.runner import run as run
from .trace.trace import Trace as Trace
from .version import __version__ as __version__

__all__: list[str]
