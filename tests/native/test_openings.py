"""What the library learns of Python's openings, and how Python takes over the files that it opened."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import wasilab
from tests.hostile.guests import ALL, CREAT, OUT, Guest, Judged, Text, program
from wasilab.capabilities.protocols import OpenHow
from wasilab.capabilities.refusal import DeniedBy
from wasilab.engine.native import binding, openings, slots
from wasilab.engine.native.layouts import Slot
from wasilab.engine.native.native_run import NativeRun
from wasilab.module.module import from_wat
from wasilab.trace.record.recorder import Recorder
from wasilab.wasi.fdtable import Descriptor
from wasilab.wasi.host import Host
from wasilab.wasi.types import Rights

pytestmark = pytest.mark.skipif(binding.library() is None, reason=binding.why_not() or "the library is there")


def _folder(path: Path, *names: str) -> Guest:
    for name in names:
        (path / name).write_text(name)
    return Guest(grants=wasilab.Grants(dirs={"/d": wasilab.HostDir(str(path), "rw")}))


def test_a_way_of_creating_files_is_learned_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learned: list[OpenHow] = []
    flags = openings.open_flags
    monkeypatch.setattr(openings, "open_flags", lambda how: (learned.append(how), flags(how))[1])
    guest = _folder(tmp_path)
    for _ in range(3):  # Python creates each, because the library opens only what is there
        guest.open("new", oflags=CREAT, rights=ALL).call("fd_close", 4).call("path_unlink_file", 3, Text("new"))
    assert set(guest.run().errnos()) == {"SUCCESS"}
    assert len(learned) == 1


@pytest.mark.parametrize("traced", [True, False])
def test_nothing_is_learned_of_an_override(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, traced: bool) -> None:
    """It may open something else than the guest asked for, or nothing."""
    learned: list[object] = []
    monkeypatch.setattr(openings.Recipes, "learn", lambda *given: learned.append(given))
    guest = _folder(tmp_path, "a").open("a", rights=ALL).call("fd_close", 4).open("a", rights=ALL)

    given: list[int] = []

    def opening(original: Callable[..., int], directory: Descriptor, *arguments: int) -> int:
        given.append(77 if given else original(directory, *arguments))
        return given[-1]

    module, grants = from_wat(guest.wat()), guest.grants
    overridden = grants.with_(overrides={"path_open": opening})
    assert wasilab.run(module, grants=overridden, trace=traced).outcome.ok
    assert (given, learned) == ([4, 77], [])
    assert wasilab.run(module, grants=grants, trace=traced).outcome.ok
    assert len(learned) == 2, "without the override"


def test_the_slot_of_a_file_that_the_library_opened_is_not_filled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled: list[int] = []
    fill: Callable[..., None] = slots.SlotTable._fill

    def counting(table: slots.SlotTable, descriptor: Descriptor, *, again: bool) -> None:
        filled.append(descriptor.fd)
        fill(table, descriptor, again=again)

    monkeypatch.setattr(slots.SlotTable, "_fill", counting)
    guest = _folder(tmp_path, "a", "b")
    guest.open("a", rights=ALL).call("fd_close", 4)  # learned
    guest.open("a", rights=ALL).open("b", rights=ALL)  # by the library, as 4 and 5
    guest.call("path_create_directory", 3, Text("made"))  # Python takes both over
    guest.call("fd_tell", 4, OUT).call("fd_renumber", 5, 4).call("fd_tell", 4, OUT).call("fd_close", 4)
    run = guest.run()
    assert set(run.errnos()) == {"SUCCESS"}
    assert run.run.outcome.native_calls == 3, "the openings of 4 and 5, and the first fd_tell"
    assert not {4, 5} & set(filled)


def test_rights_are_taken_back_while_python_takes_a_file_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who takes rights back waits for the lock of the slots. The guest's thread, which has it, must not wait as well.
    """
    adopt, update, reopened = slots.SlotTable.enter_opened, slots.SlotTable.update, openings.Recipes.reopened
    made, hosts = NativeRun.__init__, []
    revoking, adopting = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []
    updates: list[Descriptor] = []

    def begun(native: NativeRun, library: binding.Library, host: Host, recorder: Recorder | None) -> None:
        hosts.append(host)
        made(native, library, host, recorder)

    def revoked_just_before(table: slots.SlotTable, _: int = 0) -> int:
        if len(table.pending()) and len(threads) == 1:
            given = {"withheld": int(Rights.FD_READ), "writable": True}
            threads.append(threading.Thread(target=hosts[0].regrant, args=("/d",), kwargs=given, daemon=True))
            threads[1].start()
            assert revoking.wait(20)
        return adopt(table)

    def updated_in_the_middle(table: slots.SlotTable, descriptor: Descriptor) -> None:
        if threading.current_thread() in threads[1:]:
            updates.append(descriptor)
        if len(updates) == 2:  # first all grants are updated, then each descriptor, under the lock of rights
            revoking.set()
            adopting.wait(20)
        update(table, descriptor)

    def reopening(*given: Any) -> Any:
        adopting.set()
        return reopened(*given)

    monkeypatch.setattr(NativeRun, "__init__", begun)
    monkeypatch.setattr(slots.SlotTable, "enter_opened", revoked_just_before)
    monkeypatch.setattr(slots.SlotTable, "update", updated_in_the_middle)
    monkeypatch.setattr(openings.Recipes, "reopened", reopening)
    guest = _folder(tmp_path, "a").iovec(64, (128, 8))
    guest.open("a", rights=ALL).call("fd_close", 4).open("a", rights=ALL)  # by the library
    guest.call("path_create_directory", 3, Text("made")).call("fd_read", 4, 64, 1, OUT)
    guest.open("a", rights=ALL)
    done: list[Judged] = []
    threads.append(threading.Thread(target=lambda: done.append(guest.run()), daemon=True))
    threads[0].start()
    threads[0].join(20)
    assert done, "each waits for the other"
    run = done[0]
    run.assert_answered("SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS", "NOTCAPABLE", "NOTCAPABLE")
    run.assert_refused(DeniedBy.REVOKED, "which was granted, then taken back", call=4)


