"""What applies to one kind of program only: to a core module of preview 1, or to a component.

One rule: a *grant* that such a program has no call for has no effect, and a note of the run says so, because the
program can do no more and no less than without it. Everything else that cannot be done is refused before the run,
because the user would look in vain for what it was to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..capabilities.host.sockets import ListenSocket
from ..engine.compiling.engine_options import EngineOptions
from ..module.module import Module
from ..text.numbers import listed
from ..wasi.preview1.spec import MODULES
from .fields import grant_fields
from .value import GrantError, GrantValue

FAULTS = "faults are injected into calls of preview 1 only"
MEMORY = "the memory at a call is rebuilt for core modules only"
_UNSTABLE = "wasi_unstable"


class DoesNotFit(GrantError):
    """Something was asked for that cannot be done with such a program; the message names the program and the option."""


def without_effect(module: Module, grants: GrantValue, preload: Mapping[str, Module]) -> Iterator[str]:
    """A sentence for each grant and each preload that has no effect on `module`, whatever it does, and why."""
    if module.is_component:
        return
    wanted = {item.module for each in (module, *preload.values()) for item in each.imports}
    for name in preload:
        if name not in wanted:
            others = listed(map(repr, sorted(wanted)))
            yield _no_effect(f"--preload {name}", module, f"no import is of {name!r}, only of {others}")
    for name, about in grant_fields(type(grants)).items():
        if about.component_only and getattr(grants, name):
            yield _no_effect(about.flag, module, f"preview 1 {about.component_only}; only components have one")
    if wanted & MODULES.keys() == {_UNSTABLE} and any(isinstance(each, ListenSocket) for each in grants.sockets):
        yield _no_effect(
            "--listen", module, f"{_UNSTABLE}, the WASI that it imports, has no call that accepts connections"
        )


def _no_effect(flag: str, module: Module, why: str) -> str:
    return f"{flag} has no effect on {module.name}: {why}"


def check_fits(
    module: Module,
    grants: GrantValue,
    engine: EngineOptions,
    *,
    preload: Mapping[str, Module],
    snapshots: bool,
) -> None:
    """Refuse what cannot be done with a component. Raises `DoesNotFit`."""
    if not module.is_component:
        return
    asked = {
        "--inject": bool(grants.faults) and FAULTS,
        "--preload": bool(preload) and "its imports are interfaces with types, which no module can provide",
        "--snapshots": snapshots and MEMORY,
        "--unknown-imports": engine.unknown_imports in ("trap", "default")
        and "its imports have types, and nothing stands in for one that is missing",
        "--trap-on-grow-failure": engine.trap_on_grow_failure and "the instructions of core modules only are changed",
        "--coredump": engine.coredump and "core dumps are made of core modules only",
        "--profile guest": engine.profile == "guest" and "stacks are sampled in core modules only",
    }
    for flag, why in asked.items():
        if why:
            raise DoesNotFit(f"{flag} is not for {module.name}, a component: {why}")
