"""Makes the session of a program: a core module or a component."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..module.module import Module
from ..trace.record.recorder import Recorder
from ..wasi.host import Host
from .calls.link import Link
from .compiling.engine_options import EngineOptions
from .limits import Limits
from .session import Session


def make_session(
    module: Module,
    host: Host,
    recorder: Recorder | None,
    limits: Limits,
    *,
    preload: Mapping[str, Module] | None = None,
    engine: EngineOptions | None = None,
    overrides: Mapping[str, Callable[..., Any]] | None = None,
    raw: bool = True,
    native: bool = True,
    detached: bool = False,
    link: Callable[..., Link] = Link,
) -> Session:
    """The session for a module or a component; see `Session`."""
    kind = Session
    if module.is_component:
        from .components.component_session import ComponentSession

        kind = ComponentSession
    return kind(
        module, host, recorder, limits, preload=preload, engine=engine, overrides=overrides, raw=raw, native=native,
        detached=detached, link=link,
    )  # fmt: skip
