"""Claims on the schema of payloads: what the auxiliary bytes and the data of each call are."""

from __future__ import annotations

import pytest

from wasilab.trace.record.payload import HEADER, MAX_AUX, Aux, Data, pack_payload, schema
from wasilab.wasi.preview1.spec import MODULES, SNAPSHOT1

AUX = {
    Aux.VECTORS: {"fd_pread", "fd_pwrite", "fd_read", "fd_write", "sock_recv", "sock_send"},
    Aux.PATH: {"path_link", "path_rename", "path_symlink"},
    Aux.STRUCT: {"fd_fdstat_get", "fd_filestat_get", "fd_prestat_get", "path_filestat_get"},
    Aux.RESULT: {"args_sizes_get", "environ_sizes_get"},
    Aux.POLL: {"poll_oneoff"},
}
DATA = {
    Data.MOVED: AUX[Aux.VECTORS],
    Data.BUFFER: {"fd_prestat_dir_name", "fd_readdir", "path_readlink", "random_get"},
    Data.STRINGS: {"args_get", "environ_get"},
}


@pytest.mark.parametrize("module", MODULES)
def test_every_call_has_the_payload_that_its_table_entry_asks_for(module: str) -> None:
    calls = MODULES[module]
    for kind, names in AUX.items():
        assert {name for name, call in calls.items() if schema(call).aux is kind} == names & set(calls)
    for kind_, names in DATA.items():
        assert {name for name, call in calls.items() if schema(call).data is kind_} == names & set(calls)


def test_an_i64_takes_two_words_and_the_record_holds_four() -> None:
    assert schema(SNAPSHOT1["path_open"]).words == 11
    assert schema(SNAPSHOT1["path_open"]).further_words == 7
    assert schema(SNAPSHOT1["fd_close"]).further_words == 0


def test_a_payload_is_padded_and_its_auxiliary_bytes_are_bounded() -> None:
    assert pack_payload(b"abc", b"de", (7,), 2) == HEADER.pack(2, 3, 2) + b"\7\0\0\0" + b"abcde" + bytes(3)
    assert HEADER.unpack_from(pack_payload(bytes(MAX_AUX + 9)))[1] == MAX_AUX
