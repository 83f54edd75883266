"""A WASI call answered by a Python function from the grants: `f(original, *decoded arguments)`.

The function gets the arguments of the semantic function (numbers, bytes, memoryviews, an open `Descriptor`). It may
call `original(*arguments)` for the ordinary behaviour, and returns the same: None, one value, or a tuple, by the call's
results. It may raise `WasiError` or `OSError` to refuse. Any other exception, or a value of the wrong shape, gives the
guest EIO; the error is kept in `errors` for display. It cannot end the process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...capabilities.waiting import Interrupted
from ...text.numbers import counted
from ...trace.record.recorder import Flag
from ...wasi.host import Host
from ...wasi.preview1.signature import Call
from ...wasi.types import DeniedBy, Errno, ProcExit, Trap, WasiError, encode_events
from .injection import Injection

Overrides = Mapping[str, Callable[..., Any]]
"""Call name -> function(original, *decoded arguments)."""
_PASSED_ON = (WasiError, OSError, ProcExit, Trap, Interrupted)
MAX_ERRORS = 20
"""Maximum tracebacks kept per override."""
MAX_TRACEBACK = 20_000
"""Characters kept at the end of each traceback."""


def _said(error: Exception) -> str:
    """Describe an exception, even if its `__str__` fails."""
    try:
        return f"{type(error).__name__}: {error}"[:400]
    except Exception:  # noqa: BLE001  a user's class: its __str__ may fail too
        return f"{type(error).__name__} (which has no text: its __str__ fails)"


class Override:
    """One overridden call: callable in place of its semantic function."""

    def __init__(self, name: str, function: Callable[..., object], host: Host) -> None:
        self.name = name
        self.flags = int(Flag.OVERRIDE)
        """Flags of the call in progress: INJECTED is added when the function did not ask the original."""
        self.errors: list[str] = []
        """Tracebacks of the function's own failures, the first 20."""
        self.failures = 0
        self._function = function
        self._host = host

    def prepare(self, call: Call, semantic: Callable[..., object]) -> Override:
        """Bind to the call that it replaces (of either snapshot: they share semantics); return self."""
        self._call = call
        self._semantic = semantic
        return self

    def __call__(self, host: Host, *arguments: object) -> object:
        self.flags = int(Flag.OVERRIDE | Flag.INJECTED)

        def original(*given: object) -> object:
            self.flags = int(Flag.OVERRIDE)
            return self._semantic(host, *given)

        try:
            return self._checked(self._function(original, *arguments), arguments)
        except _PASSED_ON:
            raise
        except Exception as error:  # noqa: BLE001  user code: its exceptions are shown, not fatal
            self.failures += 1
            said = _said(error)
            if len(self.errors) < MAX_ERRORS:
                import traceback  # imported only when an override fails, not at every start

                self.errors.append("".join(traceback.format_exception(error))[-MAX_TRACEBACK:])
            raise WasiError(Errno.IO, f"the override of {self.name} failed: {said}", DeniedBy.POLICY) from None
        finally:
            if isinstance(self._function, Injection):
                self.flags = self._function.flags(self.flags)

    def _checked(self, value: object, arguments: tuple[Any, ...]) -> object:
        """The value, if its shape matches the call's results."""
        call = self._call
        if any(p.type.kind == "outevents" for p in call.params):
            if not isinstance(value, list):
                raise TypeError(f"it must return a list of events, not {value!r}")
            encode_events(value)
            return value
        if any(p.type.kind == "outstrings" for p in call.params):
            if not isinstance(value, list) or not all(isinstance(one, bytes) for one in value):
                raise TypeError(f"it must return a list of bytes, not {value!r}")
            return value
        if not call.results:
            return None
        values = value if len(call.results) == 2 else (value,)
        if not isinstance(values, tuple) or len(values) != len(call.results):
            names = ", ".join(result.name for result in call.results)
            raise TypeError(f"it must return ({names}), not {value!r}")
        for result, one in zip(call.results, values, strict=True):
            layout = result.type.struct
            if layout is not None:
                layout.pack(*one) if result.type.record else layout.pack(one)
        for param, given in zip(call.params, arguments, strict=False):
            kind = param.type.kind
            room = len(given) if kind == "outbuf" else sum(map(len, given)) if kind in ("iovecs", "ciovecs") else None
            if room is not None and values[0] > room:
                raise ValueError(f"it must return at most the {room} bytes that the buffers hold, not {values[0]!r}")
        return value

    def warning(self) -> str | None:
        """A warning about its failures, or None."""
        if not self.failures:
            return None
        last = (self.errors[0].strip().splitlines() or ["?"])[-1][:400]
        times = counted(self.failures, "time")
        return f"the override of {self.name} failed {times} (first: {last}); the guest was told EIO"
