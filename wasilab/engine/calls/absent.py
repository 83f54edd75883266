"""Functions for imports that nothing provides.

A module may import WASI names that no snapshot has, or that have another signature there, and never call them. So these
imports do not stop it from running. Other unknown imports get a function only if the user asked for it
(`EngineOptions.unknown_imports`). A call of an absent function is recorded with the flag NOSYS, whatever it returns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...module.binary import FuncType
from ...trace.record.functions import Function, pack_values
from ...trace.record.layout import DID_NOT_RETURN, Flag
from ...wasi import types as t
from ...wasi.preview1.signature import Call
from ...wasi.preview1.spec import MODULES, UNKNOWN
from ..compiling.engine_options import UnknownImports
from ..stop import HostStop
from ..values.raw_slots import clear_slots, read_slots
from . import raw as _raw
from .failed_calls import FailedCalls


def why_absent(module: str, name: str, call: Call | None, wanted: FuncType) -> str:
    """Why an import cannot be served; `call` is the WASI call of that name, if there is one."""
    if module not in MODULES:
        return f"{module}.{name} is provided by nothing"
    if call is None:
        return f"{module}.{name} is not a call of WASI preview 1"
    return f"{module}.{name} is imported as {wanted}, not as {FuncType(call.signature, ('i32',))}"


def consequence(wanted: FuncType, unknown: UnknownImports | None = None) -> str:
    """Describe the effect of calling an absent function of that type."""
    if unknown == "default":
        return "it answers zero" if wanted.results else "it does nothing"
    if unknown == "trap":
        return "calling it ends the program"
    if wanted.results == ("i32",):
        return "it answers ENOSYS"
    return "calling it ends the program" if wanted.results else "it does nothing"


def _described(module: str, name: str, wanted: FuncType) -> Function:
    """The function's name in a trace."""
    return Function(name, "unknown", module, params=tuple((f"${at}", kind) for at, kind in enumerate(wanted.params)))


def has_default(wanted: FuncType) -> bool:
    """Whether every result of that type has a default (zero or null)."""
    return not any(kind.startswith("(ref ") and not kind.startswith("(ref null") for kind in wanted.results)


def absent_number(
    failed_calls: FailedCalls, module: str, name: str, call: Call | None, wanted: FuncType
) -> int:
    """The number under which its calls are recorded."""
    if module not in MODULES:
        return failed_calls.further(_described(module, name, wanted))
    return (UNKNOWN if call is None else call).number


def absent_function(
    failed_calls: FailedCalls, module: str, name: str, call: Call | None, wanted: FuncType, *, raw: bool, why: str,
    unknown: UnknownImports | None = None,
) -> Callable[..., object]:
    """The function for `module.name` of type `wanted`; see `consequence`. `why` is recorded with each call."""
    wasi = module in MODULES
    number = absent_number(failed_calls, module, name, call, wanted)
    flags = int(Flag.NOSYS | (Flag.UNSTABLE if module == "wasi_unstable" else 0))
    label = f"{module}.{name}".encode()[:256]
    results, params = wanted.results, wanted.params
    ends = unknown == "trap" or (unknown is None and bool(results) and results != ("i32",))
    errno = DID_NOT_RETURN if ends else 0 if unknown == "default" else int(t.Errno.NOSYS)
    zeros = [None if kind.endswith("ref") else 0.0 if kind[0] == "f" else 0 for kind in results]

    def words_of(arguments: tuple[Any, ...]) -> list[int]:
        """The integers among the first four arguments, for which the record has columns."""
        if raw:
            slots = arguments[2]
            return [slots[4 * i] if params[i] in ("i32", "i64") else 0 for i in range(min(4, len(params)))]
        return [given & 0xFFFFFFFF if isinstance(given, int) else 0 for given in arguments[1:5]]

    def absent(*arguments: Any) -> Any:
        start = failed_calls.now()
        try:
            words = words_of(arguments)
            aux = b"" if wasi else pack_values(read_slots(arguments[2], params) if raw else arguments[1:])
            caller = arguments[1 if raw else 0]
            words = [*words, 0, 0, 0, 0][:4]
            failed_calls.note(start, caller, number, label if wasi else None, errno, flags, why, aux, words)
            if ends:
                raise t.Trap(why)
            if not results:
                return 0 if raw else None
            if unknown == "default":
                if not raw:
                    return zeros[0] if len(zeros) == 1 else zeros
                clear_slots(arguments[2], len(results))
                return 0
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
