"""Why the host ends a guest: the exceptions of the engine, and where the cause is kept while the stack unwinds.

No exception may pass through a callback (`raw.py`), so the cause waits in a `Stop` until `session.py` words it.
"""

from __future__ import annotations

from typing import Any


class LinkError(Exception):
    """The module cannot be linked; the message is for people."""


class HostStop(Exception):
    """Raised inside a public callback to end the guest; the cause is in `Stop`."""


class HostBug(Exception):
    """The host failed in a way that no WASI errno describes: `detail` is the traceback, for a report."""

    def __init__(self, call: str, error: BaseException) -> None:
        super().__init__(f"wasilab failed in {call}: {type(error).__name__}: {error}. This is a bug of wasilab")
        import traceback  # when something is broken: not at every start

        self.detail = "".join(traceback.format_exception(error))


class Stop:
    """Why the host ended the guest, shared by all instances of a run; `error` is None while it runs."""

    __slots__ = ("error", "frames")

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.frames: list[Any] = []
        """Where the guest was then: Wasmtime's frames, innermost first."""
