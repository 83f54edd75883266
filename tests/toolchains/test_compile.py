"""compile_source, with a pretend clang: caching, keys, mapping, two processes at once, hostile compilers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from wasilab.toolchains.compile import Compiled, compile_source
from wasilab.toolchains.diagnostics import CompileError, CompileInterrupted, ToolchainError

Pretend = Callable[..., Path]
SOURCE = "int main(void) { return 0; }\n"


def _compiles(log: Path) -> int:
    return len(log.read_text().splitlines())


def test_the_second_compile_is_a_hit(pretend_clang: Pretend) -> None:
    log = pretend_clang()
    first = compile_source(SOURCE, "c", name="copy")
    second = compile_source(SOURCE, "c", name="copy")
    assert (first.cached, second.cached) == (False, True)
    assert first.wasm == second.wasm == b"\0asm\1\0\0\0"
    assert first.command == second.command
    assert _compiles(log) == 1
    assert (second.toolchain, second.language, second.file_name) == ("clang 17.0.1", "c", "copy.c")


@pytest.mark.parametrize(
    "change",
    [
        {"source": SOURCE + " "},
        {"flags": ["-O2"]},
        {"flags": ["-O", "2"]},
        {"name": "other"},
        {"files": {"a.h": ""}},
        {"first_line": 2},
    ],
)
def test_whatever_the_module_depends_on_is_in_the_key(pretend_clang: Pretend, change: dict[str, object]) -> None:
    log = pretend_clang()
    given: dict[str, object] = {"source": SOURCE, "lang": "c", "flags": (), "name": "cell"}
    compile_source(**given)  # type: ignore[arg-type]
    again = compile_source(**{**given, **change})  # type: ignore[arg-type]
    assert not again.cached
    assert _compiles(log) == 2


def test_parts_of_the_key_do_not_run_together(pretend_clang: Pretend) -> None:
    log = pretend_clang()
    compile_source(SOURCE, "c", files={"a.h": "bc.h", "d.h": ""})
    compile_source(SOURCE, "c", files={"a.h": "b", "c.hd.h": ""})
    assert _compiles(log) == 2


def test_another_compiler_version_compiles_again(pretend_clang: Pretend) -> None:
    log = pretend_clang(version="17.0.1")
    compile_source(SOURCE, "c")
    pretend_clang(version="18.0.0-rc1")
    result = compile_source(SOURCE, "c")
    assert result.toolchain == "clang 18.0.0-rc1"
    assert not result.cached
    assert _compiles(log) == 2


def test_a_changed_header_outside_the_cell_compiles_again(pretend_clang: Pretend, tmp_path: Path) -> None:
    header = tmp_path / "my header.h"
    header.write_text("1")
    escaped = str(header).replace(" ", "\\ ")
    log = pretend_clang(body=f'printf \'out.o: %s \\\\\\n {escaped}\\n\' "$source" > "$(dirname $out)/deps.d"; ok')
    assert not compile_source(SOURCE, "c").cached
    assert compile_source(SOURCE, "c").cached
    header.write_text("22")
    assert not compile_source(SOURCE, "c").cached
    assert compile_source(SOURCE, "c").cached
    header.unlink()
    assert not compile_source(SOURCE, "c").cached
    assert _compiles(log) == 3


def test_a_relative_flag_means_another_thing_in_another_folder(
    pretend_clang: Pretend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_clang()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        assert not compile_source(SOURCE, "c", ["-Iinclude"]).cached
    assert compile_source(SOURCE, "c", ["-Iinclude"]).cached


def test_errors_name_the_cell_and_its_lines(pretend_clang: Pretend) -> None:
    pretend_clang(body='echo "$source:3:5: error: no such thing" >&2; echo "In $(dirname $source)" >&2; exit 1')
    with pytest.raises(CompileError) as caught:
        compile_source("a\nbb\nccc\n", "c", name="copy", first_line=2)
    error = caught.value
    assert error.output == "copy.c:3:5: error: no such thing\nIn .\n"
    assert [(d.file, d.line, d.column, d.source_line) for d in error.diagnostics] == [("copy.c", 3, 5, "bb")]
    assert "$WORK" not in str(error)


def test_a_failed_compile_is_not_remembered(pretend_clang: Pretend) -> None:
    log = pretend_clang(body="echo broken; exit 1")
    for _ in range(2):
        with pytest.raises(CompileError, match="broken"):
            compile_source(SOURCE, "c")
    assert _compiles(log) == 2


def test_warnings_come_back_from_the_cache_too(pretend_clang: Pretend) -> None:
    pretend_clang(body='echo "$source:1:1: warning: careful" >&2; ok')
    for cached in (False, True):
        result = compile_source(SOURCE, "c")
        assert result.cached is cached
        assert result.warnings == "cell.c:1:1: warning: careful\n"
        assert [d.severity for d in result.diagnostics] == ["warning"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("exit 0", "succeeded but wrote no module"),
        ('echo hello > "$out"', "not a WebAssembly module"),
        ("exit 7", "ended with status 7 and said nothing"),
        ("kill -SEGV $$", "ended with status -11 and said nothing"),
    ],
)
def test_a_compiler_that_misbehaves_is_one_clear_error(pretend_clang: Pretend, body: str, says: str) -> None:
    pretend_clang(body=body)
    with pytest.raises(ToolchainError, match=says):
        compile_source(SOURCE, "c")


@pytest.mark.parametrize("name", ["../x.h", "/tmp/x.h", "a/../../x.h"])
def test_further_files_cannot_leave_the_compile_folder(pretend_clang: Pretend, name: str, tmp_path: Path) -> None:
    log = pretend_clang()
    with pytest.raises(ToolchainError, match="does not stay in the compile folder"):
        compile_source(SOURCE, "c", files={name: "x"})
    assert _compiles(log) == 0
    assert not (tmp_path / "cache" / "work").exists() or not list((tmp_path / "cache" / "work").iterdir())


def test_further_files_lie_beside_the_source(pretend_clang: Pretend) -> None:
    pretend_clang(body='d=$(dirname "$source"); cat "$d/sub/util.h"; cat "$source"; ok')
    result = compile_source("the source", "c", files={"sub/util.h": "the header\n"})
    assert result.warnings == "the header\nthe source"


def test_a_further_source_named_among_the_flags_is_compiled_along(pretend_clang: Pretend) -> None:
    pretend_clang(body='for a in "$@"; do case $a in *util.c) cat "$a";; esac; done; ok')
    result = compile_source(SOURCE, "c", ["util.c"], files={"util.c": "int util;\n"})
    assert result.warnings == "int util;\n"


def test_an_interrupted_compile_leaves_no_process_and_no_entry(pretend_clang: Pretend, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    pretend_clang(body=f"sleep 1000 & echo $! > {pids}; wait")
    stop = threading.Event()
    caught: list[BaseException] = []

    def work() -> None:
        try:
            compile_source(SOURCE, "c", interrupt=stop.is_set)
        except CompileInterrupted as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(3000):
        if pids.exists() and pids.read_text():
            break
        time.sleep(0.01)
    stop.set()
    thread.join(60)
    assert len(caught) == 1
    child = int(pids.read_text())
    for _ in range(300):
        status = Path(f"/proc/{child}/status")
        if not status.exists() or "\nState:\tZ" in status.read_text():
            break
        time.sleep(0.01)
    else:
        pytest.fail("the grandchild lives")
    pretend_clang()
    assert not compile_source(SOURCE, "c").cached


@pytest.mark.slow
def test_two_processes_compile_the_same_source_once(pretend_clang: Pretend) -> None:
    log = pretend_clang(body="sleep 1; ok")
    program = (
        "from wasilab.toolchains.compile import compile_source as c; r = c('int x;', 'c'); print(r.cached, len(r.wasm))"
    )
    root = Path(__file__).parents[2]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        for _ in range(2)
    ]  # fmt: skip
    said = sorted(process.communicate(timeout=120)[0].split()[0] for process in started)
    assert said == ["False", "True"]
    assert _compiles(log) == 1


def test_threads_of_one_process_compile_the_same_source_once(pretend_clang: Pretend) -> None:
    log = pretend_clang(body="sleep 0.5; ok")
    results: list[Compiled] = []
    threads = [threading.Thread(target=lambda: results.append(compile_source(SOURCE, "c"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(result.cached for result in results) == [False, True, True, True]
    assert _compiles(log) == 1


@pytest.mark.slow
def test_progress_is_told_while_it_takes_long(pretend_clang: Pretend) -> None:
    pretend_clang(body="sleep 0.8; ok")
    said: list[str] = []
    compile_source(SOURCE, "c", on_progress=lambda _seconds, sentence: said.append(sentence))
    assert said
    assert set(said) == {"compiling cell.c with clang 17.0.1"}


def test_sources_with_odd_characters_arrive_whole(pretend_clang: Pretend) -> None:
    pretend_clang(body='wc -c < "$source"; ok')
    source = "é\r\n\0\ud800 end"
    assert compile_source(source, "c").warnings.strip() == str(len(source.encode("utf-8", "surrogatepass")))


@pytest.mark.parametrize("line", [0, -1, 10**9])
def test_an_absurd_first_line_is_refused(pretend_clang: Pretend, line: int) -> None:
    pretend_clang()
    with pytest.raises(ToolchainError, match="first_line"):
        compile_source(SOURCE, "c", first_line=line)
