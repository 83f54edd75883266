"""The calls of a recording in order, and a replay's position in them.

A recording is an untrusted file: every length and number is checked here before use, and again against the guest's
memory before anything is written there (`answering.py`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from ...text.numbers import counted
from ...trace.calls import Calls
from ...trace.columns.store import header, reason_of
from ...trace.record.functions import BUILT_IN
from ...trace.record.layout import Flag, Life
from ...trace.record.payload import RECORD_WORDS, schema
from ...trace.record.reasons import Reason
from ...trace.record.recorder import Recorder
from ...wasi.preview1.signature import Call
from ...wasi.preview1.spec import UNSTABLE
from ..calls.memory import GuestMemory
from ..inside.memory_snapshots import Point
from ..stop import CannotReplay, Diverged, Divergence, EndOfReplay


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A recorded call: see `trace/record/layout.py` and `payload.py`."""

    seq: int
    number: int
    errno: int
    denied_by: int
    instance: int
    flags: int
    handle: int
    result: int
    path: bytes | None
    words: tuple[int, ...]
    """Its arguments as 32-bit words."""
    aux: bytes
    data: bytes
    reason: Reason

    @property
    def unstable(self) -> bool:
        """Whether it is a call of `wasi_unstable`."""
        return bool(self.flags & Flag.UNSTABLE)

    @property
    def call(self) -> Call | None:
        """Its declaration; None for a number that is not a built-in call."""
        if self.number >= len(BUILT_IN):
            return None
        call = BUILT_IN[self.number]
        return UNSTABLE.get(call.name, call) if self.unstable else call


def read_calls(trace: Calls) -> Iterator[RecordedCall]:
    """The calls of a trace in order. Raises `CannotReplay` for a damaged call."""
    for part, index, _ in trace.store.batches():
        paths = part.paths
        for seq, row in zip(part.numbers(index).tolist(), part.rows(index).tolist(), strict=True):
            _, _, result, handle, path, _, payload, number, errno, denied, instance, flags, _, args = row
            head = header(part, payload)
            words, aux, data = tuple(args), b"", b""
            call = BUILT_IN[number] if number < len(BUILT_IN) else None
            further = 0
            if call is not None and not flags & Flag.NOSYS:
                count = schema(call).words
                further = max(count - RECORD_WORDS, 0)
                words = words[:count]
            if payload or further:
                if head is None:
                    raise damaged(seq, "its payload is missing")
                at, _, aux_size, data_size = head
                end = at + 4 * further + aux_size + data_size
                if end > len(part.arena):
                    raise damaged(seq, "its payload is cut short")
                words += struct.unpack_from(f"<{further}I", part.arena, at)
                at += 4 * further
                aux = bytes(part.arena[at : at + aux_size])
                data = bytes(part.arena[at + aux_size : end])
            yield RecordedCall(
                seq, number, errno, denied, instance, flags, handle, result,
                paths[path - 1] if 0 < path <= len(paths) else None, words, aux, data, reason_of(part, payload),
            )  # fmt: skip


def damaged(seq: int, why: str) -> CannotReplay:
    """The error for a call that no run can have recorded."""
    return CannotReplay(f"the recording is damaged at call {seq}: {why}")


class RecordedLives:
    """Copies the lives of the recording's descriptors into the replay's recorder."""

    def __init__(self, lives: Iterable[Life] = ()) -> None:
        self._changes: dict[int, list[Life]] = {}
        self._first: list[Life] = []
        for life in lives:
            if life.opened_seq < 0:
                self._first.append(life)
            else:
                self._changes.setdefault(life.opened_seq, []).append(life)
            if life.closed_seq >= 0:
                self._changes.setdefault(life.closed_seq, []).append(life)

    def begin(self, recorder: Recorder) -> None:
        """Enter the descriptors that were open before the first call."""
        for life in self._first:
            recorder.enter_life(replace(life, closed_seq=-1))

    def follow(self, recorder: Recorder, seq: int) -> None:
        """Enter the descriptors that call `seq` opened and closed."""
        for life in self._changes.get(seq, ()):
            if life.opened_seq == seq:
                recorder.enter_life(replace(life, closed_seq=-1))
            if life.closed_seq == seq:
                recorder.open_lives.pop(life.life, None)
                recorder.chunk.lives.append(life)


class GoesLive(Exception):
    """The replayed part of the run ends here: the host answers this call and all later ones."""


class ReplayCursor:
    """A replay's position in the calls of a recording.

    `end`: the recording's outcome if it came from outside the program (a limit, an interrupt); None if the program
    ended by itself. `until`: the call before which the replay stops.
    """

    def __init__(
        self, calls: Iterator[RecordedCall], count: int, *, exact: bool = True, until: int | None = None,
        end: EndOfReplay | None = None, write: Callable[[int, bytes], object] | None = None,
        output_of: dict[int, int] | None = None, lives: RecordedLives | None = None,
        describe: Callable[[int], str] = str,
    ) -> None:  # fmt: skip
        self.count = count
        self.exact = exact
        """Whether the program is identical to the recorded one, so that its pointers must agree too."""
        self.done = 0
        """Calls answered so far."""
        self.until = until
        self.end = end
        self.divergence: Divergence | None = None
        self.is_stopped = False
        """Whether the replay stopped at `until`."""
        self.memory: bytes | None = None
        """A copy of the guest's memory when the replay stopped at `until`."""
        self.continue_with: Callable[[int], None] | None = None
        """Prepares the host to answer from a call on, where the replay ends; None: the guest ends there. It is called
        on the guest's thread and raises `CannotReplay`."""
        self.is_live = False
        """Whether the host answers now."""
        self.watch: Callable[[Point, GuestMemory, int | None], None] | None = None
        """Called on the guest's thread before each call and after its answer, with the caller's memory and the value of
        its export `__stack_pointer` (None without one)."""
        self.describe = describe
        """Formats the recorded call of a number."""
        self.write = write
        """Receives the guest's output to stdout (1) and stderr (2)."""
        self.output_of = output_of or {}
        """Life of a descriptor -> 1 (stdout) or 2 (stderr)."""
        self.lives = lives or RecordedLives()
        self._calls = calls

    def next_call(self, came: object) -> RecordedCall:
        """The recorded call that must come next. `came` describes the actual call. Raises `Diverged`."""
        found = next(self._calls, None)
        if found is None and self.continue_with is not None:
            raise GoesLive
        if found is None:
            calls = counted(self.count, "call")
            raise self.part("", str(came), f"the recording has {calls}, and the program makes another one")
        return found

    def part(self, recorded: str, came: str, difference: str) -> Diverged | GoesLive:
        """What to raise for a program that diverges from its recording here."""
        self.divergence = Divergence(self.done, recorded, came, difference)
        return Diverged(self.divergence) if self.continue_with is None else GoesLive()

    def go_live(self) -> None:
        """Let the host answer from this call on. Raises `CannotReplay`."""
        assert self.continue_with is not None, "only a continued replay raises GoesLive"
        self.continue_with(self.done)
        self.is_live = True

    @property
    def is_over(self) -> bool:
        """Whether the replay has reached an end that came from outside the program."""
        return self.end is not None and self.done == self.count

    def answered(self) -> EndOfReplay | None:
        """Count a call; returns the replay's end if the recording was ended from outside after this call."""
        self.done += 1
        return self.end if self.done == self.count else None
