"""Claims on what a trace keeps of a refusal: its sentence, and what was needed as a value."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasilab.capabilities.refusal import Need, NeedKind
from wasilab.trace.record import container
from wasilab.trace.record.packing import pack_list
from wasilab.trace.record.reasons import Reason, need_from_text, need_from_value, need_text, pack_reason, unpack_reason
from wasilab.trace.trace import Trace

from .building import Builder

NEEDS = [
    Need(NeedKind.WRITE, "HOSTING"),
    Need(NeedKind.WRITE, "photos[1]"),
    Need(NeedKind.DIRECTORY, "/a, b"),
    Need(NeedKind.RIGHTS, "N", ("fd_readdir", "path_unlink_file")),
    Need(NeedKind.LIMIT, limit="fds"),
    Need(NeedKind.CLOCK),
    None,
]


def refused() -> Trace:
    b = Builder()
    b.open(3, "/data", preopen="/data", filetype=3)
    for need in NEEDS:
        b.path_open(3, b"x", errno=76, denied=1, reason="the same sentence", need=need)
    b.path_open(3, b"x", errno=76, denied=4)
    return b.trace()


@pytest.mark.parametrize("suffix", [".wtrace", ".jsonl", ".parquet"])
def test_every_lossless_format_keeps_the_need_beside_the_sentence(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"trace{suffix}"
    refused().save(path)
    for trace in (refused(), Trace.load(path)):
        assert [event.need for event in trace] == [*NEEDS, None]
        assert [event.reason for event in trace] == ["the same sentence"] * len(NEEDS) + [""]


@pytest.mark.parametrize("suffix", [".wtrace", ".jsonl", ".parquet"])
def test_some_calls_of_a_trace_keep_their_own_needs(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"trace{suffix}"
    refused()[2:4].save(path)
    assert [event.need for event in Trace.load(path)] == NEEDS[2:4]


def test_a_wtrace_file_of_a_version_without_needs_opens_with_its_sentences(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(container, "pack_reason", lambda reason: reason.text.encode())
    path = tmp_path / "old.wtrace"
    refused().save(path)
    assert [(event.reason, event.need) for event in Trace.load(path)][:2] == [("the same sentence", None)] * 2


def test_a_jsonl_file_of_a_version_without_needs_opens_with_its_sentences(tmp_path: Path) -> None:
    path = tmp_path / "old.jsonl"
    refused().save(path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({k: v for k, v in line.items() if k != "need"}) + "\n" for line in lines))
    assert [(event.reason, event.need) for event in Trace.load(path)][:2] == [("the same sentence", None)] * 2


def test_a_parquet_file_of_a_version_without_needs_opens_with_its_sentences(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "old.parquet"
    refused().save(path)
    pq.write_table(pq.read_table(path).drop_columns(["need"]), path)
    assert [(event.reason, event.need) for event in Trace.load(path)][:2] == [("the same sentence", None)] * 2


@given(st.binary(max_size=200))
def test_any_bytes_read_as_a_reason(entry: bytes) -> None:
    reason = unpack_reason(entry)
    assert isinstance(reason.text, str)
    assert reason.need is None or isinstance(reason.need, Need)


@pytest.mark.parametrize(
    "value",
    [
        None, 1, "write", [], {}, {"kind": "everything"}, {"kind": ["write"]}, {"kind": "write", "guest": 1},
        {"kind": "write", "guest": "x" * 20_000}, {"kind": "rights", "rights": "fd_read"},
        {"kind": "rights", "rights": [1]}, {"kind": "rights", "rights": ["x"] * 100},
        {"kind": "limit", "limit": "x" * 100}, {"kind": "limit", "limit": None},
    ],
)  # fmt: skip
def test_a_value_that_is_not_a_need_is_none(value: object) -> None:
    assert need_from_value(value) is None
    assert need_from_text(json.dumps(value)) is None


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "9" * 100_000, '{"kind": "write"'])
def test_text_that_is_not_json_gives_no_need(text: str) -> None:
    assert need_from_text(text) is None


@given(
    st.builds(
        Need, st.sampled_from(NeedKind), st.text(max_size=50), st.lists(st.text(max_size=9)).map(tuple),
        st.text(max_size=9),
    )
)  # fmt: skip
def test_a_need_reads_back_from_its_text_and_its_entry(need: Need) -> None:
    assert need_from_text(need_text(need)) == need
    assert unpack_reason(pack_reason(Reason("sentence", need))) == ("sentence", need)
    assert len(pack_list([pack_reason(Reason("sentence", need))])) > 8
