"""`wasi:cli`, `wasi:clocks` and `wasi:random`, 0.2 and 0.3: arguments, environment, exit, standard streams, terminals,
clocks, randomness.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn
from weakref import WeakKeyDictionary

from ...capabilities.protocols import BaseFile
from ...capabilities.refusal import DeniedBy, Need, NeedKind
from ...capabilities.strings import Strings
from ..errnos import Errno, WasiError
from ..fdtable import Descriptor
from ..host import Host
from ..operations import Operation as Op
from ..types import ProcExit, Rights, Trap
from .interfaces import Interface
from .resources import PIECE, Closed, InputStream, OutputStream, Pollable, monotonic_deadline
from .waits import HostWait, Incoming, Pending, Promise, Source

MAX_RANDOM = 64 << 20
"""Maximum random bytes per call; 0.3 returns at most this many, 0.2 refuses more."""
_READ, _WRITE = int(Rights.FD_READ), int(Rights.FD_WRITE)


def _both(name: str) -> tuple[Interface, Interface]:
    return Interface(name, "0.2"), Interface(name, "0.3")


# -- arguments, environment, exit --------------------------------------------------------------------------------------

ENVIRONMENT2, ENVIRONMENT3 = _both("wasi:cli/environment")
EXIT2, EXIT3 = _both("wasi:cli/exit")


def _all(strings: Strings) -> list[bytes]:
    strings.sizes()
    return strings.get()


@ENVIRONMENT2.function("get-environment", Op.ENVIRONMENT, "() -> list<tuple<string, string>>")
@ENVIRONMENT3.function("get-environment", Op.ENVIRONMENT, "() -> list<tuple<string, string>>")
def get_environment(host: Host) -> list[tuple[str, str]]:
    """The variables, as (name, value)."""
    return [
        (name.decode("utf-8", "replace"), value.decode("utf-8", "replace"))
        for name, _, value in (entry.partition(b"=") for entry in _all(host.environ))
    ]


@ENVIRONMENT2.function("get-arguments", Op.ARGUMENTS, "() -> list<string>")
@ENVIRONMENT3.function("get-arguments", Op.ARGUMENTS, "() -> list<string>")
def get_arguments(host: Host) -> list[str]:
    """The arguments, the program's name first."""
    return [argument.decode("utf-8", "replace") for argument in _all(host.args)]


@ENVIRONMENT2.function("initial-cwd", Op.ENVIRONMENT, "() -> option<string>")
@ENVIRONMENT3.function("get-initial-cwd", Op.ENVIRONMENT, "() -> option<string>")
def initial_cwd(host: Host) -> None:
    """None: a component has no current directory."""


@EXIT2.function("exit", Op.EXIT, "(status: result)")
@EXIT3.function("exit", Op.EXIT, "(status: result)")
def exit_(host: Host, status: tuple[str, None]) -> NoReturn:
    """End the program with code 0, or 1 for an error."""
    raise ProcExit(0 if status[0] == "ok" else 1)


@EXIT2.function("exit-with-code", Op.EXIT, "(status-code: u8)")
@EXIT3.function("exit-with-code", Op.EXIT, "(status-code: u8)")
def exit_with_code(host: Host, code: int) -> NoReturn:
    """End the program with a code."""
    raise ProcExit(code)


# -- standard streams --------------------------------------------------------------------------------------------------

STDIN2 = Interface("wasi:cli/stdin", "0.2", types={"input-stream": "use wasi:io/streams"})
STDOUT2 = Interface("wasi:cli/stdout", "0.2", types={"output-stream": "use wasi:io/streams"})
STDERR2 = Interface("wasi:cli/stderr", "0.2", types={"output-stream": "use wasi:io/streams"})
CLI_TYPES3 = Interface("wasi:cli/types", "0.3", types={"error-code": "enum { io, illegal-byte-sequence, pipe }"})
STDIN3 = Interface("wasi:cli/stdin", "0.3", types={"error-code": "use wasi:cli/types"})
STDOUT3 = Interface("wasi:cli/stdout", "0.3", types={"error-code": "use wasi:cli/types"})
STDERR3 = Interface("wasi:cli/stderr", "0.3", types={"error-code": "use wasi:cli/types"})

