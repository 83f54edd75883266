"""What a run changed in its copies: shown in every report, bounded, with guest text escaped."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

import wasilab
from wasilab import Grants, HostDir
from wasilab.capabilities.memory.changes import Changes, Modified
from wasilab.engine.outcome import Outcome
from wasilab.trace.record.recorder import Recorder
from wasilab.trace.trace import Trace
from wasilab.views.report import changed, report

from .fakes import FakeRun

WRITES = """(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\40\\00\\00\\00\\09\\00\\00\\00") (data (i32.const 64) "two\\nfour\\n")
  (data (i32.const 100) "old.txtnew.txt")
  (func $put (param $name i32) (param $flags i32)
    (if (call $open (i32.const 3) (i32.const 0) (local.get $name) (i32.const 7) (local.get $flags)
                    (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 32)) (then unreachable))
    (if (call $write (i32.load (i32.const 32)) (i32.const 0) (i32.const 1) (i32.const 36)) (then unreachable)))
  (func (export "_start")
    (call $put (i32.const 100) (i32.const 8))
    (call $put (i32.const 107) (i32.const 1))))
"""


def ended(changes: dict[str, Changes], **more: Any) -> Any:
    return FakeRun(Trace.from_recorder(Recorder()), Outcome("exit", 0, seconds=0.1), changes=changes, **more)


@pytest.fixture
def run(tmp_path: Any) -> Any:
    """A run that rewrote old.txt and made new.txt in the copy of a folder."""
    (tmp_path / "old.txt").write_text("one\ntwo\nthree\n")
    return wasilab.run(wasilab.compile(WRITES, "wat"), grants=Grants(dirs={"/d": HostDir(tmp_path, mode="copy")}))


def test_a_report_shows_the_names_the_lines_and_that_the_folder_is_untouched(run: Any, tmp_path: Any) -> None:
    text, page, cell = report.text(run), report.page(run), report.html(run)
    assert "changed in the copy of /d: 1 created, 1 modified; the folder itself is unchanged" in text
    for line in ("  created  new.txt", "  modified old.txt (14 B -> 9 B)", "    -one", "    +four", "    -three"):
        assert line in text.splitlines()
    for shown in (page, cell):
        assert "created <code><bdi>new.txt</bdi></code>" in shown
        assert "run.changes.apply()" in shown
        assert "-three\n+four" in shown
    assert not (tmp_path / "new.txt").exists()


def test_what_is_applied_or_did_not_change_is_not_shown(run: Any, tmp_path: Any) -> None:
    run.changes.apply()
    assert (tmp_path / "new.txt").read_text() == "two\nfour\n"
    assert changed.text(run) == []
    assert changed.html(run) == ""


def test_a_running_run_is_not_looked_into() -> None:
    going = replace(ended({"/d": Changes(created=("a",))}), outcome=None, running=True)
    assert changed.text(going) == []


def test_names_and_lines_of_a_guest_cannot_act() -> None:
    bad = "<script>\x1b[2J\u202egnp"
    changes = Changes(
        (bad,), (Modified(bad, b"a\n", f"{bad}\n</pre><script>".encode()),), (bad,), ((bad, "\udcff\n"),)
    )
    run = ended({f"/{bad}": changes})
    for shown in ("\n".join(changed.text(run)), changed.html(run)):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "\\x1b[2J\\u202egnp" in shown
    assert "<script" not in changed.html(run)
    assert "&lt;/pre&gt;" in changed.html(run)


def test_a_guest_that_changes_much_makes_a_short_report(monkeypatch: pytest.MonkeyPatch) -> None:
    rolls = random.Random(1)
    lines = [b"%d\n" % rolls.randrange(9) for _ in range(4000)]
    slow = b"".join(lines)  # differences of such lines take seconds each
    made: list[str] = []
    diff = Modified.diff.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(Modified, "diff", property(lambda file: made.append(file.path) or diff(file)))
    files = tuple(Modified(f"f{n}", slow if n < 4 else b"1\n", slow[::-1] if n < 4 else b"2\n") for n in range(5000))
    run = ended({"/d": Changes(tuple(f"n{n}" for n in range(10)), files, ("x" * 5000,))})
    text, page = changed.text(run), changed.html(run)
    assert set(made) == {"f4", "f5", "f6", "f7"}
    assert len(text) < 60
    assert max(map(len, text)) < 200
    assert text[-1] == "  ... 4,981 more changes in run.changes"
    assert len(page) < 20_000
    assert "… 4,981 more changes" in page


def test_a_long_difference_says_how_many_lines_it_left_out() -> None:
    changes = Changes(modified=(Modified("a", b"", b"x\n" * 500),))
    assert "    ... 441 more lines" in changed.text(ended({"/d": changes}))
    assert "… 441 more lines" in changed.html(ended({"/d": changes}))
