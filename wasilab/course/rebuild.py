"""Compile the lessons' programs again: `python -m wasilab.course.rebuild` (`--check` only compares).

The modules are the same bytes wherever the same clang and wasi-libc are installed: paths are mapped, and nothing of the
day or the machine goes in. wasi-libc's own debugging information is left out (`llvm-objcopy
--strip-debug`), which makes them a fifth of their size; the programs keep theirs, so that reports name source lines.
`programs/built.json` says which clang and which wasi-libc it was. In Debian: clang-22, lld-22, llvm-22, wasi-libc and
libclang-rt-22-dev-wasm32.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ..runs.compiler import compile
from .prebuilt import FLAGS, FURTHER_FLAGS, program_names, program_source

PROGRAMS = Path(__file__).parent / "programs"
RECORD = PROGRAMS / "built.json"
MOST_BYTES = 3 << 20
"""All modules together."""
_CLANG = "clang-22"
_LIBRARIES = ("libc.a", "libwasi-emulated-mman.a")


def toolchain() -> dict[str, str]:
    """The compiler and the library that would be used: their versions and the library's hash. Raises OSError."""
    stated = subprocess.run([_CLANG, "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"clang version (\S+)", stated)
    if version is None:
        raise OSError(f"{_CLANG} does not state its version")
    return {"clang": version[1], "libc.a": _sha256(_library("libc.a").read_bytes())}


def build(into: Path) -> dict[str, object]:
    """Compile every C program into a folder; returns the record of how. Raises OSError or a `ToolchainError`."""
    objcopy = shutil.which(_CLANG.replace("clang", "llvm-objcopy"))
    if objcopy is None:
        raise OSError(f"{_CLANG.replace('clang', 'llvm-objcopy')} is not installed (Debian: llvm-22)")
    os.environ["WASILAB_CC"] = _CLANG
    modules: dict[str, dict[str, str]] = {}
    with tempfile.TemporaryDirectory(prefix="wasilab-libraries-") as libraries:
        for name in _LIBRARIES:
            subprocess.run([objcopy, "--strip-debug", _library(name), Path(libraries, name)], check=True)
        for name in program_names():
            source = program_source(name)
            if source.lang != "c":
                continue
            flags = (*FLAGS, *FURTHER_FLAGS.get(name, ()))
            module = compile(source.text, "c", flags=(*flags, f"-L{libraries}"), name=name)
            into.joinpath(f"{name}.wasm").write_bytes(module.bytes)
            modules[name] = {"source": _sha256(source.text.encode()), "module": module.sha256, "flags": " ".join(flags)}
    return {"toolchain": toolchain(), "modules": modules}


def main(arguments: list[str] | None = None) -> int:
    """The command: 0 if all is built, or the same; 1 with a sentence on stderr if not."""
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m wasilab.course.rebuild", description=summary)
    parser.add_argument("--check", action="store_true", help="write nothing; say which modules differ")
    check = parser.parse_args(arguments).check
    with tempfile.TemporaryDirectory(prefix="wasilab-programs-") as temporary:
        try:
            record = build(Path(temporary))
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            print(f"the programs cannot be built: {error}", file=sys.stderr)
            return 1
        built = {path.name: path.read_bytes() for path in sorted(Path(temporary).iterdir())}
    if check:
        differ = [name for name, data in built.items() if not _same(PROGRAMS / name, data)]
        print("all modules are the same" if not differ else f"these differ: {', '.join(differ)}")
        return 1 if differ else 0
    for path in PROGRAMS.glob("*.wasm"):
        path.unlink()
    for name, data in built.items():
        (PROGRAMS / name).write_bytes(data)
    RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{len(built)} modules, {sum(map(len, built.values())):,} bytes")
    return 0


def _same(path: Path, data: bytes) -> bool:
    return path.is_file() and path.read_bytes() == data


def _library(name: str) -> Path:
    argv = [_CLANG, "--target=wasm32-wasi", f"-print-file-name={name}"]
    return Path(subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip())


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
