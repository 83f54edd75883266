"""Why the host ends a guest: the exceptions of the engine, and where the cause is kept while the stack unwinds.

No exception may pass through a callback (`raw.py`), so the cause waits in a `Stop` until `session.py` words it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .outcome import Kind


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


class CannotReplay(ValueError):
    """A run or trace that cannot be run again; the message says why, and what to do."""


class EndOfReplay(Exception):
    """A replay ends the guest: its recording ends here, it was to end here, or the guest parts from it.

    `kind`, `exit_code` and `message` are those of the `Outcome`.
    """

    def __init__(self, kind: Kind, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.exit_code = exit_code
        self.message = message


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where a replayed program parts from its recording."""

    seq: int
    """The number of the call."""
    recorded: str
    """What was recorded, in words; "" for nothing: the recording has no more calls."""
    came: str
    """What the program asked for, in words; "" for nothing: the program ended."""
    difference: str
    """What of it differs, in words."""

    def __str__(self) -> str:
        words = f"the program parts from its recording at call {self.seq}: {self.difference}"
        if self.recorded:
            words += f"; recorded was {self.recorded}"
        return f"{words}; what came is {self.came}" if self.came else words


class Diverged(EndOfReplay):
    """The guest asked for something else than was recorded."""

    def __init__(self, divergence: Divergence) -> None:
        super().__init__("diverged", 1, str(divergence))
        self.divergence = divergence


class Stop:
    """Why the host ended the guest, shared by all instances of a run; `error` is None while it runs."""

    __slots__ = ("error", "frames")

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.frames: list[Any] = []
        """Where the guest was then: Wasmtime's frames, innermost first."""