_NAMES = ("stdin", "stdout", "stderr")
_NEEDS = (NeedKind.STDIN, NeedKind.STDOUT, NeedKind.STDERR)


class NotGranted(BaseFile):
    """The file of a standard stream that was not granted: every use of it is refused."""

    def __init__(self, number: int) -> None:
        self._number = number

    def _refuse(self) -> WasiError:
        name = _NAMES[self._number]
        return WasiError(Errno.BADF, f"{name} is not granted", DeniedBy.GRANT, Need(_NEEDS[self._number]))

    def read(self, buffers: object) -> NoReturn:
        """Refuse."""
        raise self._refuse()

    write = read

    def fileno(self) -> None:
        """None: it never blocks."""
        return


def _standard(host: Host, number: int) -> Descriptor:
    """The descriptor of a standard stream, or one that refuses every call and is in no table."""
    granted = host.fds.entries.get(number)
    if granted is not None:
        return granted
    refused = Descriptor(NotGranted(number), _READ | _WRITE, 0, f"<{_NAMES[number]}>", strict=False, owned=False)
    refused.fd = number
    return refused


@STDIN2.function("get-stdin", Op.OPEN, "() -> own<input-stream>")
def get_stdin(host: Host) -> InputStream:
    """Standard input as a stream."""
    return InputStream(_standard(host, 0))


@STDOUT2.function("get-stdout", Op.OPEN, "() -> own<output-stream>")
def get_stdout(host: Host) -> OutputStream:
    """Standard output as a stream."""
    return OutputStream(_standard(host, 1))


@STDERR2.function("get-stderr", Op.OPEN, "() -> own<output-stream>")
def get_stderr(host: Host) -> OutputStream:
    """Standard error as a stream."""
    return OutputStream(_standard(host, 2))


def _cli_error(host: Host, error: BaseException) -> tuple[str, str]:
    failure = host.explain(error)
    if failure is None:
        raise error
    code = {Errno.PIPE: "pipe", Errno.ILSEQ: "illegal-byte-sequence"}.get(failure.errno, "io")
    return ("error", code)


@STDIN3.function("read-via-stream", Op.READ, "() -> tuple<stream<u8>, future<result<_, error-code>>>")
def stdin_stream(host: Host) -> tuple[Source, Promise]:
    """A stream of standard input, and how it ended."""
    done = Promise()
    stream = InputStream(_standard(host, 0))

    def pull(count: int) -> bytes | HostWait | None:
        try:
            if not stream.is_ready(host):
                fd = stream.fileno()
                return HostWait(readers=() if fd is None else (fd,))
            found = bytes(stream.read(host, min(count, PIECE), block=True))
        except Exception as error:  # noqa: BLE001  the end, or a failure
            done.resolve(("ok", None) if isinstance(error, Closed) else _cli_error(host, error))
            return None
        return found

    return Source(pull, lambda: done.resolve(("ok", None))), done


class StandardSink:
    """The receiver of the bytes that a guest writes to a stream of standard output or error."""

    def __init__(self, host: Host, number: int, done: Promise) -> None:
        self._host = host
        self._stream = OutputStream(_standard(host, number))
        self._done = done

    def put(self, data: bytes) -> None:
        """Write them."""
        self._stream.write(self._host, data)

    def room(self) -> None:
        """Always."""
        return

    def end(self, error: BaseException | None) -> None:
        """Report how the stream ended."""
        self._done.resolve(("ok", None) if error is None else _cli_error(self._host, error))


def _output(number: int) -> Callable[[Host, Incoming], Promise]:
    def write_via_stream(host: Host, data: Incoming) -> Promise:
        """Write a stream of bytes; returns how it ended."""
        done = Promise()
        data.consume(StandardSink(host, number, done))
        return done

    return write_via_stream


