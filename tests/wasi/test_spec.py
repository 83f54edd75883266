"""Tests of the table of calls: it says what the witx documents say."""

from __future__ import annotations

import inspect

import pytest

from wasilab.wasi.operations import FAMILIES, Operation
from wasilab.wasi.preview1 import signature as s
from wasilab.wasi.preview1.spec import BY_NUMBER, SNAPSHOT1, UNSTABLE
from wasilab.wasi.types import Errno, Rights

# The core signatures as the witx ABI lowers them, i = i32, l = i64; the order is the document's.
SIGNATURES = """
args_get ii; args_sizes_get ii; environ_get ii; environ_sizes_get ii; clock_res_get ii; clock_time_get ili;
fd_advise illi; fd_allocate ill; fd_close i; fd_datasync i; fd_fdstat_get ii; fd_fdstat_set_flags ii;
fd_fdstat_set_rights ill; fd_filestat_get ii; fd_filestat_set_size il; fd_filestat_set_times illi; fd_pread iiili;
fd_prestat_get ii; fd_prestat_dir_name iii; fd_pwrite iiili; fd_read iiii; fd_readdir iiili; fd_renumber ii;
fd_seek ilii; fd_sync i; fd_tell ii; fd_write iiii; path_create_directory iii; path_filestat_get iiiii;
path_filestat_set_times iiiilli; path_link iiiiiii; path_open iiiiillii; path_readlink iiiiii;
path_remove_directory iii; path_rename iiiiii; path_symlink iiiii; path_unlink_file iii; poll_oneoff iiii;
proc_exit i; proc_raise i; sched_yield ; random_get ii; sock_accept iii; sock_recv iiiiii; sock_send iiiii;
sock_shutdown ii
"""


def test_the_signatures_and_their_order_are_those_of_the_witx_document() -> None:
    wanted = [entry.split() for entry in SIGNATURES.split(";")]
    got = [[c.name, "".join("i" if w == "i32" else "l" for w in c.signature)] for c in BY_NUMBER]
    assert [[name, *rest] if rest[0] else [name] for name, *rest in got] == wanted


def test_there_are_46_calls_numbered_in_order() -> None:
    assert [call.number for call in BY_NUMBER] == list(range(46))
    assert set(FAMILIES) == {call.family for call in BY_NUMBER} | {"library"}


def test_unstable_has_all_calls_but_sock_accept_under_the_same_numbers() -> None:
    assert set(SNAPSHOT1) - set(UNSTABLE) == {"sock_accept"}
    for name, call in UNSTABLE.items():
        assert call.number == SNAPSHOT1[name].number
        assert call.signature == SNAPSHOT1[name].signature
        assert call.module == "wasi_unstable"


def test_unstable_differs_in_filestat_and_whence() -> None:
    assert SNAPSHOT1["fd_filestat_get"].results[0].type.size == 64
    assert UNSTABLE["fd_filestat_get"].results[0].type.size == 56
    assert UNSTABLE["path_filestat_get"].results[0].type.size == 56
    whence = UNSTABLE["fd_seek"].params[2].type.python
    assert whence is not None
    assert [member.name for member in whence] == ["CUR", "END", "SET"]


def test_every_call_has_semantics_and_only_proc_exit_does_not_return() -> None:
    assert all(call.function.__name__ == call.name for call in BY_NUMBER)
    changed = [name for name, call in UNSTABLE.items() if call.function is not SNAPSHOT1[name].function]
    assert changed == ["fd_seek"]
    assert [call.name for call in BY_NUMBER if not call.returns] == ["proc_exit"]


WIDTHS = {2: "u16", 4: "u32", 8: "u64"}


@pytest.mark.parametrize("call", BY_NUMBER, ids=lambda c: c.name)
def test_every_call_is_documented(call: s.Call) -> None:
    assert call.summary.endswith(".")
    assert f"WASI: {call.url}\n" in call.doc + "\n"
    assert call.url.endswith("/preview1/docs.md#" + call.name)
    assert len(call.words) == len(call.signature)
    for param in call.params:
        if param.type.kind not in ("scalar", "fd"):
            assert f" at {param.name}" in call.memory or f" {param.name}" in call.memory, "its bytes are not drawn"
    for result in call.results:
        drawn = f"{result.type.size} bytes at" if result.type.record else f"{WIDTHS[result.type.size]} at"
        assert f"{drawn} result.{result.name}" in call.memory
    own = " ".join(call.doc.split())
    for code, condition in call.errors.items():
        assert f"{code.symbol}: {condition}" in own or call.common_errors[code] == condition


def test_the_links_of_unstable_lead_to_its_own_document() -> None:
    assert UNSTABLE["fd_seek"].url.endswith("/preview0/docs.md#fd_seek")
    assert UNSTABLE["fd_seek"].doc == SNAPSHOT1["fd_seek"].doc


def test_an_error_of_a_call_comes_before_the_common_one() -> None:
    errors = SNAPSHOT1["path_open"].errors
    assert errors[Errno.INVAL] == "an undefined flag, or directory together with creat, excl or trunc"
    assert errors[Errno.NOTCAPABLE].endswith("writing is asked for in a read-only grant (strict rights)")
    assert errors[Errno.NOENT] == SNAPSHOT1["path_symlink"].errors[Errno.NOENT]


def test_a_function_gets_neither_the_count_of_an_array_nor_what_it_returns() -> None:
    assert [p.name for p in SNAPSHOT1["poll_oneoff"].arguments] == ["in"]
    assert SNAPSHOT1["args_get"].arguments == ()
    assert [p.name for p in SNAPSHOT1["fd_pread"].arguments] == ["fd", "iovs", "offset"]


@pytest.mark.parametrize("call", BY_NUMBER, ids=lambda c: c.name)
def test_a_function_takes_the_host_and_the_arguments_of_its_declaration(call: s.Call) -> None:
    assert len(inspect.signature(call.function).parameters) == 1 + len(call.arguments)


def test_calls_that_do_the_same_have_one_operation() -> None:
    of = {operation: [c.name for c in BY_NUMBER if c.operation is operation] for operation in Operation}
    assert of[Operation.READ] == ["fd_pread", "fd_read"]
    assert of[Operation.STAT] == ["fd_filestat_get", "path_filestat_get"]
    assert of[Operation.REMOVE] == ["path_remove_directory", "path_unlink_file"]
    # Only components have a call that connects, and one that sleeps and does nothing else.
    assert [op for op, calls in of.items() if not calls] == [Operation.SLEEP, Operation.CONNECT, Operation.UNKNOWN]


@pytest.mark.parametrize("call", BY_NUMBER, ids=lambda c: c.name)
def test_a_call_on_a_descriptor_names_the_right_it_needs(call: s.Call) -> None:
    free = {
        "fd_close", "fd_fdstat_get", "fd_fdstat_set_rights", "fd_prestat_get", "fd_prestat_dir_name", "fd_renumber",
    }  # fmt: skip
    for param in call.params:
        if param.type.kind == s.FD:
            assert bool(param.right) == (call.name not in free)


def test_every_right_is_needed_by_a_call() -> None:
    used = Rights(0)
    for call in BY_NUMBER:
        for param in call.params:
            used |= param.right
    # These are not for a call of their own but for a flag of path_open and for poll_oneoff.
    by_flag = Rights.PATH_CREATE_FILE | Rights.PATH_FILESTAT_SET_SIZE | Rights.POLL_FD_READWRITE
    assert used | by_flag == Rights((1 << 30) - 1)
