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

from .coverage import SOURCE


def prepared(folder: Path) -> dict[str, str] | None:
    """Build the library into `folder`, with a counter at each way back to Python as well; the environment for Python.

    None without GCC, whose sanitizers are libraries that can be loaded before Python.
    """
    compiler = shutil.which("gcc")
    if compiler is None:
        return None
    output = folder / "libturbo.so"
    command = [compiler, "-O1", "-g", "-std=gnu11", "-shared", "-fPIC", "-fvisibility=hidden", "-DTURBO_WAYS"]
    command += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", str(SOURCE), "-o", str(output)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        return None
    found = (_library(compiler, name) for name in ("libasan.so", "libubsan.so"))
    return {
        **os.environ, "WASILAB_NATIVE": str(output), "LD_PRELOAD": ":".join(found),
        # Wasmtime handles SIGSEGV itself: that is how it finds a guest's bad pointer.
        "ASAN_OPTIONS": "detect_leaks=0:handle_segv=0:allow_user_segv_handler=1:abort_on_error=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }  # fmt: skip


def _library(compiler: str, name: str) -> str:
    return subprocess.run(
        [compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True
    ).stdout.strip()


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        environment = prepared(Path(folder))
        if environment is None:
            print("GCC with its sanitizers is needed (Debian: gcc)", file=sys.stderr)
            return 2
        return subprocess.run([sys.executable, *sys.argv[1:]], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
