"""The smallest inputs with which a program still shows something, from its recording or from grants."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import wasilab
from tests.engine.guests import wat
from wasilab import Grants, Limits, MemDir, minimize
from wasilab.capabilities.memory.memdir import Symlink
from wasilab.cli import main
from wasilab.runs.experiments.minimizing import Minimized
from wasilab.runs.experiments.reproduction import MinimizeError, Reproduction
from wasilab.runs.replays.recordings import Recording
from wasilab.trace.errors import QueryError

# Reads a file and stdin into 1024 and 40000, and ends with the number of "!" in both; if there are three, it yields.
COUNTS = """
  (drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 5) (i32.const 0) (i64.const 2)
    (i64.const 0) (i32.const 0) (i32.const 80)))
  (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 30000))
  (drop (call $fd_read (i32.load (i32.const 80)) (i32.const 0) (i32.const 1) (i32.const 8)))
  (i32.store (i32.const 0) (i32.const 40000)) (i32.store (i32.const 4) (i32.const 9000))
  (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
  (local.set $i (i32.const 1024))
  (loop $next
    (local.set $j (i64.add (local.get $j) (i64.extend_i32_u (i32.eq (i32.load8_u (local.get $i)) (i32.const 33)))))
    (local.set $i (i32.add (local.get $i) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $i) (i32.const 50000))))
  (if (i64.eq (local.get $j) (i64.const 3)) (then (drop (call $sched_yield))))
  (call $proc_exit (i32.wrap_i64 (local.get $j)))"""
NAME = '(data (i32.const 64) "a.txt")'
KEEP = "call=sched_yield"


def counting() -> wasilab.Module:
    return wat("path_open fd_read sched_yield proc_exit", COUNTS, extra=NAME)


def given() -> Grants:
    files = {"a.txt": b"one! " + b"x" * 300 + b"two! end", "b.txt": b"not read", "sub/c.txt": b"nor this"}
    stdin = b"yes " * 50 + b"three! " + b"no " * 50
    return Grants(dirs={"/d": MemDir(files), "/e": MemDir({"e": b"e"})}, env={"A": "1"}, stdin=stdin)


@pytest.fixture(scope="module")
def recorded() -> wasilab.Run:
    run = wasilab.run(counting(), ["one", "two"], given(), record=True)
    assert run.exit_code == 3
    return run


def assert_least(found: Minimized) -> None:
    assert found.complete
    assert found.inputs.granted == ["stdin", "/d"]
    assert found.inputs.stdin == b"!"
    assert dict(found.inputs.folders["/d"].files) == {"a.txt": b"!!"}
    assert not found.inputs.folders["/d"].writable
    assert (found.args, dict(found.inputs.env)) == ((), {})
    assert found.run.exit_code == 3
    assert wasilab.run(counting(), found.args, found.grants).exit_code == 3


def test_from_the_recording_alone(recorded: wasilab.Run) -> None:
    found = minimize(recorded, KEEP)
    assert_least(found)
    assert found.before.folders["/d"].files == {"a.txt": b"one! " + b"x" * 300 + b"two! end"}
    assert found.runs < 200
    assert "stdin: '!'" in str(found)
    assert "  a.txt: '!!'" in str(found)


def test_from_grants(recorded: wasilab.Run) -> None:
    found = minimize(recorded.trace, KEEP, grants=given())
    assert_least(found)
    assert found.before.file_count == 4
    assert found.before.env == {"A": "1"}
    assert minimize(recorded, lambda run: run.exit_code == 3, grants=given()).inputs == found.inputs


def test_no_single_part_of_the_result_can_be_left_out(recorded: wasilab.Run) -> None:
    found = minimize(recorded, "call=fd_read fd=0 bytes>=17")
    assert found.inputs.granted == ["stdin"]
    assert len(found.inputs.stdin or b"") == 17


def test_an_interrupt_and_the_last_run_give_the_best_so_far(recorded: wasilab.Run) -> None:
    seen: list[int] = []

    def stop(runs: int, best: Reproduction) -> None:
        seen.append(best.input_bytes)
        if runs == 20:
            raise KeyboardInterrupt

    found = minimize(recorded, KEEP, progress=stop)
    assert (found.complete, found.runs, found.run.exit_code) == (False, 20, 3)
    assert found.inputs.input_bytes == seen[-1] < found.before.input_bytes
    assert seen == sorted(seen, reverse=True)
    few = minimize(recorded, KEEP, most_runs=20)
    assert (few.complete, few.runs, few.inputs) == (False, 20, found.inputs)
    assert "not finished" in str(few)

    def at_once(run: wasilab.Run) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(MinimizeError, match="before the first run had ended"):
        minimize(recorded, at_once)


def test_what_cannot_be_minimised_is_refused_with_the_reason(recorded: wasilab.Run) -> None:
    with pytest.raises(MinimizeError, match="no call of the recording satisfies 'call=fd_write'"):
        minimize(recorded, "call=fd_write")
    with pytest.raises(QueryError, match="errnoo"):
        minimize(recorded, "errnoo=1")
    with pytest.raises(MinimizeError, match="a run with these grants does not show it"):
        minimize(recorded, KEEP, grants=Grants())
    for grants, why in (
        (Grants(stdin="ask"), "interactive input"), (Grants(overrides={"sched_yield": print}), "overrides"),
    ):  # fmt: skip
        with pytest.raises(MinimizeError, match=why):
            minimize(recorded, KEEP, grants=grants)
    random = wat("random_get proc_exit", "(drop (call $random_get (i32.const 0) (i32.const 4)))"
                 "(call $proc_exit (i32.and (i32.load (i32.const 0)) (i32.const 0x7f)))")  # fmt: skip
    run = wasilab.run(random, grants=Grants(random=wasilab.Random.real()), record=True)
    with pytest.raises(MinimizeError, match="a run with what the recording tells does not show it"):
        minimize(run, lambda again: again.exit_code > 0x7F)  # with other random bytes no run does


def test_a_candidate_that_never_ends_is_stopped() -> None:
    # Reads one byte of stdin; without it, it loops for ever.
    body = """(i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 1))
      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (loop $again (br_if $again (i32.eqz (i32.load8_u (i32.const 16)))))
      (call $proc_exit (i32.const 7))"""
    run = wasilab.run(wat("fd_read proc_exit", body), grants=Grants(stdin=b"x", limits=Limits(seconds=30)), record=True)
    found = minimize(run, "call=proc_exit", grants=Grants(stdin=b"abc", limits=Limits(seconds=0.5)))
    assert (found.complete, len(found.inputs.stdin or b"")) == (True, 1)


def test_what_a_recording_contains_of_listings_links_and_changes() -> None:
    module = wat(
        "fd_readdir path_filestat_get path_readlink path_unlink_file path_create_directory path_open fd_pread fd_pwrite"
        " environ_sizes_get environ_get",
        """
        (drop (call $fd_readdir (i32.const 3) (i32.const 1024) (i32.const 4000) (i64.const 0) (i32.const 8)))
        (drop (call $path_filestat_get (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 3) (i32.const 128)))
        (drop (call $path_readlink (i32.const 3) (i32.const 68) (i32.const 4) (i32.const 1024) (i32.const 99)
          (i32.const 8)))
        (drop (call $path_unlink_file (i32.const 3) (i32.const 72) (i32.const 4)))
        (drop (call $path_create_directory (i32.const 3) (i32.const 80) (i32.const 3)))
        (drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 3) (i32.const 0) (i64.const 70)
          (i64.const 0) (i32.const 0) (i32.const 200)))
        (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 2))
        (drop (call $fd_pread (i32.load (i32.const 200)) (i32.const 0) (i32.const 1) (i64.const 4) (i32.const 8)))
        (drop (call $fd_pwrite (i32.load (i32.const 200)) (i32.const 0) (i32.const 1) (i64.const 0) (i32.const 8)))
        (drop (call $fd_pread (i32.load (i32.const 200)) (i32.const 0) (i32.const 1) (i64.const 0) (i32.const 8)))
        (drop (call $environ_sizes_get (i32.const 8) (i32.const 12)))
        (drop (call $environ_get (i32.const 1024) (i32.const 2048)))""",
        extra='(data (i32.const 64) "one") (data (i32.const 68) "link") (data (i32.const 72) "gone")'
        '(data (i32.const 80) "new")',
    )  # fmt: skip
    files: dict[str, Any] = {"one": b"0123456789", "link": Symlink("one"), "gone": b"was here", "sub/x": b"x"}
    files |= {"empty": {}}
    run = wasilab.run(module, grants=Grants(dirs={"/d": MemDir(files)}, env={"A": "b=c"}), record=True)
    assert {call.errno for call in run.trace} == {0}
    found = Reproduction.from_recording(Recording(run.trace))
    assert dict(found.folders["/d"].files) == {
        "one": b"\0\0\0\0" + b"45" + b"\0" * 4,  # what it read before it wrote
        "link": "one", "gone": b"", "sub": {}, "empty": {},
    }  # fmt: skip
    assert isinstance(found.folders["/d"].files["link"], Symlink)
    assert found.folders["/d"].writable
    assert found.env == {"A": "b=c"}
    again = wasilab.run(module, grants=found.grants())
    assert [call.errno for call in again.trace] == [call.errno for call in run.trace]


def test_the_result_is_written_and_runs(
    recorded: wasilab.Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = minimize(recorded, KEEP)
    line = found.save(tmp_path / "small")
    assert main(shlex.split(line)[1:]) == 3
    assert (tmp_path / "small" / "files0" / "a.txt").read_bytes() == b"!!"
    assert 'host = "files0"' in (tmp_path / "small" / "policy.toml").read_text()
    with pytest.raises(MinimizeError, match="is not empty"):
        found.save(tmp_path / "small")
    binary = minimize(recorded, lambda run: run.exit_code == 3, grants=given().with_(stdin=b"\xff!\xfe!!", dirs={}))
    line = binary.save(tmp_path / "binary")
    assert binary.inputs.stdin == b"!!!"
    assert main(shlex.split(line)[1:]) == 3
    capfd.readouterr()


def test_the_command(
    recorded: wasilab.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    recorded.trace.save("r.wtrace")
    assert main(["minimize", "r.wtrace", "--keep", KEEP, "-o", "small"]) == 0
    out = capfd.readouterr().out
    assert "a.txt: '!!'" in out
    line = out.splitlines()[-1]
    assert line == "wasilab run --policy small/policy.toml small/program.wasm"
    assert main(shlex.split(line)[1:]) == 3
    assert main(["minimize", "r.wtrace", "--exit", "3", "--runs", "5"]) == 1
    assert "not finished" in capfd.readouterr().out
    Path("d").mkdir()
    Path("d/a.txt").write_bytes(b"!!! and more")
    assert main(["minimize", "r.wtrace", "--keep", KEEP, "--dir", "d::/d"]) == 0
    assert "a.txt: '!!!'" in capfd.readouterr().out
    assert Path("d/a.txt").read_bytes() == b"!!! and more"
    for wrong, why in (
        ([], "name what must stay"), (["--keep", "call=fd_write"], "no call of the recording"),
        (["--keep", KEEP, "-o", "small"], "is not empty"), (["--keep", " "], "empty filter"),
        (["--exit", "9"], "the recorded program ended with exit status 3, not 9"),
        (["--exit", "x"], "'x' is not an exit status"), (["--exit", "256"], "'256' is not an exit status"),
        (["--keep", "fd=notanumber"], "fd"), (["--keep", KEEP, "--dir", "nowhere"], "nowhere"),
    ):  # fmt: skip
        assert main(["minimize", "r.wtrace", *wrong]) == 2, wrong
        out, err = capfd.readouterr()
        assert why in err
        assert "now:" not in out, "the search began although its result could not be kept"


@pytest.mark.parametrize("path", [b"/d/../../etc/x", b"/d/" + b"n" * 5000, b"/d/\xff", b"/d/a\0b", b"/d//", b"/d/."])
def test_hostile_names_leave_no_folder(recorded: wasilab.Run, path: bytes, tmp_path: Path) -> None:
    inputs = Reproduction.from_recording(Recording(recorded.trace))
    name = path.decode("utf-8", "replace").removeprefix("/d/")
    folder = inputs.folders["/d"]
    hostile = replace(inputs, folders={"/d": replace(folder, files={**folder.files, name: b"x"})})
    try:
        hostile.grants()
    except ValueError:
        return
    found = replace(minimize(recorded, KEEP), inputs=hostile)
    found.save(tmp_path / "in" / "small")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in"]
