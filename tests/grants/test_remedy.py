"""A remedy says the same in every form: the flag means the change of the grants, whatever the folders are called."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from wasilab import Grants, HostDir, Limits, MemDir, Run, run
from wasilab.capabilities.clocks import Clocks
from wasilab.capabilities.patterns import read_only
from wasilab.capabilities.random import Random
from wasilab.capabilities.refusal import Need, NeedKind
from wasilab.grants.advice.missing import missing_grants
from wasilab.grants.forms.flags import add_options, from_options
from wasilab.grants.remedy import Given, Remedy, denied, folder_remedy, remedy
from wasilab.grants.value import GrantError
from wasilab.panels.model import PanelModel
from wasilab.trace.trace import Trace
from wasilab.views.report import report
from wasilab.views.report.refused import refusals
from wasilab.views.rerun import can_rerun, rerun

from .guests import READ, WRITE, Guest

LIKE_A_PLACEHOLDER = ["HOSTING", "HOST", "N", "photos[1]", "GUEST", "a, b", "BYTES", "K=V", "HOST[::GUEST]"]
ODD = ["-dash", "x:rw", "quote'd", "{brace}", "new\nline", "esc\x1b[2J", "\u202ebidi", "two words", "$HOME"]
GUESTS = ["/d", "GUEST", "N", "photos[1]", "a, b"]
CREATING = Guest().open("new", rights=READ | WRITE, oflags=1).write("x")


def parse(text: str, base: Grants) -> Grants:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_options(parser)
    return from_options(parser.parse_args(shlex.split(text)), base)


def refused_write(folder: Path, guest: str) -> Run:
    folder.mkdir(exist_ok=True)
    finished = run(CREATING.module(), (), Grants(dirs={guest: HostDir(str(folder))}))
    assert finished.exit_code != 0
    return finished


def of(need: Need, grants: Grants) -> Remedy:
    found = remedy(need, Given.by(grants))
    assert found is not None
    return found


@pytest.mark.parametrize("guest", GUESTS)
@pytest.mark.parametrize("name", [*LIKE_A_PLACEHOLDER, *ODD])
def test_the_flag_of_any_folder_means_the_change_and_asks_for_nothing(tmp_path: Path, name: str, guest: str) -> None:
    grants = Grants(dirs={guest: HostDir(str(tmp_path))}, args=False)
    met = Remedy(NeedKind.WRITE, guest, str(tmp_path / name), "rw")
    (tmp_path / name).mkdir()
    assert (met.complete, met.blanks, met.hint) == (True, (), "")
    assert met.flag.isprintable()
    if met.flag and "$'" not in met.flag:
        assert parse(met.flag, grants) == met.apply(grants)
    assert met.apply(grants).dirs[guest] == HostDir(str(tmp_path / name), "rw")


@pytest.mark.parametrize("name", [*LIKE_A_PLACEHOLDER[:8], *ODD])
def test_a_shell_splits_the_flag_into_the_same_words(name: str) -> None:
    met = Remedy(NeedKind.WRITE, "/d", name, "rw")
    assert met.flag.isprintable()
    script = f"printf '%s\\0' {met.flag}"
    words = subprocess.run(["bash", "-c", script], capture_output=True, check=True, env={}).stdout.decode().split("\0")
    assert words[:-1] in (["--dir", f"{name}::/d:rw"], [f"--dir={name}::/d:rw"])


@pytest.mark.parametrize("name", LIKE_A_PLACEHOLDER[:8])
def test_a_refused_write_is_granted_from_the_report_the_button_and_the_panel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).mkdir()
    finished = run(CREATING.module(), (), Grants(dirs={name: HostDir(name)}))
    flag = f"--dir {shlex.quote(name + ':rw')}"
    assert finished.denied[0].remedy == flag
    (shown,) = refusals(finished)
    assert shown.remedy is not None
    assert shown.remedy.hint == ""
    text = report.text(finished)
    assert f"to allow it: {flag}\n" in text
    assert "is the folder to give" not in text + report.body(finished)
    assert can_rerun(finished, shown.remedy)
    assert rerun(finished, shown.remedy).wait(60).exit_code == 0  # type: ignore[attr-defined]
    model = PanelModel(finished.module, finished.grants, run=finished)
    (missing,) = model.refused()
    assert missing.remedy is not None
    assert (missing.remedy.text, missing.remedy.complete, missing.remedy.asks_for_a_folder) == (flag, True, False)
    assert missing.remedy is not None
    model.put(missing.remedy.apply(model.grants))
    assert model.start(detach=False).exit_code == 0


def test_a_saved_trace_names_the_folder_and_a_path_that_is_nowhere_granted_asks_for_one(tmp_path: Path) -> None:
    finished = refused_write(tmp_path / "N", "GUEST")
    finished.trace.save(tmp_path / "t.wtrace")
    (refusal,) = denied(Trace.load(tmp_path / "t.wtrace"))
    assert refusal.remedy == f"--dir {tmp_path}/N::GUEST:rw"
    leaving = run(Guest().open("../x/y").module(), (), Grants(dirs={"/data": MemDir()}))
    (missing,) = missing_grants([leaving])
    assert missing.remedy is not None
    assert (missing.text, missing.complete, missing.asks_for_a_folder) == ("--dir HOST::/data/../x", False, True)
    assert missing.remedy.hint == "HOST is the folder to give"
    with pytest.raises(GrantError, match=r"--dir HOST::/data/\.\./x: HOST is the folder to give"):
        missing.remedy.apply(Grants())


@pytest.mark.parametrize(
    ("need", "flag", "hint"),
    [
        (Need(NeedKind.DIRECTORY), "--dir HOST[::GUEST]",
         "HOST is the folder to give, GUEST where the program looks for it; --learn finds both"),
        (Need(NeedKind.ABOVE), "--dir HOST[::GUEST]",
         "a path cannot leave the folder where it begins: HOST holds all of it, GUEST is what it begins with"),
        (Need(NeedKind.DIRECTORY, "/GUEST/x"), "--dir HOST::/GUEST", "HOST is the folder to give"),
        (Need(NeedKind.DIRECTORY, "in/../../etc/x"), "--dir HOST::in/../../etc", "HOST is the folder to give"),
        (Need(NeedKind.DIRECTORY, "./in/x"), "--dir HOST::.", "HOST is the folder to give"),
        (Need(NeedKind.DIRECTORY, "/a/.."), "--dir HOST::/a/..", "HOST is the folder to give"),
        (Need(NeedKind.DIRECTORY, "rel/x"), "--dir HOST::rel", "HOST is the folder to give"),
        (Need(NeedKind.DIRECTORY, "x"), "--dir HOST::.", "HOST is the folder to give"),
        (Need(NeedKind.DIRECTORY, "/a b/x"), "--dir HOST::'/a b'", "HOST is the folder to give"),
        (Need(NeedKind.LIMIT, limit="fds"), "--max-fds N", "N is more than 8"),
        (Need(NeedKind.LIMIT, limit="bytes_written"), "--max-written BYTES", "BYTES is more than 2m"),
    ],
)  # fmt: skip
def test_blanks_for_the_user_are_named_and_not_guessed(need: Need, flag: str, hint: str) -> None:
    met = of(need, Grants(limits=Limits(fds=8, bytes_written=2 << 20)))
    assert (met.flag, met.hint, met.complete) == (flag, hint, False)


@pytest.mark.parametrize(
    ("need", "flag", "grants"),
    [
        (Need(NeedKind.CLOCK), "--clock real", Grants(clocks=Clocks.nothing())),
        (Need(NeedKind.RANDOM), "--random real", Grants(random=Random.nothing())),
        (Need(NeedKind.COMPAT), "--rights compat", Grants()),
        (Need(NeedKind.STDIN), "--stdin -", Grants(stdin=None)),
        (Need(NeedKind.STDOUT), "--stdout", Grants(stdout=False)),
        (Need(NeedKind.STDERR), "--stderr", Grants(stderr=False)),
        (Need(NeedKind.RIGHTS, "/d", ("fd_read",)), "--withhold /d:fd_readdir",
         Grants(dirs={"/d": MemDir()}, withheld={"/d": ["fd_read", "fd_readdir"]})),
        (Need(NeedKind.RIGHTS, "/d", ("fd_read",)), "--withhold /d:none",
         Grants(dirs={"/d": MemDir()}, withheld={"/d": ["fd_read"]})),
    ],
)  # fmt: skip
def test_the_flag_and_the_change_of_the_other_kinds_are_one(need: Need, flag: str, grants: Grants) -> None:
    met = of(need, grants)
    assert (met.flag, met.complete, met.hint) == (flag, True, "")
    assert parse(met.flag, grants) == met.apply(grants) != grants


def test_what_no_flag_can_express_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a::b").mkdir()
    colons = Grants(dirs={"/d": HostDir(tmp_path / "a::b")})
    met = of(Need(NeedKind.WRITE, "/d"), colons)
    assert (met.flag, met.complete) == ("", True)
    assert met.text == f"grant the folder '{tmp_path}/a::b' at '/d' to be changed"
    assert met.apply(colons).dirs["/d"].writable
    own = of(Need(NeedKind.WRITE, "/d"), Grants(dirs={"/d": read_only(MemDir())}))
    assert (own.flag, own.complete, own.blanks) == ("", False, ())
    assert own.text == "grant the directory at '/d' to be changed"
    full = of(Need(NeedKind.QUOTA, "/d", limit="max_bytes"), Grants(dirs={"/d": MemDir()}))
    assert (full.flag, full.complete, full.text) == ("", False, "grant a larger max_bytes to the directory at '/d'")


def test_a_refusal_that_no_grant_lifts_has_no_remedy() -> None:
    assert remedy(None, Given()) is None
    assert remedy(Need(NeedKind.LIMIT, limit="__class__"), Given()) is None


@pytest.mark.parametrize(
    "meta",
    [
        {}, {"dirs": 1, "withheld": []}, {"dirs": {"/d": 1}, "withheld": {"/d": 1}}, {"dirs": {"/d": ["x"]}},
        {"dirs": None, "withheld": {"/d": [1, None]}},
    ],
)  # fmt: skip
def test_a_trace_may_say_anything_of_its_run(meta: dict[str, object]) -> None:
    for kind in NeedKind:
        for need in (Need(kind), Need(kind, "/d", ("fd_read", "evil;rm"), "fds")):
            met = remedy(need, Given.in_meta(meta))
            assert met is None or (met.text.isprintable() and met.hint.isprintable())


def test_hostile_names_are_harmless_in_a_terminal_and_a_shell() -> None:
    evil = "/d\x1b]0;x\x07'; rm -rf ~ #"
    given = Given({evil: f"host{evil}"}, {evil: ("fd_read", "fd_readdir")})
    for need in (Need(NeedKind.WRITE, evil), Need(NeedKind.DIRECTORY, evil), Need(NeedKind.RIGHTS, evil, ("fd_read",))):
        met = remedy(need, given)
        assert met is not None
        assert met.text.isprintable()
        assert met.words.isprintable()
        script = f"printf '%s\\0' {met.flag}"
        words = subprocess.run(["bash", "-c", script], capture_output=True, check=True, env={}).stdout.decode()
        assert len(words.split("\0")) == 3
        assert re.search(r"\x1b\]0;x\x07'; rm -rf|HOST::/$|HOST::/\0", words)


def test_remedies_that_grant_the_same_are_equal(tmp_path: Path) -> None:
    assert folder_remedy(f"{tmp_path}/") == Remedy(NeedKind.DIRECTORY, str(tmp_path), f"{tmp_path}/")
    assert folder_remedy("out", mode="rw").flag == "--dir out:rw"
    assert len({folder_remedy("out"), folder_remedy("out"), folder_remedy("out", mode="rw")}) == 2


def test_no_grant_is_advised_for_an_absolute_path_and_the_sentence_says_what_helps() -> None:
    grants = Grants(dirs={"/etc": MemDir(), "/data": MemDir()})
    finished = run(Guest().open("/etc/passwd").module(), (), grants)
    text = " ".join(report.text(finished).split())
    assert "to allow it" not in text
    assert "it is absolute; no grant allows that: the program has to find the granted directory that holds it" in text
    assert [missing.remedy for missing in missing_grants([finished])] == [None]
