"""The programs of `wasilab/examples/`, one for each heading of WASI's rationale: each does what its first lines say."""

from __future__ import annotations

from pathlib import Path

import wasilab
from wasilab import Grants, Lab, MemDir

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
