"""What `run.denied` recommends is enough: run under it, and the call that was refused succeeds."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

import pytest

from wasilab import Clocks, Grants, HostDir, Limits, MemDir, Random, Run, run
from wasilab.capabilities.patterns import quota
from wasilab.capabilities.refusal import DeniedBy
from wasilab.grants.advice.compare import items
from wasilab.grants.advice.missing import missing_grants
from wasilab.grants.forms.flags import add_options, from_options

from .guests import READ, SCRATCH, WRITE, Guest, fd

CREATE, DIRECTORY, TRUNCATE = 1, 2, 8
CLOCK = f"(i32.const 1) (i64.const 0) (i32.const {SCRATCH})"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_text("text")
    return tmp_path


def mended(finished: Run) -> Grants:
    """The run's grants with every remedy of its refusals."""
    grants = finished.grants
    for missing in missing_grants([finished]):
        assert missing.remedy is not None
        grants = missing.remedy.apply(grants)
    return grants


GUESTS = {
    "creating": Guest().open("new", rights=READ | WRITE, oflags=CREATE).write("x"),
    "writing": Guest().open("a.txt", rights=WRITE).write("x"),
    "truncating": Guest().open("a.txt", rights=WRITE, oflags=TRUNCATE),
    "in a folder below": Guest().open("sub/new", rights=WRITE, oflags=CREATE),
    "the clock": Guest().call("clock_time_get", CLOCK),
    "stdout": Guest().write("x", fd(1)),
    "stderr": Guest().write("x", fd(2)),
    "stdin": Guest().read(fd(0)),
    "randomness": Guest().call("random_get", f"(i32.const {SCRATCH}) (i32.const 8)"),
}


@pytest.mark.parametrize("name", GUESTS)
@pytest.mark.parametrize("rights", ["strict", "compat"])
def test_the_remedy_is_enough(name: str, rights: str, folder: Path) -> None:
    module = GUESTS[name].module()
    given = Grants(
        dirs={"/data": HostDir(str(folder))}, clocks=Clocks.nothing(), random=Random.nothing(),
        stdin=None, stdout=False, stderr=False, rights=rights,  # type: ignore[arg-type]
    )  # fmt: skip
    first = run(module, (), given)
    assert first.exit_code != 0
    assert len(first.denied) == 1
    assert first.denied[0].denied_by is DeniedBy.GRANT
    assert run(module, (), mended(first)).exit_code == 0


@pytest.mark.parametrize("name", ["creating", "the clock"])
def test_the_remedy_is_the_smallest(name: str, folder: Path) -> None:
    given = Grants(dirs={"/data": HostDir(str(folder))}, clocks=Clocks.nothing(), random=Random.nothing())
    better = mended(run(GUESTS[name].module(), (), given))
    changed = [field for field in ("dirs", "clocks", "random") if getattr(better, field) != getattr(given, field)]
    assert len(changed) == 1


def test_a_limit_is_named_by_its_flag(folder: Path) -> None:
    guest = Guest().open("a.txt").open("a.txt").open("a.txt")
    finished = run(guest.module(), (), Grants(dirs={"/data": HostDir(str(folder))}, limits=Limits(fds=5)))
    (refusal,) = finished.denied
    assert refusal.denied_by is DeniedBy.QUOTA
    flag = refusal.remedy.split()[0]
    parser = argparse.ArgumentParser()
    add_options(parser)
    more = from_options(parser.parse_args([flag, "8"]), finished.grants)
    assert run(guest.module(), (), more).exit_code == 0


def test_a_quota_of_the_thing_itself_is_no_flags(folder: Path) -> None:
    guest = Guest().open("new", rights=WRITE, oflags=CREATE).write("x" * 20)
    for grants, remedy in (
        (Grants(dirs={"/m": MemDir(max_bytes=10)}), "grant a larger max_bytes to the directory at '/m'"),
        (Grants(dirs={"/m": quota(MemDir(), 10)}), "grant a larger max_bytes to the directory at '/m'"),
        (Grants(dirs={"/m": MemDir()}, limits=Limits(bytes_written=0)), "--max-written BYTES"),
    ):
        (refusal,) = run(guest.module(), (), grants).denied
        assert (refusal.denied_by, refusal.remedy) == (DeniedBy.QUOTA, remedy)


def test_a_path_that_leaves_is_allowed_by_granting_where_it_leads(folder: Path) -> None:
    module = Guest().open("../a.txt").module()
    finished = run(module, (), Grants(dirs={"/data/sub": HostDir(str(folder / "sub"))}))
    (refusal,) = finished.denied
    assert refusal.denied_by is DeniedBy.PATH
    words = shlex.split(refusal.remedy.replace("HOST", str(folder)))
    assert words == ["--dir", f"{folder}::/data/sub/.."]


def test_revoked_is_not_missing(folder: Path) -> None:
    guest = Guest().again().open("a.txt").call("fd_close", "(local.get $fd)")
    started = run(guest.module(), (), Grants(dirs={"/data": HostDir(str(folder))}), detach=True)
    started.live.revoke("/data")
    started.wait(60)
    assert missing_grants([started]) == []
    (shown,) = missing_grants([started], every=True)
    assert shown.remedy is None
    assert "taken back" in shown.why


def test_a_stream_is_refused_once_with_a_count_and_not_where_the_guest_closed_it() -> None:
    module = Guest().call("fd_close", fd(1)).write("x", fd(1)).module()
    assert list(run(module).denied) == []
    import wasilab

    twice = wasilab.compile('#include <unistd.h>\nint main() { write(1, "x", 1); write(1, "x", 1); }', "c")
    (refusal,) = run(twice, (), Grants(stdout=False)).denied
    assert (refusal.asked, refusal.remedy, refusal.count) == ("fd_write(1)", "--stdout", 2)


def test_a_stream_that_was_not_granted_counts_as_refused_beside_its_grant() -> None:
    grants = Grants(stdout=False, stdin=None)
    ran = run(Guest().write("x", fd(1)).module(), (), grants)
    counts = {item.name: (item.used, item.refused) for item in items(grants, ran.trace)}
    assert (counts["stdout"], counts["stdin"], counts["stderr"]) == ((0, 1), (0, 0), (0, 0))
    written = run(Guest().write("x", fd(1)).module(), (), Grants())
    assert {item.name: item.refused for item in items(Grants(), written.trace)}["stdout"] == 0
