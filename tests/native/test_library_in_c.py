"""The C library alone, under sanitizers: random calls (ASan, UBSan, libFuzzer) and threads beside the guest (TSan)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from wasilab.engine.native.build import write_header

from .coverage import IN_C, rare, ways
from .shapes import ANSWERED, header

HERE = Path(__file__).parent
SECONDS = os.environ.get("WASILAB_FUZZ_SECONDS", "3")
"""How long libFuzzer looks; an hour is the long form."""
SOURCE = HERE.parents[1] / "wasilab" / "engine" / "native" / "turbo.c"


def _compiler(folder: Path, *flags: str) -> str:
    """A compiler that takes `flags`, tried out on an empty program."""
    probe = folder / "probe.c"
    fuzzer = any("fuzzer" in flag for flag in flags)
    entry = "LLVMFuzzerTestOneInput(const unsigned char *p, unsigned long n)" if fuzzer else "main(void)"
    probe.write_text(f"int {entry} {{ return 0; }}\n")
    for name in ("gcc", "clang-22", "clang"):
        found = shutil.which(name)
        command = [found or name, *flags, str(probe), "-o", str(folder / "probe")]
        if found and not subprocess.run(command, capture_output=True).returncode:
            return found
    pytest.skip(f"no compiler here takes {' '.join(flags)}")


def _build(folder: Path, source: str, *flags: str) -> Path:
    compiler = _compiler(folder, *(flag for flag in flags if flag.startswith("-fsanitize=")))
    (folder / "shapes.h").write_text(header())
    write_header(folder)
    output = folder / source.replace(".c", "")
    command = [compiler, "-g", "-O1", "-std=gnu11", "-Wall", "-Werror", *flags, f"-I{folder}", str(HERE / source)]
    done = subprocess.run([*command, "-o", str(output), "-lpthread"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return output


def test_random_calls_under_asan_and_ubsan(tmp_path: Path) -> None:
    program = _build(
        tmp_path, "fuzz.c", "-DSTANDALONE", "-DTURBO_WAYS", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"
    )
    done = subprocess.run([str(program), "2000"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-4000:]
    counts = {line.rpartition(" ")[0]: int(line.rpartition(" ")[2]) for line in done.stdout.splitlines()}
    assert counts.keys() >= {*ANSWERED}, f"never answered: {set(ANSWERED) - counts.keys()}"
    assert counts["turns"] > 10
    taken = {int(name.split()[1]) for name in counts if name.startswith("line ")}
    assert not [text for line, text in ways().items() if line not in taken and rare(text) == IN_C]
    assert len(taken) >= 15


@pytest.mark.slow
def test_libfuzzer_finds_nothing(tmp_path: Path) -> None:
    program = _build(tmp_path, "fuzz.c", "-fsanitize=address,undefined,fuzzer", "-fno-sanitize-recover=all")
    command = [str(program), f"-max_total_time={SECONDS}", "-max_len=4096", "-seed=1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "Done" in done.stderr


def test_revoke_close_and_read_from_other_threads_under_tsan(tmp_path: Path) -> None:
    program = _build(tmp_path, "threads.c", "-fsanitize=thread")
    done = subprocess.run([str(program), "20000"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-6000:]
    assert "WARNING" not in done.stderr
    words = done.stdout.split()
    counts = {name: int(number) for name, number in zip(words[::2], words[1::2], strict=True)}
    assert all(counts.values()), f"something never happened: {counts}"


def test_the_guard_is_what_keeps_a_reused_descriptor_safe(tmp_path: Path) -> None:
    """Without the wait of `turbo_withdraw` TSan must complain: the test above can fail."""
    text = SOURCE.read_text()
    wait = "  while (__atomic_load_n(&t->held, __ATOMIC_SEQ_CST) == fd + 1) sched_yield();\n"
    assert wait in text
    copy = tmp_path / "wasilab" / "engine" / "native"
    tests = tmp_path / "tests" / "native"
    copy.mkdir(parents=True)
    tests.mkdir(parents=True)
    (copy / "turbo.c").write_text(text.replace(wait, ""))
    for header_file in SOURCE.parent.glob("*.h"):
        shutil.copy(header_file, copy)
    for name in ("stand_in.h", "threads.c"):
        shutil.copy(HERE / name, tests)
    (tests / "shapes.h").write_text(header())
    write_header(tests)
    compiler = _compiler(tmp_path, "-fsanitize=thread")
    command = [compiler, "-g", "-O1", "-std=gnu11", "-fsanitize=thread", f"-I{tests}", str(tests / "threads.c")]
    subprocess.run([*command, "-o", str(tmp_path / "t"), "-lpthread"], check=True)
    for _ in range(20):  # whether the threads meet in one run is chance, above all on a busy machine
        done = subprocess.run([str(tmp_path / "t"), "20000"], capture_output=True, text=True, cwd=tmp_path)
        if done.returncode:
            break
    assert done.returncode != 0
