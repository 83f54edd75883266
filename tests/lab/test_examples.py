"""The programs of `wasilab/examples/`, one or more for each question of WASI's rationale: each does what it says.

`shows` maps a question to its programs and to the test that runs them; the last test wants all questions and programs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import wasilab
from wasilab import Channel, Grants, GuestError, Lab, MemDir
from wasilab.capabilities.streams import QueueInput
from wasilab.toolchains.diagnostics import CompileError
from wasilab.toolchains.languages.c_family import emulation_flags

from ..waiting import until

EXAMPLES = Path(wasilab.__file__).parent / "examples"
QUESTIONS = {
    "no system calls like POSIX's", "blocking calls", "commands, reactors and callbacks", "no mmap",
    "no UNIX-domain sockets", "no dup", "one call for one thing",
}
"""The questions that WASI's rationale answers, in our words."""
SHOWN: dict[str, set[str]] = {}
"""Question -> the programs that show the answer."""


def shows(question: str, *programs: str) -> Callable[[Any], Any]:
    """Mark a test as the one that runs these programs, which show the answer to the question."""
    assert question in QUESTIONS
    SHOWN.setdefault(question, set()).update(programs)
    return lambda test: test


def example(name: str) -> str:
    """The text of an example."""
    return (EXAMPLES / name).read_text(encoding="utf-8")


@shows("no UNIX-domain sockets", "lab/keeper.wat", "lab/counter.wat")
def test_lab_a_descriptor_is_passed_and_a_forged_number_is_not() -> None:
    folder = MemDir({"notes.txt": b"one\ntwo\n"})
    with Lab() as lab:
        lab.add("keeper", EXAMPLES / "lab" / "keeper.wat", Grants(dirs={"/data": folder}))
        lab.add("counter", EXAMPLES / "lab" / "counter.wat", Grants.nothing(stdout=True))
        lab.link("keeper", "counter", passing={"count_lines": 0}, rights="ro")
        assert lab.run("keeper").exit_code == 2
        assert [flow.to_fd for flow in lab.flows] == [3, -1]
        assert [event.name for event in lab["counter"].trace] == ["fd_read", "fd_write"], "entered once"
        assert len(lab["counter"].denied) == 1
    assert folder.read_bytes("notes.txt") == b"one\ntwo\n"


@shows("no dup", "rationale/renumber.wat")
def test_no_dup_a_descriptor_moves_to_another_number() -> None:
    folder = MemDir({"one.txt": b"first", "two.txt": b"second!!"})
    run = wasilab.run(EXAMPLES / "rationale" / "renumber.wat", grants=Grants(dirs={"/": folder}))
    assert run.exit_code == len("first")
    names = [event.name for event in run.trace]
    assert names == ["path_open", "path_open", "fd_renumber", "fd_read", "fd_read", "proc_exit"]
    assert [event.errno_name for event in run.trace][3:5] == ["EBADF", ""]


@shows("one call for one thing", "rationale/remove.wat")
def test_removing_a_folder_and_unlinking_a_file_are_two_calls() -> None:
    folder = MemDir()
    run = wasilab.run(EXAMPLES / "rationale" / "remove.wat", grants=Grants(dirs={"/": folder}))
    assert run.exit_code == 10 * 31 + 54
    assert [event.errno_name for event in run.trace][-3:-1] == ["", ""], "each by its own call"
    only = Grants(dirs={"/": MemDir()}, withheld={"/": ["path_remove_directory"]})
    run = wasilab.run(EXAMPLES / "rationale" / "remove.wat", grants=only)
    assert {event.name for event in run.trace if event.denied_by} == {"path_remove_directory"}


@shows("no system calls like POSIX's", "rationale/ticket.wat")
def test_a_reference_cannot_be_forged_and_a_number_can_be_guessed() -> None:
    class Ticket:
        """What lets in: the object itself, and nothing that looks like it."""

    sold: list[Ticket] = []

    def issue() -> Ticket:
        sold.append(Ticket())
        return sold[-1]

    desk = {
        "issue": issue,
        "enter_with_ticket": lambda held: int(any(held is ticket for ticket in sold)),
        "enter_with_number": lambda number: int(number == 1234),
    }
    with Lab() as lab:
        lab.add("visitor", EXAMPLES / "rationale" / "ticket.wat", Grants.nothing(), functions={"desk": desk})
        visitor = lab["visitor"].exports
        assert visitor.enter() == visitor.enter_without() == 0
        assert visitor.guess() == 1234
        visitor.buy()
        assert visitor.enter() == 1


@pytest.mark.toolchain
@shows("no mmap", "rationale/mmap.c")
def test_mmap_is_emulated_and_says_which_flag_it_needs() -> None:
    source = example("rationale/mmap.c")
    with pytest.raises(CompileError, match=r"--emulate mman|_WASI_EMULATED_MMAN"):
        wasilab.compile(source, "c")
    folder = MemDir({"a.txt": b"Hello"})
    module = wasilab.compile(source, "c", flags=emulation_flags("mman"))
    run = wasilab.run(module, grants=Grants(dirs={"/data": folder}))
    assert run.stdout == "mapped Jello, file Hello\n"
    assert folder.read_bytes("a.txt") == b"Hello"
    assert "fd_pread" in [event.name for event in run.trace]