_WRITE_TYPE = "(data: stream<u8>) -> future<result<_, error-code>>"
STDOUT3.function("write-via-stream", Op.WRITE, _WRITE_TYPE)(_output(1))
STDERR3.function("write-via-stream", Op.WRITE, _WRITE_TYPE)(_output(2))

# -- terminals: there are none -----------------------------------------------------------------------------------------

TERMINALS: list[Interface] = []
for _version in ("0.2", "0.3"):
    for _kind in ("input", "output"):
        TERMINALS.append(
            Interface(
                f"wasi:cli/terminal-{_kind}",
                _version,
                resources={f"terminal-{_kind}": lambda host, terminal: None},
            )
        )
    for _name in _NAMES:
        _kind = "input" if _name == "stdin" else "output"
        _interface = Interface(
            f"wasi:cli/terminal-{_name}", _version, types={f"terminal-{_kind}": f"use wasi:cli/terminal-{_kind}"}
        )
        _interface.function(f"get-terminal-{_name}", Op.DESCRIBE, f"() -> option<own<terminal-{_kind}>>")(
            lambda host: None
        )
        TERMINALS.append(_interface)

# -- clocks ------------------------------------------------------------------------------------------------------------

MONOTONIC2 = Interface(
    "wasi:clocks/monotonic-clock", "0.2",
    types={"pollable": "use wasi:io/poll", "instant": "u64", "duration": "u64"},
)  # fmt: skip
WALL2 = Interface("wasi:clocks/wall-clock", "0.2", types={"datetime": "record { seconds: u64, nanoseconds: u32 }"})
CLOCK_TYPES3 = Interface("wasi:clocks/types", "0.3", types={"duration": "u64"})
MONOTONIC3 = Interface("wasi:clocks/monotonic-clock", "0.3", types={"duration": "use wasi:clocks/types", "mark": "u64"})
SYSTEM3 = Interface(
    "wasi:clocks/system-clock", "0.3",
    types={"duration": "use wasi:clocks/types", "instant": "record { seconds: s64, nanoseconds: u32 }"},
)  # fmt: skip
_MAX = (1 << 64) - 1


def _fitting(number: int, most: int = _MAX) -> int:
    """A time that its type can hold. WASI: `now` traps if the value of the clock cannot be represented."""
    if not 0 <= number <= most:
        raise Trap(f"the clock's time {number} is not between 0 and {most}, which its type can hold")
    return number


@MONOTONIC2.function("now", Op.CLOCK, "() -> instant")
@MONOTONIC3.function("now", Op.CLOCK, "() -> mark")
def monotonic_now(host: Host) -> int:
    """The monotonic clock, ns."""
    return _fitting(host.clock_list[1].now())


@MONOTONIC2.function("resolution", Op.CLOCK, "() -> duration")
@MONOTONIC3.function("get-resolution", Op.CLOCK, "() -> duration")
def monotonic_resolution(host: Host) -> int:
    """Its smallest step, ns."""
    return _fitting(host.clock_list[1].resolution())


@MONOTONIC2.function("subscribe-instant", Op.SLEEP, "(when: instant) -> own<pollable>")
def subscribe_instant(host: Host, when: int) -> Pollable:
    """Ready at this time."""
    host.clock_list[1].resolution()  # refuses if no clock is granted
    return Pollable(clock=host.clock_list[1], deadline=when)


@MONOTONIC2.function("subscribe-duration", Op.SLEEP, "(when: duration) -> own<pollable>")
def subscribe_duration(host: Host, duration: int) -> Pollable:
    """Ready after this duration."""
    clock = host.clock_list[1]
    return Pollable(clock=clock, deadline=min(_MAX, clock.now() + duration))


def _until(host: Host, when: int) -> Pending | None:
    clock = host.clock_list[1]
    if clock.now() >= when:
        return None
    if clock.virtual:
        return Pending(HostWait(jump=lambda: clock.advance_to(when)), lambda: None)
    return Pending(HostWait(deadline=monotonic_deadline(clock, when)), lambda: _until(host, when))


