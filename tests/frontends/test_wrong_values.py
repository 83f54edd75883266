"""Wrong values from Python and wrong names in a cell: one sentence that names the thing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

import wasilab
from wasilab import Fault, Grants, Module
from wasilab.commands.programs.inspect_command import describe
from wasilab.grants.faults import FaultError
from wasilab.magics.wasi_magics import load_ipython_extension
from wasilab.wasi import rights

from . import programs


@pytest.fixture(scope="module")
def hello() -> Module:
    return wasilab.compile(programs.HELLO, "wat", name="hello")


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    made = InteractiveShell()
    load_ipython_extension(made)
    yield made
    made.history_manager.enabled = False


def test_grants_that_are_no_grants_are_named(hello: Module) -> None:
    with pytest.raises(TypeError, match=r"grants is a str: give a Grants"):
        wasilab.run(hello, [], "rw")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="args is the text 'a b': give a list"):
        wasilab.run(hello, "a b")
    with pytest.raises(TypeError, match="grants have no field 'dir'; did you mean 'dirs'"):
        Grants(dir={})  # type: ignore[call-arg]


def test_a_fault_as_one_text_is_told_from_the_name_of_a_call() -> None:
    with pytest.raises(FaultError, match=r"write Fault\.parse"):
        Fault("fd_write:error=EIO")


def test_what_is_no_call_has_no_state_and_no_note(hello: Module) -> None:
    run = wasilab.run(hello)
    with pytest.raises(TypeError, match="give the number of a call"):
        run.at("first")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="there is no call 99: the last is 1"):
        run.trace.note(99, "lost")
    assert not run.trace.notes


def test_the_words_of_code_may_stand_in_either_order(shell: InteractiveShell) -> None:
    shell.run_cell_magic("wasi", "wat --name hello", programs.HELLO)
    one = shell.run_line_magic("wasi", "code _start hello")
    other = shell.run_line_magic("wasi", "code hello _start")
    assert str(one) == str(other)


def test_a_mistyped_name_of_a_cell_is_answered_with_the_nearest(shell: InteractiveShell) -> None:
    shell.run_cell_magic("wasi", "wat --name seven", programs.HELLO)
    with pytest.raises(UsageError, match="did you mean 'seven'"):
        shell.run_line_magic("wasi", "run sevn")


def test_an_instance_that_has_ended_says_so(hello: Module) -> None:
    spin = wasilab.compile('(module (func (export "trap") unreachable) (func (export "f")))', "wat")
    instance = wasilab.instantiate(spin)
    with pytest.raises(wasilab.GuestError, match="unreachable"):
        instance.exports.trap()
    with pytest.raises(wasilab.GuestError, match=r"the instance has ended \(.*unreachable.*\); make a new one"):
        instance.exports.f()


def test_grants_that_cannot_be_swept_are_not_blamed_on_a_parameter(hello: Module) -> None:
    grants = Grants(overrides={"fd_write": lambda original, *args: original(*args)})
    with pytest.raises(ValueError, match=r"^grants: the overrides \(fd_write\) cannot be sent"):
        wasilab.sweep(hello, {"seed": [0, 1]}, grants=grants)


def test_a_module_that_imports_elsewhere_is_not_said_to_touch_nothing() -> None:
    for imports, touch in (('(import "env" "f" (func))', "touch nothing by itself"), ("", "touch nothing")):
        module = wasilab.compile(f"(module {imports})", "wat")
        assert f"  WASI      no call: it can compute, but {touch}" in list(describe(module))


def test_each_public_name_is_offered_once() -> None:
    assert wasilab.Lab
    assert wasilab.__dir__().count("Lab") == 1


def test_one_missing_right_and_several_are_named_in_words() -> None:
    assert rights.in_words(rights.bits(["fd_read"])) == "the right fd_read"
    assert rights.in_words(rights.bits(["fd_read", "fd_write"])) == "the rights fd_read and fd_write"
    three = rights.in_words(rights.bits(["fd_read", "fd_seek", "fd_write"]))
    assert three == "the rights fd_read, fd_seek and fd_write"