@shows("no system calls like POSIX's", "rationale/not_elf.wat")
def test_code_has_no_address_and_zero_is_a_place_like_any_other() -> None:
    with wasilab.instantiate(EXAMPLES / "rationale" / "not_elf.wat") as instance:
        assert instance.exports.store_at_zero() == 1234
        assert [instance.exports.call(pointer) for pointer in (0, 1)] == [7, 8]
        assert "index 0 holds seven" in wasilab.look_inside(instance.module).text()
        with pytest.raises(GuestError, match="called a function pointer of another type"):
            instance.exports.call_as_other(0)


def typed(program: str, lines: list[bytes]) -> wasilab.Run:
    """A run of a program that waits for input: each line is typed once the one before was answered."""
    stdin = QueueInput()
    run = wasilab.run(EXAMPLES / "rationale" / program, grants=Grants(stdin=stdin), detach=True)
    for line in lines:
        stdin.feed(line)
        until(lambda line=line: line.decode() in run.stdout)
    stdin.end()
    return run.wait(60)


@shows("blocking calls", "rationale/wait_blocking.wat", "rationale/wait_poll.wat")
def test_the_same_program_waits_in_a_read_or_in_a_poll() -> None:
    lines = [b"one\n", b"two\n"]
    blocking, polling = typed("wait_blocking.wat", lines), typed("wait_poll.wat", lines)
    assert blocking.stdout == polling.stdout.replace(".", "") == "one\ntwo\n"
    assert [event.name for event in blocking.trace] == [*["fd_read", "fd_write"] * 2, "fd_read"]
    names = [event.name for event in polling.trace]
    assert names[0] == "poll_oneoff"
    assert all(names[at - 1] == "poll_oneoff" for at, name in enumerate(names) if name == "fd_read"), "none waits"


@shows("commands, reactors and callbacks", "rationale/wait_reactor.wat")
def test_a_reactor_waits_outside_and_an_event_loop_calls_it() -> None:
    async def loop(instance: wasilab.Instance) -> None:
        arrived: asyncio.Queue[bytes | None] = asyncio.Queue()
        for line in (b"one\n", None, b"two\n"):
            asyncio.get_running_loop().call_soon(arrived.put_nowait, line)
        for _ in range(3):
            line = await arrived.get()  # here it waits: no call of the guest is in progress
            if line is None:
                await instance.exports.tick.call_async()
            else:
                instance.memory.write(instance.exports.buffer(), line)
                await instance.exports.input.call_async(len(line))

    with wasilab.instantiate(EXAMPLES / "rationale" / "wait_reactor.wat") as instance:
        asyncio.run(loop(instance))
        assert instance.stdout == "one\n.two\n"
        assert [event.name for event in instance.trace] == ["fd_write"] * 3, "it has no call that could wait"
        with pytest.raises(TypeError, match=r"_initialize .* was called already"):
            instance.exports._initialize()


@shows("commands, reactors and callbacks", "rationale/wait_blocking.wat")
def test_a_command_runs_once() -> None:
    with wasilab.instantiate(EXAMPLES / "rationale" / "wait_blocking.wat") as instance:
        instance.exports._start()
        with pytest.raises(TypeError, match="a command runs once; make a new instance"):
            instance.exports._start()


@shows("no UNIX-domain sockets", "lab/answerer.wat")
def test_a_channel_carries_bytes_both_ways() -> None:
    channel = Channel()
    run = wasilab.run(EXAMPLES / "lab" / "answerer.wat", grants=Grants.nothing(sockets=[channel.right]), detach=True)
    channel.left.send(b"who are you?")
    assert channel.left.receive() == b"WHO ARE YOU?"
    channel.left.close()
    assert run.wait(60).exit_code == 0


def refused_without(program: str, name: str) -> wasilab.Module:
    """The example compiled with an emulation; without, the compiler's error must name it."""
    source = example(f"rationale/{program}")
    with pytest.raises(CompileError, match=f"--emulate {name}"):
        wasilab.compile(source, "c")
    return wasilab.compile(source, "c", flags=emulation_flags(name))


@pytest.mark.toolchain
@shows("no system calls like POSIX's", "rationale/signal.c")
def test_signals_stay_inside_the_program() -> None:
    module = refused_without("signal.c", "signal")
    run = wasilab.run(module)
    assert run.stdout == "heard signal 2\n"
    assert {event.name for event in run.trace} <= {"fd_write", "fd_fdstat_get", "args_sizes_get", "args_get"}
    aborted = wasilab.run(module, ["abort"])
    assert aborted.outcome.kind == "trap"
    assert aborted.stdout == "heard signal 2\n"


@pytest.mark.toolchain
@shows("no system calls like POSIX's", "rationale/process_clocks.c")
def test_the_time_of_a_process_is_that_of_the_monotonic_clock() -> None:
    run = wasilab.run(refused_without("process_clocks.c", "process-clocks"))
    assert run.stdout == "waiting counted: yes\n"
    asked = [event for event in run.trace if event.name == "clock_time_get"]
    assert len(asked) >= 2
    assert all("MONOTONIC" in str(event) for event in asked)


@pytest.mark.toolchain
@shows("no system calls like POSIX's", "rationale/getpid.c")
def test_the_number_of_a_process_is_a_constant() -> None:
    run = wasilab.run(refused_without("getpid.c", "getpid"))
    assert run.stdout == "process 42\n"


def test_every_question_has_its_programs_and_every_program_its_question() -> None:
    assert set(SHOWN) == QUESTIONS
    files = [path for part in ("lab", "rationale") for path in (EXAMPLES / part).iterdir()]
    programs = {path.relative_to(EXAMPLES).as_posix() for path in files}
    assert set().union(*SHOWN.values()) == programs
