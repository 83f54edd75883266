"""Python with the native library under ASan and UBSan:

    python -m tests.native.sanitized -m pytest tests/hostile

runs `python -m pytest tests/hostile` so. The first report of a sanitizer ends the process, with a status other than 0.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from wasilab.engine.native.build import write_header

from .coverage import SOURCE


def instrumented(folder: Path, *flags: str) -> dict[str, str] | None:
    """Build the library into `folder`, with a counter at each way back to Python; the environment for Python.

    None without GCC, whose sanitizers are libraries that can be loaded before Python.
    """
    compiler, output = shutil.which("gcc"), folder / "libturbo.so"
    if compiler is None:
        return None
    write_header(folder)
    command = [compiler, "-O1", "-g", "-std=gnu11", "-shared", "-fPIC", "-fvisibility=hidden", "-DTURBO_WAYS", *flags]
    command += [f"-I{folder}", str(SOURCE), "-o", str(output)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        return None
    return {**os.environ, "WASILAB_NATIVE": str(output)}


def sanitized(folder: Path) -> dict[str, str] | None:
    """The same with ASan and UBSan."""
    environment = instrumented(folder, "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    if environment is None:
        return None
    return {
        **environment, "LD_PRELOAD": ":".join(map(_library, ("libasan.so", "libubsan.so"))),
        # Wasmtime handles SIGSEGV itself: that is how it finds a guest's bad pointer. Of freed memory 8 MB are kept,
        # not 256 MB: hostile tests measure the memory that a run leaves.
        "ASAN_OPTIONS": "detect_leaks=0:quarantine_size_mb=8:handle_segv=0:allow_user_segv_handler=1:abort_on_error=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }  # fmt: skip


def _library(name: str) -> str:
    command = ["gcc", f"-print-file-name={name}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        environment = sanitized(Path(folder))
        if environment is None:
            print("GCC with its sanitizers is needed (Debian: gcc)", file=sys.stderr)
            return 2
        return subprocess.run([sys.executable, *sys.argv[1:]], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
