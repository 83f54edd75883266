"""`@override("random_get")`: a notebook function that replaces a WASI call in all later runs until it is removed.

    @wasilab.override("random_get")
    def loaded_dice(original, buffer):
        buffer[:] = b"\\4" * len(buffer)

The function gets the ordinary behaviour as `original` and the call's decoded arguments; `engine/overrides.py` describes
its return value and failures. Every call that it answers is flagged OVERRIDE in the trace. For one run only, use
`Grants(overrides={...})`, which takes precedence over what is registered here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeVar

from ..wasi.preview1.spec import SNAPSHOT1
from .value import GrantError, nearest

F = TypeVar("F", bound=Callable[..., object])

_lock = threading.Lock()
_registered: dict[str, Callable[..., object]] = {}


def override(name: str) -> Callable[[F], F]:
    """A decorator: the function answers the WASI call `name` in every later run; the last one registered wins.

    Raises `GrantError` for an unknown WASI call.
    """
    if name not in SNAPSHOT1:
        raise GrantError(f"override({name!r}): no such WASI call{nearest(name, SNAPSHOT1)}")

    def register(function: F) -> F:
        if not callable(function):
            raise GrantError(f"override({name!r}) goes above a function")
        with _lock:
            _registered[name] = function
        return function

    return register


def remove_overrides(*names: str) -> None:
    """Restore the ordinary behaviour of the calls `names` (default: all). Raises `GrantError` for a wrong name."""
    with _lock:
        for name in names or tuple(_registered):
            if name not in _registered:
                raise GrantError(f"{name!r} is not overridden{nearest(name, _registered)}")
            del _registered[name]


def overrides() -> Mapping[str, Callable[..., object]]:
    """The current registrations: call -> function."""
    with _lock:
        return MappingProxyType(dict(_registered))
