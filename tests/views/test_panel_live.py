"""The panel without a browser, while it runs: what each switch does to it at once, and what it cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from wasilab import Grants, HostDir, MemDir, run
from wasilab.capabilities.refusal import DeniedBy
from wasilab.grants.value import GrantError
from wasilab.panels.panel import Panel
from wasilab.panels.table import static_html
from wasilab.wasi.rights import of_directories

from ..grants.guests import READ, WRITE, Guest, fd
from ..replay.test_live_faults import watching
from .panels import ENDLESS, going, until


def test_revoking_while_it_runs_refuses_every_later_call(shown: Callable[..., Panel]) -> None:
    it = shown(ENDLESS.module(), Grants(dirs={"/d": MemDir({"a.txt": "x"}), "/e": MemDir()}))
    it.button_detached.click()
    until(lambda: len(going(it).trace) > 10)
    assert not it.button_stop.disabled
    assert it.button_run.disabled
    it.controls("/d").box.value = False
    at = len(going(it).trace)
    until(lambda: not going(it).running)
    opens = [call for call in going(it).trace[at + 1 :] if call.name == "path_open"]
    assert all(call.denied_by is DeniedBy.REVOKED for call in opens)
    assert going(it).trace.filter("refused")
    until(lambda: "refused" in it.verdict.value)
    until(lambda: "✖" in it.cell("/d", "refused"))
    until(lambda: it.button_stop.disabled)


def test_the_panel_of_a_run_that_a_cell_started_follows_it_to_its_end(shown: Callable[..., Panel]) -> None:
    started = run(ENDLESS.module(), (), Grants(dirs={"/d": MemDir({"a.txt": "x"})}), detach=True)
    it = shown(started)
    assert not it.button_stop.disabled
    until(lambda: "call" in it.cell("/d", "used"))
    started.stop()  # not by the panel's button
    until(lambda: not started.running)
    until(lambda: it.button_stop.disabled and not it.button_run.disabled)
    until(lambda: "Stopped by you" in it.verdict.value)


def test_a_switch_put_back_restores_and_undo_too(shown: Callable[..., Panel]) -> None:
    idle = Guest().again().read(fd(0))
    it = shown(idle.module(), Grants(dirs={"/d": MemDir()}))
    it.button_detached.click()
    live = going(it).live
    it.controls("/d").box.value = False
    assert not live.works("/d")
    until(lambda: "revoked" in it.cell("/d", "state"))
    it.button_undo.click()
    assert live.works("/d")
    it.controls("random").kind.value = "none"
    assert not live.works("random")
    it.controls("random").kind.value = "seeded"
    assert live.works("random")
    it.button_stop.click()
    until(lambda: not going(it).running)
    assert going(it).outcome.kind == "interrupt"


def test_a_mode_is_a_live_switch_where_it_gives_less(shown: Callable[..., Panel], folder: Path) -> None:
    guest = Guest().open("a.txt", rights=READ | WRITE).again().write("x")
    it = shown(guest.module(), Grants(dirs={"data": HostDir("data", mode="rw")}))
    it.button_detached.click()
    until(lambda: len(going(it).trace) > 10)
    it.controls("data").mode.value = "ro"
    until(lambda: not going(it).running)
    assert going(it).trace.denied[0].denied_by is DeniedBy.REVOKED
    size = (folder / "data" / "a.txt").stat().st_size
    it.button_undo.click()
    assert it.grants.dirs["data"] == HostDir("data", mode="rw")
    assert (folder / "data" / "a.txt").stat().st_size == size


def test_every_switch_reaches_the_running_run_and_says_so(shown: Callable[..., Panel], folder: Path) -> None:
    grants = Grants(dirs={"data": HostDir("data"), "w": HostDir(".", "rw")}, env={"A": "b", "C": "d"})
    it = shown(Guest().again().read(fd(0)).module(), grants)
    it.button_detached.click()
    host, live = going(it)._prepared.host, going(it).live
    it.controls("data").mode.value = "rw"
    it.controls("clocks").kind.value = "frozen"
    it.controls("random").kind.value = "seeded"
    it.controls("env").children[1].click()
    it.controls("w").mode.value = "copy"
    it.controls("stdin").text.value = "typed"
    it.limits.fields["fds"].value = "99"
    for name in ("data", "clocks", "random", "env", "w", "stdin"):
        assert "in force from the next call" in it.cell(name, "state"), name
    assert "most programs read this once" in it.cell("env", "state")
    assert "most programs" not in it.cell("clocks", "state")
    it.controls("argv").box.value = False
    assert "revoked: the next call is refused" in it.cell("argv", "state")
    assert (host.clock_list[0].now(), host.fds.max_fds, host.environ.get()) == (0, 99, [b"C=d"])
    it.model.remove("w")
    assert not live.works("w")
    it.model.add("w", HostDir("data"))
    assert live.works("w"), "another folder stands behind the name from now on"
    it.button_stop.click()
    until(lambda: not going(it).running)
    until(lambda: it.cell("data", "state") == "")


def test_what_a_run_cannot_be_given_is_disabled_with_the_reason(shown: Callable[..., Panel], folder: Path) -> None:
    it = shown(Guest().again().read(fd(0)).module(), Grants(dirs={"data": HostDir("data")}, stderr=False))
    it.model.add("later", MemDir())
    it.model.switch("later", False)
    controls = {
        "stderr": it.controls("stderr").box, "later": it.controls("later").box, "+": it.add,
        "sockets": it.controls("sockets").new, "fuel": it.limits.fields["fuel"], "memory": it.limits.fields["memory"],
        "rights": it.rights, "ask": it.ask,
    }  # fmt: skip
    rows = it.controls
    free = [rows("stdout").box, rows("data").mode, rows("clocks").kind, it.limits.fields["seconds"]]
    assert not any(control.disabled for control in controls.values())
    before = {name: control.tooltip for name, control in controls.items()}
    it.button_detached.click()
    for name, control in controls.items():
        assert control.disabled, name
        assert control.tooltip, name
    assert not any(control.disabled for control in free)
    assert "not while it runs: the program was started without it" in it.cell("stderr", "state")
    assert "learns the names of its folders" in it.cell("later", "state")
    assert "learns the names of its folders" in it.cell("+", "state")
    assert "counted from the start" in it.limits.words["fuel"].value
    it.model.edit(rights="compat", stderr=True)
    assert "from the next run on: the program was started without it" in it.cell("stderr", "state")
    it.button_stop.click()
    until(lambda: not going(it).running)
    until(lambda: not it.add.disabled)
    assert {name: control.tooltip for name, control in controls.items()} == before
    assert not any(control.disabled for control in controls.values())


def test_a_copy_that_fails_while_it_runs_changes_nothing(shown: Callable[..., Panel], folder: Path) -> None:
    it = shown(Guest().again().read(fd(0)).module(), Grants(dirs={"data": HostDir("data")}))
    it.button_detached.click()
    before = it.grants
    with pytest.raises(GrantError, match="cannot copy the folder"):
        it.model.put(before.with_dir("data", HostDir("data", "copy", max_bytes=1)))
    assert it.grants == before
    assert not it.model.can_undo
    assert going(it).live.works("data")


def test_the_rights_of_a_directory_are_ticked_one_by_one(shown: Callable[..., Panel], folder: Path) -> None:
    unlink = Guest()
    unlink.call("path_unlink_file", f"(i32.const 3) {unlink.text('a.txt')}")
    it = shown(unlink.module(), Grants(dirs={"data": HostDir("data")}))
    rights = it.controls("data").rights
    assert rights.button.description == "13 of 28 rights ▸"
    assert rights.boxes == {}, "made when they are looked at"
    rights.button.value = True
    assert set(rights.boxes) == set(of_directories())
    assert (rights.boxes["path_unlink_file"].value, rights.boxes["path_unlink_file"].disabled) == (False, True)
    assert (rights.boxes["fd_readdir"].value, rights.boxes["fd_readdir"].disabled) == (True, False)
    it.controls("data").mode.value = "rw"
    assert rights.button.description == "28 of 28 rights ▾"
    rights.boxes["path_unlink_file"].value = False
    assert it.grants.withheld == {"data": ("path_unlink_file",)}
    it.button_run.click()
    assert "which its grant withholds" in it.refusals.children[0].children[0].value
    assert (folder / "data" / "a.txt").exists()
    it.controls("data").box.value = False
    assert it.grants.withheld == {}
    it.controls("data").box.value = True
    assert it.grants.withheld == {"data": ("path_unlink_file",)}, "it is kept while the folder is off"
    it.refusals.children[0].children[1].click()
    assert it.grants.withheld == {}
    assert rights.boxes["path_unlink_file"].value
    whole = rights._list.children[0].children[0]
    whole.click()
    assert it.grants.withheld["data"][0] == "path_open"
    assert len(it.grants.withheld["data"]) == 5
    whole.click()
    assert it.grants.withheld == {}
    it.button_undo.click()
    it.model.remove("data")
    it.model.add("data", HostDir("data"))
    assert it.grants.withheld == {}, "a folder that is chosen anew is chosen whole"


def test_a_right_is_taken_back_from_a_running_run(shown: Callable[..., Panel]) -> None:
    it = shown(ENDLESS.module(), Grants(dirs={"/d": MemDir({"a.txt": "x"})}))
    it.button_detached.click()
    until(lambda: len(going(it).trace) > 10)
    rights = it.controls("/d").rights
    rights.button.value = True
    rights.boxes["fd_readdir"].value = False
    assert "revoked: fd_readdir" in it.cell("/d", "state")
    assert going(it).running
    rights.boxes["fd_read"].value = False
    until(lambda: not going(it).running)
    (denied,) = going(it).denied
    assert (denied.call, denied.denied_by) == ("path_open", DeniedBy.REVOKED)


def test_a_fault_is_added_and_removed_while_it_runs(shown: Callable[..., Panel]) -> None:
    it = shown(watching(), Grants())
    it.button_detached.click()
    until(lambda: len(going(it).trace) > 3)
    it.controls("faults").new.value = "fd_write:error=EIO:when=2+"
    assert it.controls("faults").new.value == ""
    assert it.grants.faults == ("fd_write:error=EIO:when=2+",)
    until(lambda: len(going(it).trace.filter("injected")) > 0)
    it.refresh()
    assert "⚡" in it.cell("faults", "used")
    assert "in force from the next call" in it.cell("faults", "state")
    code, remove, _ = it.controls("faults").children
    assert "fd_write:error=EIO:when=2+" in code.value
    it.controls("faults").new.value = "fd_wriet:error=EIO"
    assert "did you mean" in it.said.value
    assert len(it.grants.faults) == 1
    remove.click()
    assert it.grants.faults == ()
    until(lambda: not going(it).running)  # it ends once a write has failed and another has not
    assert going(it).exit_code == 0
    it.button_undo.click()
    assert it.grants.faults == ("fd_write:error=EIO:when=2+",)
    static = static_html(it.model.module, it.grants, it.run)
    assert '<code class="wasilab-fault">fd_write:error=EIO:when=2+</code>' in static
    assert "⚡" in static
