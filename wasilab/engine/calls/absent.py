"""WASI imports that cannot be served: a name that no snapshot has, or one imported with another signature.

A module may carry them without ever calling them, so they do not stop it from running. A call of one is recorded with
the flag NOSYS, whatever it answers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...module.binary import FuncType
from ...trace.record.layout import DID_NOT_RETURN, Flag
from ...wasi import types as t
from ...wasi.preview1.signature import Call
from ...wasi.preview1.spec import UNKNOWN
from ..stop import HostStop
from . import raw as _raw
from .failed_calls import FailedCalls


def why_absent(module: str, name: str, call: Call | None, wanted: FuncType) -> str:
    """A sentence on an import that cannot be served; `call` is the call of that name, if there is one."""
    if call is None:
        return f"{module}.{name} is not a call of WASI preview 1"
    return f"{module}.{name} is imported as {wanted}, not as {FuncType(call.signature, ('i32',))}"


def consequence(wanted: FuncType) -> str:
    """What calling an absent function of that type does."""
    if wanted.results == ("i32",):
        return "it answers ENOSYS"
    return "calling it ends the program" if wanted.results else "it does nothing"


def absent_function(
    failed_calls: FailedCalls, module: str, name: str, call: Call | None, wanted: FuncType, *, raw: bool
) -> Callable[..., Any]:
    """The function for `module.name` of type `wanted`, as `consequence` says."""
    why = why_absent(module, name, call, wanted)
    number = (UNKNOWN if call is None else call).number
    flags = int(Flag.NOSYS | (Flag.UNSTABLE if module == "wasi_unstable" else 0))
    label = f"{module}.{name}".encode()[:256]
    results, params = wanted.results, wanted.params
    ends = bool(results) and results != ("i32",)
    errno = DID_NOT_RETURN if ends else int(t.Errno.NOSYS)

    def words_of(arguments: tuple[Any, ...]) -> list[int]:
        """The first four arguments as far as they are integers: what the record has columns for."""
        if raw:
            slots = arguments[2]
            return [slots[4 * i] if params[i] in ("i32", "i64") else 0 for i in range(min(4, len(params)))]
        return [given & 0xFFFFFFFF if isinstance(given, int) else 0 for given in arguments[1:5]]

    def absent(*arguments: Any) -> Any:
        start = failed_calls.now()
        try:
            words = [*words_of(arguments), 0, 0, 0, 0][:4]
            caller = arguments[1 if raw else 0]
            failed_calls.note(start, caller, number, 0, label, errno, 0, flags, why, b"", words)
            if ends:
                raise t.Trap(why)
            if not results:
                return 0 if raw else None
            if not raw:
                return errno
            arguments[2][0] = errno
            return 0
        except BaseException as error:  # noqa: BLE001  nothing may leave a callback
            failed_calls.end(error, name)
            if raw:
                return _raw.trap()
            raise HostStop from None

    return absent
