"""Advice: run under it, the same calls succeed; it is smaller than what was granted, and says on what it rests."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

import pytest

from wasilab import Clocks, Grants, HostDir, Limits, MemDir, Random, Run, Trace, advise, run
from wasilab.grants.forms.flags import add_options, from_options
from wasilab.grants.forms.python import from_python
from wasilab.grants.forms.toml import merge_text
from wasilab.grants.value import GrantError

from .guests import READ, SCRATCH, WRITE, Guest, fd

RANDOM = f"(i32.const {SCRATCH}) (i32.const 4)"
CREATE = 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("in", "out", "deep/one", "deep/two"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "in" / "a.txt").write_text("text")
    (tmp_path / "deep" / "one" / "x").write_text("1")
    return tmp_path


def successes(finished: Run) -> list[tuple[str, str]]:
    return [(call.name, call.path) for call in finished.trace if call.errno == 0]


def everything(folder: Path) -> Grants:
    return Grants(
        dirs={"/w": HostDir(str(folder), mode="rw"), "/unused": MemDir()}, env={"A": "b"}, stdin=b"input", ask=False
    )


GUESTS = {
    "reads": Guest().open("in/a.txt").read(),
    "writes": Guest().open("out/b", rights=READ | WRITE, oflags=CREATE).write("x"),
    "both": Guest()
    .open("in/a.txt")
    .read()
    .open("out/b", rights=READ | WRITE, oflags=CREATE)
    .write("x")
    .write("o", fd(1)),
    "nothing": Guest(),
    "random": Guest().call("random_get", RANDOM),
    "clock": Guest().call("clock_time_get", f"(i32.const 1) (i64.const 0) (i32.const {SCRATCH})"),
    "stdin": Guest().read(fd(0)),
    "stderr": Guest().write("e", fd(2)),
    "environment": Guest().call("environ_sizes_get", f"(i32.const {SCRATCH}) (i32.const {SCRATCH + 4})"),
}


@pytest.mark.parametrize("name", GUESTS)
def test_under_the_advice_the_same_calls_succeed(name: str, folder: Path) -> None:
    module = GUESTS[name].module()
    first = run(module, (), everything(folder))
    assert first.exit_code == 0
    advice = advise(first)
    again = run(module, (), advice.grants)
    assert successes(again) == successes(first)
    assert len(advice.grants.dirs) <= 1
    assert "lower bound" in str(advice)
    parser = argparse.ArgumentParser()
    add_options(parser)
    assert from_options(parser.parse_args(advice.flags()), Grants()) == advice.grants
    assert merge_text(Grants(), advice.toml()) == advice.grants
    assert from_python(advice.python(), Grants) == advice.grants
    assert advise(again).grants == advice.grants, "advice on a run under advice changes nothing"


@pytest.mark.parametrize("name", GUESTS)
def test_any_less_than_the_advice_is_refused(name: str, folder: Path) -> None:
    module = GUESTS[name].module()
    first = run(module, (), everything(folder))
    grants = advise(first).grants
    smaller = [grants.without_dir(guest) for guest in grants.dirs]
    smaller += [
        grants.with_dir(g, HostDir(d.path)) for g, d in grants.dirs.items() if isinstance(d, HostDir) and d.mode == "rw"
    ]
    smaller += [grants.with_(stdout=False)] * grants.stdout + [grants.with_(stderr=False)] * grants.stderr
    smaller += [grants.with_(clocks=Clocks.nothing())] * (grants.clocks.spec != "none")
    smaller += [grants.with_(random=Random.nothing())] * (grants.random.spec != "none")
    smaller += [grants.with_(stdin=None)] * (grants.stdin is not None)
    for less in smaller:
        assert successes(run(module, (), less)) != successes(first), less.to_flags()


def test_what_each_guest_needs(folder: Path) -> None:
    needs = {
        name: (
            [d.mode for d in advice.grants.dirs.values() if isinstance(d, HostDir)],
            bool(advice.grants.env),
            advice.grants.stdin,
            advice.grants.stdout,
            advice.grants.stderr,
            advice.grants.clocks.spec,
            advice.grants.random.spec,
        )
        for name in GUESTS
        for advice in [advise(run(GUESTS[name].module(), (), everything(folder)))]
    }
    assert needs == {
        "reads": (["ro"], False, None, False, False, "none", "none"),
        "writes": (["rw"], False, None, False, False, "none", "none"),
        "both": (["rw"], False, None, True, False, "none", "none"),
        "nothing": ([], False, None, False, False, "none", "none"),
        "random": ([], False, None, False, False, "none", "real"),
        "clock": ([], False, None, False, False, "real", "none"),
        "stdin": ([], False, b"input", False, False, "none", "none"),
        "stderr": ([], False, None, False, True, "none", "none"),
        "environment": ([], True, None, False, False, "none", "none"),
    }


def test_narrowing_splits_a_folder_and_only_when_asked(folder: Path) -> None:
    finished = run(GUESTS["both"].module(), (), everything(folder))
    assert list(advise(finished).grants.dirs) == ["/w"]
    dirs = advise(finished, narrow=True).grants.dirs
    assert dirs == {"/w/in": HostDir(str(folder / "in")), "/w/out": HostDir(str(folder / "out"), mode="rw")}


def test_narrowing_keeps_a_folder_in_which_something_was_used_directly(folder: Path) -> None:
    guest = Guest().open("deep/one/x").open("in", oflags=2).open("top", rights=READ | WRITE, oflags=CREATE)
    assert list(advise(run(guest.module(), (), everything(folder)), narrow=True).grants.dirs) == ["/w"]


def test_a_rename_needs_both_folders(folder: Path) -> None:
    guest = Guest()
    old, new = guest.text("a.txt"), guest.text("b.txt")
    guest.call("path_rename", f"{fd(3)} {old} {fd(4)} {new}")
    dirs = {"/in": HostDir(str(folder / "in"), mode="rw"), "/out": HostDir(str(folder / "out"), mode="rw")}
    finished = run(guest.module(), (), Grants(dirs=dirs))
    assert finished.exit_code == 0
    assert advise(finished).grants.dirs == dirs


def test_several_runs_need_what_each_of_them_needed(folder: Path) -> None:
    runs = [run(GUESTS[name].module(), (), everything(folder)) for name in ("reads", "random", "stderr")]
    grants = advise(*runs).grants
    assert grants.dirs == {"/w": HostDir(str(folder))}
    assert (grants.random.spec, grants.stderr, grants.stdout) == ("real", True, False)


def test_refusals_are_listed_as_missing_and_added_when_asked(folder: Path) -> None:
    guest = GUESTS["writes"].module()
    finished = run(guest, (), Grants(dirs={"/w": HostDir(str(folder))}, random=Random.nothing()))
    assert finished.exit_code != 0
    advice = advise(finished)
    assert len(advice.missing) == 1
    assert advice.missing[0].complete
    assert "asked for, and missing" in str(advice)
    mended = advise(finished, include_missing=True).grants
    assert mended.dirs == {"/w": HostDir(str(folder), mode="rw")}
    assert run(guest, (), mended).exit_code == 0


def test_what_no_flag_names_is_missing_but_cannot_be_added() -> None:
    finished = run(Guest().open("x").module(), (), Grants.nothing())
    advice = advise(finished, include_missing=True)
    assert advice.grants == Grants.nothing()


def test_a_saved_trace_says_what_was_granted(folder: Path, tmp_path: Path) -> None:
    finished = run(GUESTS["reads"].module(), (), everything(folder))
    finished.trace.save(tmp_path / "t.wtrace")
    assert advise(Trace.load(tmp_path / "t.wtrace")).grants == advise(finished).grants


@pytest.mark.parametrize("text", ["__import__('os').system('true')", "Grants(**{})", "Grants(env=open('x'))", "(", "3"])
def test_grants_of_a_trace_are_read_and_never_evaluated(text: str) -> None:
    with pytest.raises(GrantError):
        from_python(text, Grants)


def test_peaks_become_limits_when_asked(folder: Path) -> None:
    finished = run(GUESTS["both"].module(), (), everything(folder))
    advice = advise(finished, limits=True)
    assert advice.grants.limits == Limits(fds=8, bytes_written=4096)
    assert run(GUESTS["both"].module(), (), advice.grants).exit_code == 0


def test_every_line_names_its_evidence(folder: Path) -> None:
    advice = advise(run(GUESTS["both"].module(), (), everything(folder)))
    kept = {line.name: line for line in advice.lines if line.verdict != "dropped"}
    assert set(kept) == {"/w", "stdout"}
    assert kept["/w"].calls["path_open"] == 2
    assert kept["/w"].first == 0
    assert "'/w/in/a.txt', '/w/out/b'" in kept["/w"].why
    assert shlex.split(kept["/w"].flag) == ["--dir", f"{folder}::/w:rw"]


def test_advice_needs_something_to_read() -> None:
    with pytest.raises(GrantError, match="at least one"):
        advise()
    with pytest.raises(GrantError, match="not int"):
        advise(3)


def test_advice_that_flags_cannot_say_is_printed_as_python(folder: Path) -> None:
    finished = run(Guest().open("a.txt").read().module(), (), Grants(dirs={"/m": MemDir({"a.txt": "text"})}))
    advice = advise(finished)
    assert str(advice).startswith("Grants(dirs={'/m': MemDir({'a.txt': b'text'})}")
    assert "kept: " in str(advice)
    with pytest.raises(GrantError, match="flags cannot express"):
        advice.command()


def test_after_a_run_that_failed_the_streams_stay_and_later_needs_are_unknown(folder: Path) -> None:
    module = Guest().open("in/a.txt").read().open("missing").write("never", fd(1)).module()
    given = Grants(dirs={"/w": HostDir(str(folder), "rw")})
    failed = run(module, (), given)
    assert failed.exit_code != 0
    advice = advise(failed)
    assert (advice.grants.stdin, advice.grants.stdout, advice.grants.stderr) == (b"", True, True)
    assert advice.failed
    assert "what it would have needed later is not known" in str(advice)
    failed.trace.save(folder / "t.jsonl")
    assert advise(Trace.load(folder / "t.jsonl")).grants == advice.grants, "a saved trace says how its run ended"
    assert not advise(failed, base=given.with_(stdout=False)).grants.stdout, "nothing is given that was not there"
    ended = run(Guest().open("in/a.txt").read().module(), (), given)
    assert not advise(ended).failed
    assert not advise(ended).grants.stderr


def test_a_foreign_trace_prints_no_control_character(tmp_path: Path) -> None:
    evil = "d\x1b]0;owned\x07\u202e"
    (tmp_path / evil).mkdir()
    (tmp_path / evil / "a\x1b[2J").write_text("x")
    given = Grants(dirs={f"/{evil}": HostDir(str(tmp_path / evil))}, env={"A": evil})
    guest = Guest().open("a\x1b[2J").read().call(
        "environ_sizes_get", f"(i32.const {SCRATCH}) (i32.const {SCRATCH + 4})"
    )  # fmt: skip
    finished = run(guest.module(), (evil,), given)
    finished.trace.save(tmp_path / "t.jsonl")
    for advice in (advise(finished), advise(Trace.load(tmp_path / "t.jsonl"))):
        for text in (str(advice), advice.command(), advice.toml(), advice.python()):
            assert all(line.isprintable() for line in text.splitlines()), text
        assert "$'" in advice.command()
        assert merge_text(Grants(), advice.toml()) == advice.grants
    with pytest.raises(GrantError, match="a run or a trace is expected here, not int"):
        advise(1)  # type: ignore[arg-type]
