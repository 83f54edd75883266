"""Seven languages in one kernel: each counts the words of a granted file, as a `%%wasi LANG` cell.

The output is the same to the byte. The traces differ where the languages' runtimes do and nowhere else: how a runtime
starts and looks for its directories, how large its buffers are. What the *program* does, opening this file, reading all
of it, writing this line, is the same in all seven. `pytest -s` prints who differs from C in what.
"""

from __future__ import annotations

import ast
import os
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from wasilab.toolchains.diagnostics import ToolchainMissing
from wasilab.toolchains.registry import COMPONENT_LANGUAGES, toolchain_for
from wasilab.toolchains.registry import LANGUAGES as ALL_LANGUAGES

from .conftest import Kernel

LANGUAGES = [name for name in ALL_LANGUAGES if name not in COMPONENT_LANGUAGES]

pytestmark = [pytest.mark.kernel, pytest.mark.toolchain, pytest.mark.slow, pytest.mark.timeout(240)]

TEXT = "one two\nthree\v four\tfive\n\n six" * 3000
LINE = "/data/text.txt: 9000 lines, 15001 words, 90000 bytes\n"
PATIENCE = 400.0
"""Seconds for one cell: a cold compiler builds its library first."""

RUNTIME = frozenset(
    {
        "args_sizes_get", "args_get", "environ_sizes_get", "environ_get", "fd_prestat_get", "fd_prestat_dir_name",
        "clock_time_get", "random_get", "sched_yield", "poll_oneoff", "proc_exit",
        "fd_fdstat_get", "fd_fdstat_set_flags", "fd_filestat_get", "fd_seek", "fd_tell", "fd_close",
    }
)  # fmt: skip
"""Calls that a runtime makes of itself: to start, to find its directories, to size its buffers, to end."""
BUFFERED = frozenset({"fd_read", "fd_write"})
"""Calls whose number and size depend on a runtime's buffers; what they move in all does not."""

FACTS = """
def facts(run):
    rows = [(e.name, e.path, int(e.errno or 0), e.nbytes) for e in run.trace]
    moved = lambda name, *paths: sum(n for call, path, _, n in rows if call == name and path in paths)
    return {
        "exit": run.exit_code, "stdout": run.stdout, "stderr": run.stderr, "refused": len(run.denied),
        "opened": [(path, errno) for name, path, errno, _ in rows if name == "path_open"],
        "read": moved("fd_read", "/data/text.txt"), "written": moved("fd_write", "<stdout>", "stdout"),
        "elsewhere": sorted({(name, path) for name, path, _, _ in rows if name in ("fd_read", "fd_write")}),
    }

def differences(a, b):
    from wasilab.trace.answers.diff import ChangeKind
    diff = a.trace.diff(b.trace, ignore=("arguments", "data", "results"))
    lone = [*diff.added, *diff.removed]
    opened = [int(k) for k, i in zip(diff.kinds, diff.left) if i >= 0 and a.trace[int(i)].name == "path_open"]
    return {
        "lone": sorted({e.name for e in lone}),
        "changed": sorted({c.call for c in diff.changed}),
        "how": sorted({k for c in diff.changed for k in ("verdict", "errno", "bytes") if getattr(c, k) is not None}),
        "open": [ChangeKind(k).name for k in opened], "headline": diff.headline(),
    }
"""


@pytest.fixture(scope="module", autouse=True)
def prepared(kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder: Path = tmp_path_factory.mktemp("granted")
    (folder / "text.txt").write_text(TEXT)
    assert kernel.run(f"granted = {str(folder)!r}\nruns = {{}}\n{FACTS}").status == "ok"


def installed(language: str) -> str:
    """`language` where its compiler is found; where `.ci/run` installs them all, a missing one is a failure."""
    try:
        toolchain_for(language).find()
    except ToolchainMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing).splitlines()[0])
    return language


def value(kernel: Kernel, expression: str) -> Any:
    done = kernel.run(expression)
    assert done.status == "ok", done.traceback
    return ast.literal_eval(done.text)


def has_run(kernel: Kernel, language: str) -> None:
    """Let the program of `language` run once in the kernel, in a cell of its own."""
    if value(kernel, f"{language!r} in runs"):
        return
    suffix = toolchain_for(language).suffixes[0]
    source = (resources.files("wasilab") / "examples" / f"words{suffix}").read_text("utf-8")
    line = f"{language} --name words --args /data/text.txt --dir {{granted}}::/data"
    done = kernel.run(f"%%wasi {line}\n{source}", patience=PATIENCE)
    assert done.status == "ok", done.traceback
    assert (done.stdout, done.stderr) == (LINE, "")
    assert "text/html" in done.value
    assert kernel.run(f"runs[{language!r}] = _").status == "ok"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_cell_of_each_language_counts_the_words_of_the_granted_file(kernel: Kernel, language: str) -> None:
    has_run(kernel, installed(language))
    found = value(kernel, f"facts(runs[{language!r}])")
    assert (found["exit"], found["stdout"], found["stderr"], found["refused"]) == (0, LINE, "", 0)
    assert found["opened"] == [("/data/text.txt", 0)]
    assert found["read"] == len(TEXT)
    assert found["written"] == len(LINE)
    assert len(found["elsewhere"]) == 2, "one file is read and one stream is written"


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "c"])
def test_its_trace_differs_from_that_of_c_only_where_the_runtimes_do(kernel: Kernel, language: str) -> None:
    for name in ("c", language):
        has_run(kernel, installed(name))
    found = value(kernel, f"differences(runs['c'], runs[{language!r}])")
    print(f"\nc and {language}: {found['headline']}\n  only in one: {', '.join(found['lone'])}")
    assert found["open"] == ["SAME"]
    assert set(found["lone"]) <= RUNTIME | BUFFERED
    assert set(found["changed"]) <= BUFFERED
    assert set(found["how"]) <= {"bytes"}


def test_a_program_does_not_differ_from_itself(kernel: Kernel) -> None:
    has_run(kernel, "wat")
    for name in ("once", "twice"):
        done = kernel.run(f"%wasi run --name {name} --dir {{granted}}::/data {{runs['wat'].module}} /data/text.txt")
        assert done.stdout == LINE
    assert value(kernel, "differences(runs['wat'], _)")["lone"] == []
    said = kernel.run("%wasi diff once twice").value["text/plain"]
    assert "2 changed (1 in data, 1 in results), 8 the same" in said  # the program's own name is its first argument
    assert "the same 10 calls" in kernel.run("%wasi diff --ignore data --ignore results once twice").value["text/plain"]
