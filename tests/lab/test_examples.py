"""The programs of `wasilab/examples/`, one for each heading of WASI's rationale: each does what its first lines say."""

from __future__ import annotations

from pathlib import Path

import pytest

import wasilab
from wasilab import Grants, Lab, MemDir
from wasilab.toolchains.diagnostics import CompileError
from wasilab.toolchains.languages.c_family import emulation_flags

EXAMPLES = Path(wasilab.__file__).parent / "examples"


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


def test_no_dup_a_descriptor_moves_to_another_number() -> None:
    folder = MemDir({"one.txt": b"first", "two.txt": b"second!!"})
    run = wasilab.run(EXAMPLES / "rationale" / "renumber.wat", grants=Grants(dirs={"/": folder}))
    assert run.exit_code == len("first")
    names = [event.name for event in run.trace]
    assert names == ["path_open", "path_open", "fd_renumber", "fd_read", "fd_read", "proc_exit"]
    assert [event.errno_name for event in run.trace][3:5] == ["EBADF", ""]


def test_removing_a_folder_and_unlinking_a_file_are_two_calls() -> None:
    folder = MemDir()
    run = wasilab.run(EXAMPLES / "rationale" / "remove.wat", grants=Grants(dirs={"/": folder}))
    assert run.exit_code == 10 * 31 + 54
    assert [event.errno_name for event in run.trace][-3:-1] == ["", ""], "each by its own call"
    only = Grants(dirs={"/": MemDir()}, withheld={"/": ["path_remove_directory"]})
    run = wasilab.run(EXAMPLES / "rationale" / "remove.wat", grants=only)
    assert {event.name for event in run.trace if event.denied_by} == {"path_remove_directory"}


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
def test_mmap_is_emulated_and_says_which_flag_it_needs() -> None:
    source = (EXAMPLES / "rationale" / "mmap.c").read_text()
    with pytest.raises(CompileError, match=r"--emulate mman|_WASI_EMULATED_MMAN"):
        wasilab.compile(source, "c")
    folder = MemDir({"a.txt": b"Hello"})
    module = wasilab.compile(source, "c", flags=emulation_flags("mman"))
    run = wasilab.run(module, grants=Grants(dirs={"/data": folder}))
    assert run.stdout == "mapped Jello, file Hello\n"
    assert folder.read_bytes("a.txt") == b"Hello"
    assert "fd_pread" in [event.name for event in run.trace]
