"""Confining the processes that a thread starts, by Landlock; the process itself stays as it was."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from wasilab.capabilities.host import landlock
from wasilab.capabilities.host.landlock import Reach, call_confined

SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache")
needs_landlock = pytest.mark.skipif(landlock.abi() == 0, reason="this kernel has no Landlock")


def sh(script: str, reach: Reach) -> subprocess.CompletedProcess[str]:
    """Run a shell script, confined."""
    null = os.open(os.devnull, os.O_RDWR)
    try:
        return call_confined(
            reach,
            lambda: subprocess.run(["/bin/sh", "-c", script], stdin=null, capture_output=True, text=True, check=False),
        )
    finally:
        os.close(null)


@needs_landlock
def test_only_what_is_named_can_be_read_and_written(tmp_path: Path) -> None:
    for name in ("readable", "writable", "secret"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(f"of {name}\n")
    (tmp_path / "readable" / "link").symlink_to(tmp_path / "secret" / "file")
    reach = Reach((*SYSTEM, str(tmp_path / "readable"), str(tmp_path / "absent")), (str(tmp_path / "writable"),))
    script = f"""cd {tmp_path}; cat readable/file writable/file secret/file readable/link; echo more > writable/new
        echo no > readable/new; echo no > secret/new; rm secret/file readable/file; ls secret; rm writable/file"""
    done = sh(script, reach)
    assert done.stdout == "of readable\nof writable\n"
    assert done.stderr.count("ermission denied") >= 6, done.stderr
    assert os.listdir(tmp_path / "secret") == ["file"]
    assert sorted(os.listdir(tmp_path / "readable")) == ["file", "link"]
    assert os.listdir(tmp_path / "writable") == ["new"]


@needs_landlock
def test_a_file_can_be_named_alone(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).write_text(name)
    done = sh(f"cat {tmp_path}/one {tmp_path}/other", Reach((*SYSTEM, str(tmp_path / "one"))))
    assert done.stdout == "one"
    assert "other: Permission denied" in done.stderr


@needs_landlock
def test_this_process_is_not_confined_afterwards(tmp_path: Path) -> None:
    assert sh("true", Reach(SYSTEM)).returncode == 0
    (tmp_path / "file").write_text("still readable")
    assert (tmp_path / "file").read_text() == "still readable"
    seen: list[str] = []
    thread = threading.Thread(target=lambda: seen.append((tmp_path / "file").read_text()))
    thread.start()
    thread.join()
    assert seen == ["still readable"]


@needs_landlock
def test_what_the_function_raises_comes_out() -> None:
    with pytest.raises(KeyError, match="mine"):
        call_confined(Reach(SYSTEM), lambda: {}["mine"])


@pytest.mark.skipif(landlock.abi() < 6, reason="signals are confined since Landlock 6")
def test_a_confined_process_cannot_signal_this_one() -> None:
    done = sh(f"kill -{int(signal.SIGCONT)} {os.getpid()}", Reach(SYSTEM))
    assert done.returncode != 0
    assert "not permitted" in done.stderr


def test_without_landlock_confining_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSYS)):
        call_confined(Reach(), lambda: None)
