"""Commands take what they work on first; the old order is read too, with a hint. A named program keeps its grants."""

from __future__ import annotations

from pathlib import Path

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from wasilab.cli import main
from wasilab.commands.line.grammar import parse
from wasilab.commands.line.usage import HelpAsked
from wasilab.magics.wasi_magics import load_ipython_extension
from wasilab.views.plots.plot_options import PLOT_KINDS

from . import programs

CALLS = "select count(*) n from calls"


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ipython: InteractiveShell) -> InteractiveShell:
    monkeypatch.chdir(tmp_path)
    load_ipython_extension(ipython)
    ipython.run_cell_magic("wasi", "wat --name first", programs.EXIT_7)
    ipython.run_cell_magic("wasi", "wat --name last", programs.HELLO)
    return ipython


def test_a_plot_is_of_the_last_run_or_of_the_one_named_first(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    for line in ("plot counts", "plot first counts", "plot last", "plot", "plot first compare last"):
        assert shell.run_line_magic("wasi", line).axes, line
    assert "hint" not in capsys.readouterr().err


def test_the_kind_before_the_run_draws_the_same_with_a_hint(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert shell.run_line_magic("wasi", "plot counts first").axes
    assert "hint: what is plotted comes first: %wasi plot first counts" in capsys.readouterr().err
    assert shell.run_line_magic("wasi", "plot compare first last").axes
    assert "hint: what is plotted comes first: %wasi plot first compare last" in capsys.readouterr().err


def test_a_plot_that_cannot_be_drawn_says_what_to_write(shell: InteractiveShell) -> None:
    for line, said in (
        ("plot first conuts", "did you mean 'counts'"),
        ("plot nobody counts", "no run is named 'nobody'"),
        ("plot first compare", "takes two runs"),
        ("plot first counts last", "takes two runs"),
    ):
        with pytest.raises(UsageError, match=said):
            shell.run_line_magic("wasi", line)


@pytest.mark.parametrize("kind", ["cli", "notebook"])
def test_the_help_of_plot_lists_the_kinds_with_a_line_each(kind: str) -> None:
    with pytest.raises(HelpAsked) as asked:
        parse(["plot", "--help"], kind)  # type: ignore[arg-type]
    for name, words in PLOT_KINDS.items():
        assert any(line.split()[:1] == [name] and words in line for line in asked.value.text.splitlines())


@pytest.mark.slow
def test_sql_takes_the_run_first(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    calls = {}
    lines = {
        "last": f"sql {CALLS}",
        "quoted": f"sql '{CALLS}'",
        "first": f"sql first '{CALLS}'",
        "plain": f"sql first {CALLS}",
    }
    for name, line in lines.items():
        calls[name] = shell.run_line_magic("wasi", line).rows[0][0]
    assert calls["last"] == calls["quoted"] == 2
    assert calls["first"] == calls["plain"] == 1
    assert shell.run_cell_magic("wasi", "sql first", CALLS).rows[0][0] == 1
    assert "hint" not in capsys.readouterr().err
    for line in (f"sql --of first '{CALLS}'", f"sql '{CALLS}' first"):
        assert shell.run_line_magic("wasi", line).rows[0][0] == 1
        assert "hint: the trace comes first: %wasi sql first" in capsys.readouterr().err


def test_the_command_line_has_the_same_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hello.wat").write_text(programs.HELLO)
    assert main(["run", "--trace", "t.wtrace", "hello.wat"]) == 0
    capfd.readouterr()
    assert main(["sql", "t.wtrace", CALLS]) == 0
    out, err = capfd.readouterr()
    assert out.split()[-1] == "2"
    assert "hint" not in err  # a slow machine adds a line of progress
    assert main(["sql", CALLS, "t.wtrace"]) == 0
    out, err = capfd.readouterr()
    assert out.split()[-1] == "2"
    assert err.startswith(f"hint: the trace comes first: wasilab sql t.wtrace '{CALLS}'\n")
    assert main(["sql", "t.wtrace"]) == 2
    assert "QUERY missing: wasilab sql t.wtrace 'select" in capfd.readouterr().err
    assert main(["plot", "t.wtrace", "counts"]) == 0
    assert capfd.readouterr().err.startswith("counts.png: ")
    assert (tmp_path / "counts.png").stat().st_size > 1000
    assert main(["plot", "counts", "t.wtrace", "-o", "other.svg"]) == 0
    assert "hint: what is plotted comes first: wasilab plot t.wtrace counts" in capfd.readouterr().err
    assert (tmp_path / "other.svg").exists()
    assert main(["plot", "t.wtrace", "counts", "-o", "x.doc"]) == 2


def test_a_named_program_starts_with_the_grants_of_its_cell(
    shell: InteractiveShell, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secret.txt").write_text("told")
    run = shell.run_cell_magic("wasi", "wat --name opens --dir . --timeout 9", programs.OPEN_SECRET)
    assert run.exit_code == 0
    capsys.readouterr()
    again = shell.run_line_magic("wasi", "run opens")
    assert again.exit_code == 0
    assert again.grants.limits.seconds == 9
    told = capsys.readouterr().err
    assert "with the grants of the cell 'opens': --dir . --timeout 9 (--deny-all leaves them out)" in told
    more = shell.run_line_magic("wasi", "run --timeout 5 --env A=1 opens")
    assert (more.exit_code, more.grants.limits.seconds, dict(more.grants.env)) == (0, 5, {"A": "1"})
    assert shell.run_line_magic("wasi", "run opens").grants.env == {}, "the cell's grants, not those of the last run"
    capsys.readouterr()
    assert shell.run_line_magic("wasi", "run --deny-all opens").exit_code == 44
    assert "grants of the cell" not in capsys.readouterr().err


def test_a_named_program_that_was_given_nothing_says_nothing(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert shell.run_line_magic("wasi", "run last").exit_code == 0
    assert "grants of the cell" not in capsys.readouterr().err


def test_a_folder_in_memory_is_new_for_every_run_of_the_name(shell: InteractiveShell) -> None:
    shell.run_cell_magic("wasi", "wat --name makes --mem .", programs.MAKE_FILE)
    first, second = (shell.run_line_magic("wasi", "run makes") for _ in range(2))
    assert first.grants.dirs["."] is not second.grants.dirs["."]
