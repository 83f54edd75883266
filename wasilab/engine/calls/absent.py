"""WASI imports that cannot be served: a name that no snapshot has, or one imported with another signature.

A module may carry them without ever calling them, so they do not stop it from running; a call is recorded with the
flag NOSYS, whatever it answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...module.binary import FuncType
from ...trace.record.recorder import DID_NOT_RETURN, Flag
from ...wasi import types as t
from ...wasi.preview1.signature import Call
from ..stop import HostBug, HostStop
from . import raw as _raw

if TYPE_CHECKING:
    from .link import Link

UNKNOWN_CALL = 254
"""The `call` number that records a WASI name which no snapshot has."""


def absent_function(
    link: Link, module: str, name: str, call: Call | None, wanted: FuncType, *, raw: bool
) -> Callable[..., Any]:
    """The function for `module.name` of type `wanted`; `call` is the call of that name, if there is one.

    It answers ENOSYS where it returns one i32, nothing where it returns nothing, and otherwise ends the guest. Adds
    a sentence to `link.warnings`.
    """
    if call is None:
        why = f"{module}.{name} is no call of WASI preview 1"
    else:
        why = f"{module}.{name} is imported as {wanted}, not as {FuncType(call.signature, ('i32',))}"
    if wanted.results == ("i32",):
        link.warnings.append(f"{why}: it answers ENOSYS")
    elif wanted.results:
        link.warnings.append(f"{why}: calling it ends the program")
    else:
        link.warnings.append(f"{why}: it does nothing")
    number = UNKNOWN_CALL if call is None else call.number
    flags = Flag.NOSYS | (Flag.UNSTABLE if module == "wasi_unstable" else 0)
    label = f"{module}.{name}".encode()[:256]
    results, params = wanted.results, wanted.params

    def absent(*arguments: Any) -> Any:
        start = time.perf_counter_ns()
        try:
            if raw:
                slots = arguments[2]
                words = [slots[4 * i] if params[i] in ("i32", "i64") else 0 for i in range(min(4, len(params)))]
            else:
                words = [a & 0xFFFFFFFF if isinstance(a, int) else 0 for a in arguments[1:5]]
            words = [*words, 0, 0, 0, 0][:4]
            ends = bool(results) and results != ("i32",)
            link.note(
                start, arguments[1 if raw else 0], number, 0, label, DID_NOT_RETURN if ends else int(t.Errno.NOSYS),
                0, int(flags), why, b"", words,
            )  # fmt: skip
            if ends:
                raise t.Trap(why)
            if not results:
                return 0 if raw else None
            if not raw:
                return int(t.Errno.NOSYS)
            slots[0] = int(t.Errno.NOSYS)
            return 0
        except BaseException as error:  # noqa: BLE001  nothing may leave a callback
            link.stop.error = error if isinstance(error, t.Trap) else HostBug(name, error)
            link.stop.frames = link.where()
            if raw:
                return _raw.trap()
            raise HostStop from None

    return absent
