"""Why the host ends a guest: the engine's exceptions, and the store for the cause while the stack unwinds.

No exception may pass through a callback (`raw.py`), so the cause is kept in a `Stop` until `session.py` makes the
`Outcome`.
"""

from __future__ import annotations

from dataclasses import dataclass

import wasmtime

from .outcome import Kind


class LinkError(Exception):
    """The module cannot be linked; the message is for the user."""


class HostStop(Exception):
    """Raised inside a public callback to end the guest; the cause is in `Stop`."""


class HostBug(Exception):
    """The host failed in a way that no WASI errno describes; `detail` is the traceback, for a bug report."""

    def __init__(self, call: str, error: BaseException) -> None:
        super().__init__(f"wasilab failed in {call}: {type(error).__name__}: {error}. This is a bug of wasilab")
        import traceback  # imported only on failure, not at every start

        self.detail = "".join(traceback.format_exception(error))


class CannotReplay(ValueError):
    """A run or trace cannot be replayed; the message gives the reason and the remedy."""


class EndOfReplay(Exception):
    """A replay ends the guest: its recording ends here, a stop was requested here, or the guest diverges.

    `kind`, `exit_code` and `message` are those of the `Outcome`.
    """

    def __init__(self, kind: Kind, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.exit_code = exit_code
        self.message = message


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where a replayed program diverges from its recording."""

    seq: int
    """The number of the call."""
    recorded: str
    """The recorded call; "" if the recording has no more calls."""
    came: str
    """The program's call; "" if the program ended."""
    difference: str
    """The difference, described."""

    def __str__(self) -> str:
        words = f"the program diverges from its recording at call {self.seq}: {self.difference}"
        if self.recorded:
            words += f"; recorded was {self.recorded}"
        return f"{words}; what came is {self.came}" if self.came else words


class Diverged(EndOfReplay):
    """The guest made a different call than recorded."""

    def __init__(self, divergence: Divergence) -> None:
        super().__init__("diverged", 1, str(divergence))
        self.divergence = divergence


class Stop:
    """Why the host ended the guest, shared by all instances of a run; `error` is None while it runs."""

    __slots__ = ("error", "frames")

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.frames: list[wasmtime.Frame] = []
        """The guest's stack at that time: Wasmtime's frames, innermost first."""
