"""The native path of one run: the state that the library needs to answer the calls of one host's guests.

A session makes one for an eligible run (`native_run`), links its instances with it and closes it at the end. The
library leaves to Python what it does not get here: a user's own clock, a seeded random source, arguments that change.
"""

from __future__ import annotations

import ctypes
import time
from collections import Counter
from collections.abc import Callable

from ...capabilities.clocks import RealClock
from ...capabilities.host.hostfile import most_descriptors
from ...capabilities.interpose import look_through
from ...capabilities.random import SystemRandom
from ...capabilities.streams import CollectedOutput
from ...capabilities.strings import GivenStrings, Strings
from ...trace.record.recorder import Recorder
from ...wasi.host import MOST_WRITTEN, WRITTEN, Host, Meter
from ...wasi.preview1.signature import Call
from .binding import Library, library
from .callbacks import function_state, native_name
from .collected_output import OutputBuffer
from .layouts import FOREIGN, OFF, FunctionState, GuestState, RunState
from .slots import SlotTable
from .trace_buffer import PathTable, TraceBuffer

_CLOCKS = (time.time_ns, time.monotonic_ns, time.process_time_ns, time.thread_time_ns)
"""The machine's clocks by WASI clock id."""


def native_run(host: Host, recorder: Recorder | None) -> NativeRun | None:
    """The native path for a starting run; call it on the guest's thread. None if it is not available: Python then
    answers all calls."""
    found = library()
    return None if found is None else NativeRun(found, host, recorder)


class NativeRun:
    """The library's state for one host; it mirrors the host's descriptors (`wasi.fdtable.Mirror`)."""

    def __init__(self, library: Library, host: Host, recorder: Recorder | None) -> None:
        self.library = library
        self.state = state = RunState()
        self.address = ctypes.addressof(state)
        self._functions: list[tuple[str, FunctionState]] = []
        self._host = host
        self._recorder = recorder
        outputs = [stream for stream in _outputs(host) if stream is not None]
        self._output = OutputBuffer(library, state, outputs)
        paths = PathTable(library, state)
        self.slots = SlotTable(
            library, state, host, paths, outputs, None if recorder is None else recorder.enter_life
        )  # fmt: skip
        self.update = self.slots.update
        self.put, self.drop = self.slots.put, self.slots.drop  # no call between: every opening makes one of each
        self._buffer = None if recorder is None else TraceBuffer(library, state, recorder, paths, self.slots)
        state.turn = self.slots.enter_opened if self._buffer is None else self._buffer.turn
        state.adopt = self.slots.enter_opened
        state.ready = self.slots.make_ready
        state.era = 1
        self._start_clock()
        state.written, state.most_written = host.meter[WRITTEN], host.meter[MOST_WRITTEN]
        host.meter = _meter(state)
        self._blocks: list[bytes] = []
        self._given = [self._watch(index, strings) for index, strings in enumerate((host.args, host.environ))]
        host.fds.reflect(self)
        self.renew()
        if recorder is not None and self._buffer is not None:
            recorder.write_by(self._buffer)

    def _start_clock(self) -> None:
        state, found = self.state, self.library
        state.steady = found.steady
        state.tsc_base, state.ns_base = found.base
        if found.steady:
            while time.perf_counter_ns() - found.base[1] < 1_000_000:
                time.sleep(0.001)  # once per process: the counter's rate is unknown before
        found.start(self.address)

    # ---- the mirror

    def enter_opened(self) -> None:
        """See `SlotTable.enter_opened`."""
        self.slots.enter_opened()

    def renew(self) -> None:
        """Update the library with the host's current state and grants; from any thread."""
        state, host = self.state, self._host
        state.io, state.most_open, state.ceiling = host.max_io, host.fds.max_fds, most_descriptors()
        known = 0
        for index, (clock, read) in enumerate(zip(host.clock_list, _CLOCKS, strict=True)):
            thing, gates = look_through(clock)
            if type(thing) is RealClock and thing.now is read and all(gate.is_open() for gate in gates):
                known |= 1 << index
                state.resolution[index] = max(1, thing.resolution())
            for gate in gates:
                gate.watch(self.renew)
        source, gates = look_through(host.random)
        for gate in gates:
            gate.watch(self.renew)
        self._put(RunState.clocks.offset, known)
        self._put(RunState.random.offset, type(source) is SystemRandom and all(gate.is_open() for gate in gates))
        self.slots.update_grants()

    def _put(self, offset: int, value: int) -> None:
        self.library.put(self.address + offset, value)

    # ---- arguments and variables

    def _watch(self, index: int, strings: Strings) -> GivenStrings | None:
        """Let the library return these strings until they change."""
        given, gates = look_through(strings)
        if type(given) is not GivenStrings or gates:
            return None
        texts = given.current()
        block = b"".join(text + b"\0" for text in texts)
        self._blocks.append(block)
        target = self.state.strings[index]
        target.count, target.size = len(texts), len(block)
        target.block = ctypes.cast(ctypes.c_char_p(block), ctypes.c_void_p).value
        target.ready = 1

        def withdraw() -> None:
            target.ready = 0
            if target.asked:
                given.sizes()  # do not repeat what the library has announced

        given.before_change = withdraw
        return given

    # ---- linking

    def guest(self, find: Callable[[int], object]) -> GuestState:
        """The state of one instance; `find(caller)` looks up its memory and stores it there. Keep it as long as the
        store."""
        return GuestState(self.address, None, 0, find)

    def function(
        self, guest: GuestState, call: Call, meta: int, target: Callable[..., int], *, off: bool, foreign: bool
    ) -> FunctionState:
        """The state of one function of the instance `guest`; see `callbacks.function_state`. `off`: Python answers all
        calls of it."""
        mode = (OFF if off else 0) | (FOREIGN if foreign else 0)
        made = function_state(ctypes.addressof(guest), call, meta, target, mode)
        self._functions.append((call.name, made))
        return made

    def answered(self) -> Counter[str]:
        """Number of calls that the library has answered, by name."""
        found: Counter[str] = Counter()
        for name, function in self._functions:
            found[name] += function.answered
        return found

    def address_of(self, call: Call) -> int:
        """The address of the library's callback for `call`."""
        return self.library.function(native_name(call))

    def close(self) -> None:
        """The guest has ended: return everything to Python. Closing twice does nothing."""
        host = self._host
        if host.fds.mirror is not self:
            return
        self.slots.enter_opened()
        host.fds.reflect(None)
        self.slots.close()
        self._output.close()
        host.meter = [self.state.written, self.state.most_written]
        for given in self._given:
            if given is not None:
                given.before_change = None
        if self._recorder is not None:
            self._recorder.count_openings(self.slots.generations())
            self._recorder.dropped += self.state.lost
            self._recorder.write_by(None)
        self.state.records = self.state.turn = self.state.adopt = self.state.ready = None


def _meter(state: RunState) -> Meter:
    """`written` and `most_written`, which follow each other, in a third of the time of a structure's fields."""
    first = RunState.written.offset // 8
    assert RunState.most_written.offset // 8 == first + MOST_WRITTEN
    return memoryview(state).cast("B").cast("Q")[first : first + 2]


def _outputs(host: Host) -> list[CollectedOutput | None]:
    found: list[CollectedOutput | None] = []
    for fd in (1, 2):
        descriptor = host.fds.entries.get(fd)
        stream = None if descriptor is None else look_through(descriptor.object)[0]
        found.append(stream if type(stream) is CollectedOutput else None)
    return found