@MONOTONIC3.function("wait-until", Op.SLEEP, "async (when: mark)")
def wait_until(host: Host, when: int) -> Pending | None:
    """Wait until this time."""
    return _until(host, when)


@MONOTONIC3.function("wait-for", Op.SLEEP, "async (how-long: duration)")
def wait_for_duration(host: Host, how_long: int) -> Pending | None:
    """Wait for this duration."""
    return _until(host, min(_MAX, host.clock_list[1].now() + how_long))


_LAST_SECOND = (1 << 63) - 1
"""An `instant` of 0.3 has signed seconds."""


def _split(ns: int) -> tuple[int, int]:
    return _fitting(ns // 1_000_000_000, _LAST_SECOND), ns % 1_000_000_000


@WALL2.function("now", Op.CLOCK, "() -> datetime")
@SYSTEM3.function("now", Op.CLOCK, "() -> instant")
def wall_now(host: Host) -> tuple[int, int]:
    """The wall-clock time, since 1970."""
    return _split(host.clock_list[0].now())


@WALL2.function("resolution", Op.CLOCK, "() -> datetime")
def wall_resolution(host: Host) -> tuple[int, int]:
    """Its smallest step."""
    return _split(host.clock_list[0].resolution())


@SYSTEM3.function("get-resolution", Op.CLOCK, "() -> duration")
def system_resolution(host: Host) -> int:
    """Its smallest step, ns."""
    return _fitting(host.clock_list[0].resolution())


# -- randomness --------------------------------------------------------------------------------------------------------

RANDOM2, RANDOM3 = _both("wasi:random/random")
INSECURE2, INSECURE3 = _both("wasi:random/insecure")
SEED2, SEED3 = _both("wasi:random/insecure-seed")


_SEEDS: WeakKeyDictionary[Host, tuple[int, int]] = WeakKeyDictionary()


def _random(host: Host, size: int) -> bytes:
    buffer = bytearray(size)
    host.random.fill(memoryview(buffer))
    return bytes(buffer)


@RANDOM2.function("get-random-bytes", Op.RANDOM, "(len: u64) -> list<u8>")
@INSECURE2.function("get-insecure-random-bytes", Op.RANDOM, "(len: u64) -> list<u8>")
def random_bytes2(host: Host, size: int) -> bytes:
    """Random bytes of the requested number."""
    if size > min(MAX_RANDOM, host.max_io):
        raise WasiError(
            Errno.NOMEM, f"{size:,} random bytes in one call are too many; at most {min(MAX_RANDOM, host.max_io):,}"
        )
    return _random(host, size)


@RANDOM3.function("get-random-bytes", Op.RANDOM, "(max-len: u64) -> list<u8>")
@INSECURE3.function("get-insecure-random-bytes", Op.RANDOM, "(max-len: u64) -> list<u8>")
def random_bytes3(host: Host, most: int) -> bytes:
    """At least one and at most `most` random bytes."""
    return _random(host, min(most, PIECE, host.max_io))


@RANDOM2.function("get-random-u64", Op.RANDOM, "() -> u64")
@INSECURE2.function("get-insecure-random-u64", Op.RANDOM, "() -> u64")
@RANDOM3.function("get-random-u64", Op.RANDOM, "() -> u64")
@INSECURE3.function("get-insecure-random-u64", Op.RANDOM, "() -> u64")
def random_u64(host: Host) -> int:
    """64 random bits."""
    return int.from_bytes(_random(host, 8), "little")


@SEED2.function("insecure-seed", Op.RANDOM, "() -> tuple<u64, u64>")
@SEED3.function("get-insecure-seed", Op.RANDOM, "() -> tuple<u64, u64>")
def insecure_seed(host: Host) -> tuple[int, int]:
    """A seed for hash tables; constant within a run."""
    seed = _SEEDS.get(host)
    if seed is None:
        data = _random(host, 16)
        seed = _SEEDS[host] = int.from_bytes(data[:8], "little"), int.from_bytes(data[8:], "little")
    return seed
