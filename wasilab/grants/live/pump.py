"""The listeners of a run, and the pump that serves them: the engine's, which also keeps output and asks questions."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ...capabilities.protocols import Directory, File
from ...capabilities.waiting import Interrupt
from ...engine.output import Output
from ...engine.worker import Pump
from .. import live

Ask = Callable[[], "str | bytes | None"]
"""Asks the user for a line of input: `str` gets a newline, `bytes` is used unchanged, None is the end."""


class Listeners(NamedTuple):
    """The callbacks of a run in the calling thread (see `run`)."""

    on_stdout: Callable[[bytes], object] | None = None
    on_stderr: Callable[[bytes], object] | None = None
    on_input: Ask | None = None
    own_stdin: Callable[[Interrupt], File | None] | None = None
    on_compiling: Callable[[float], object] | None = None
    on_tick: Callable[[], object] | None = None
    decide: live.ask.Decider | None = None
    on_asked: Callable[[live.ask.Question | None], object] | None = None
    asker: Asker | None = None


class Asker(NamedTuple):
    """What asks the user where another process does (`stand_ins.stand_ins`)."""

    use: live.stand_ins.Use
    everywhere: Callable[[], Directory]


class ServedPump(Pump):
    """The engine's pump, which also keeps all output; output without a listener is only kept."""

    def __init__(self, output: Output, listeners: Listeners) -> None:
        super().__init__(
            listeners.on_stdout, listeners.on_stderr, listeners.on_input, listeners.on_compiling, self._tick
        )
        self.own: File | None = None
        """The user's input, if it is read directly."""
        self.questions: live.questions.Questions | None = None
        """Where questions of ask mode wait."""
        self._output = output
        self._listeners = listeners

    def _tick(self) -> None:
        listeners = self._listeners
        if self.questions is not None and self.questions.question is not None and listeners.decide is not None:
            self.deliver()  # what the guest wrote before it was asked about
            self.questions.serve(listeners.decide)
        if listeners.on_tick is not None:
            listeners.on_tick()

    def flush(self) -> None:
        self._output.flush()

    def stdout(self, data: bytes) -> None:
        kept = self._output.keep(1, data)
        if kept and self._listeners.on_stdout is not None:
            super().stdout(kept)

    def stderr(self, data: bytes) -> None:
        kept = self._output.keep(2, data)
        if kept and self._listeners.on_stderr is not None:
            super().stderr(kept)
