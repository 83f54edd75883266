"""The short form of `python -m tests.hostile.readers`: each reader on its corpus, and on a hundred changed inputs."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from wasilab.module.module import ModuleError, load
from wasilab.trace.errors import TraceError
from wasilab.trace.trace import Trace

from .readers import CORPUS, READERS, Coverage, Found, Reader, fuzz, tried

RUNS = 100


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
def test_a_reader_refuses_or_reads_whatever_it_gets(
    reader: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def short(found: Found) -> bool:
        return found.runs < found.begun + RUNS

    found = fuzz(reader, 1, short)
    assert found.wrong == []
    assert found.refused.total() > RUNS // 4
    assert found.read >= 1
    assert found.edges > found.began > 50  # it is guided: something new was reached from the corpus


@pytest.mark.parametrize(("message", "findings"), [("a\u3000wide space", 0), ("a\x1b", 1), ("two\nlines", 1)])
def test_a_finding_is_a_message_that_is_not_safe_to_show(
    message: str, findings: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def read(data: bytes, folder: Path) -> None:
        raise ValueError(message)

    monkeypatch.setitem(READERS, "wasm", Reader(read, (ValueError,)))
    found = Found("wasm")
    tried("wasm", b"\0asm", tmp_path, Coverage(), found)
    assert len(found.wrong) == findings


def test_the_corpora_are_small() -> None:
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert {path.parent.name for path in files} == set(READERS)
    assert sum(path.stat().st_size for path in files) < 100_000


def test_contradicting_statistics_in_a_parquet_file_do_not_end_the_process(tmp_path: Path) -> None:
    """pyarrow's objects for a column do (`parquet._check`); this file was found by the fuzzer."""
    path = tmp_path / "t.parquet"
    path.write_bytes((CORPUS / "parquet" / "statistics").read_bytes())
    with pytest.raises(TraceError) as caught:
        Trace.load(path)
    assert str(caught.value).isprintable()


def test_a_name_in_a_damaged_module_is_escaped() -> None:
    damaged = b"\0asm\1\0\0\0" + b"\2\x09\1\4\x1b\n\r\0\1b\x63"
    with pytest.raises(ModuleError) as caught:
        load(damaged)
    assert str(caught.value).isprintable()
    assert r"\x1b" in str(caught.value)
