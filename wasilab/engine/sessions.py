"""Makes the session of a program: a core module or a component."""

from __future__ import annotations

from typing import Unpack

from ..module.module import Module
from ..trace.record.recorder import Recorder
from ..wasi.host import Host
from .limits import Limits
from .session import Session, SessionArguments


def make_session(
    module: Module,
    host: Host,
    recorder: Recorder | None,
    limits: Limits,
    *,
    detached: bool = False,
    **how: Unpack[SessionArguments],
) -> Session:
    """The session for a module or a component; see `Session`."""
    kind = Session
    if module.is_component:
        from .components.component_session import ComponentSession

        kind = ComponentSession
    return kind(module, host, recorder, limits, detached=detached, **how)