def test_a_change_that_comes_too_late_touches_no_other_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread may be about to enter a change of a descriptor when the guest closes it and opens another."""
    late: list[tuple[slots.SlotTable, Descriptor]] = []
    drop = slots.SlotTable.drop

    def dropped(table: slots.SlotTable, descriptor: Descriptor) -> None:
        late.append((table, descriptor))
        drop(table, descriptor)

    def changed_late(original: Callable[..., None], *given: int) -> None:
        for table, descriptor in late:
            table.update(descriptor)

    monkeypatch.setattr(slots.SlotTable, "drop", dropped)
    memory = wasilab.MemDir({"secret": "secret", "other": "other"})
    grants = wasilab.Grants(dirs={"/m": memory}, overrides={"sched_yield": changed_late})
    guest = Guest(grants=grants).iovec(64, (128, 8))
    guest.open("secret").call("fd_tell", 4, OUT).call("fd_tell", 4, OUT).call("fd_tell", 4, OUT).call("fd_close", 4)
    guest.call("sched_yield").call("fd_read", 4, 64, 1, OUT)
    guest.open("other").call("sched_yield")
    for _ in range(3):  # the last by the library
        guest.call("fd_read", 4, 64, 1, OUT)
    guest.call("fd_close", 4).open("other").call("fd_close", 4)
    run = guest.run()
    assert run.errnos() == [*["SUCCESS"] * 6, "BADF", *["SUCCESS"] * 8]
    assert run.run.outcome.native_calls >= 2
    assert run.sees(b"other")
    assert not run.sees(b"secret")
    lives = [life for life in run.run.trace.lives.values() if life.fd == 4]
    known = [(life.generation, life.opened_seq, life.closed_seq) for life in lives]
    assert known == [(1, 0, 4), (2, 7, 12), (3, 13, 14)]


def test_a_removed_file_in_memory_is_used_until_it_is_closed() -> None:
    """The library reads and writes its bytes meanwhile, and nobody after: they and the quota are given back."""
    memory = wasilab.MemDir({"a": "old bytes", "b": "b"}, max_bytes=1000)
    guest = Guest(grants=wasilab.Grants(dirs={"/m": memory})).iovec(64, (128, 8))
    guest.put(160, b"new!").iovec(72, (160, 4)).open("a", rights=ALL)
    for _ in range(4):  # Python moves the file to a block that can grow; the rest by the library
        guest.call("fd_write", 4, 72, 1, OUT)
    guest.call("path_unlink_file", 3, Text("a"))
    for _ in range(4):
        guest.call("fd_write", 4, 72, 1, OUT)
    for _ in range(3):
        guest.call("fd_pread", 4, 64, 1, 24, OUT)
    guest.call("fd_close", 4).call("fd_pread", 4, 64, 1, 0, OUT).open("b").call("fd_read", 4, 64, 1, OUT)
    run = guest.run()
    assert run.errnos() == [*["SUCCESS"] * 14, "BADF", *["SUCCESS"] * 2]
    assert run.run.outcome.native_calls >= 6
    assert run[11].result["nread"] == 8
    assert run[16].result["nread"] == 1
    assert (memory.files(), memory.used_bytes) == ({"b": b"b"}, 1)


OPEN = "(call $path_open (i32.const {}) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0) (i64.const 102)" \
       " (i64.const 0) (i32.const 0) (i32.const {}))"
BOTH = program(
    "path_open fd_read fd_tell fd_renumber fd_close",
    f"""(local $i i32) (local.set $i (i32.const 3000)) (i32.store (i32.const 64) (i32.const 128))
    (i32.store (i32.const 68) (i32.const 8)) (i32.store (i32.const 16) (i32.const 99))
    (i32.store (i32.const 20) (i32.const 99))
    (loop $again
      (drop {OPEN.format(3, 16)}) (drop {OPEN.format(4, 20)})
      {"(drop (call $fd_read (i32.load (i32.const 16)) (i32.const 64) (i32.const 1) (i32.const 8)))" * 3}
      {"(drop (call $fd_tell (i32.load (i32.const 20)) (i32.const 8)))" * 3}
      (drop (call $fd_renumber (i32.load (i32.const 20)) (i32.load (i32.const 16))))
      {"(drop (call $fd_read (i32.load (i32.const 16)) (i32.const 64) (i32.const 1) (i32.const 8)))" * 3}
      (drop (call $fd_close (i32.load (i32.const 16)))) (drop (call $fd_close (i32.load (i32.const 20))))
      (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))""",
    extra='(data (i32.const 0) "a")',
)


@pytest.mark.parametrize("traced", [True, False])
def test_rights_are_changed_while_files_are_opened_renumbered_and_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, traced: bool
) -> None:
    (tmp_path / "a").write_text("a")
    ended, wrong = threading.Event(), []
    begin, end, hosts = NativeRun.__init__, NativeRun.close, []
    changing: list[threading.Thread] = []

    def change(host: Host) -> None:
        while not ended.is_set():
            for withheld in (int(Rights.FD_READ), 0):
                for name in ("/d", "/m"):
                    host.regrant(name, withheld, writable=True)

    def begun(native: NativeRun, library: binding.Library, host: Host, recorder: Recorder | None) -> None:
        hosts.append(host)
        begin(native, library, host, recorder)
        changing.append(threading.Thread(target=change, args=(host,)))
        changing[0].start()

    def closed(native: NativeRun) -> None:
        ended.set()
        changing[0].join()
        if hosts[0].fds.mirror is native:
            native.enter_opened()
            entries = hosts[0].fds.entries
            table = (Slot * native.state.nslots).from_address(native.state.slots)
            wrong.append(native.state.open - len(entries))
            wrong.append([fd for fd, d in entries.items() if table[fd].life != d.life])
        end(native)

    monkeypatch.setattr(NativeRun, "__init__", begun)
    monkeypatch.setattr(NativeRun, "close", closed)
    grants = wasilab.Grants(dirs={"/d": wasilab.HostDir(str(tmp_path)), "/m": wasilab.MemDir({"a": "a"})})
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        assert wasilab.run(from_wat(BOTH), grants=grants, trace=traced).outcome.ok
    finally:
        sys.setswitchinterval(interval)
    assert wrong == [0, []]
