"""A second Interrupt is ignored for a moment after the first, and no longer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from wasilab.magics.cells.interrupts import ignore_interrupts


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000):  # Python runs the handler between two instructions
        pass


def test_a_second_interrupt_is_ignored_for_a_second() -> None:
    survived = 0
    for _ in range(2):
        ignore_interrupts(60.0)
        interrupt()
        survived += 1
    assert survived == 2
    assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler


def test_later_interrupts_are_handled_again() -> None:
    ignore_interrupts(0.0)
    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_that_python_did_not_install_stays() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ignore_interrupts()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_other_threads_change_nothing() -> None:
    thread = threading.Thread(target=ignore_interrupts)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_while_the_command_line_is_imported_ends_it_quietly() -> None:
    text = """import sys
class Interrupted:
    def find_spec(self, name, *more):
        if name == "wasilab.cli":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
import wasilab.__main__"""
    ended = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")
