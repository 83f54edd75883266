"""Builds the native library: for this machine when wasilab is installed, and for others as platform wheels.

    python -m wasilab.engine.native.build [--here] [-d DIST] [TAG ...]

`--here` puts the library beside this file, which is all that a checkout on PYTHONPATH needs. Otherwise it makes a wheel
for each platform tag (by default all of `TARGETS`), cross-compiled by `zig cc`, and a platform-independent one.

This file is also the build hook of pyproject.toml: `pip install .` compiles the library with an installed C compiler,
or with the package `ziglang`, which is required only if no compiler works. If both fail, the package is installed
without the library and does everything in Python. WASILAB_NATIVE=0 leaves the library out.

The build imports this file before wasilab is installed, so it must not import wasilab.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:

    class BuildHookInterface:
        """The parts of hatchling's hook base class that are used here."""

        app: Application

    class Application:
        """Where a hook prints messages."""

        def display_warning(self, text: str) -> None: ...

else:
    try:
        from hatchling.builders.hooks.plugin.interface import BuildHookInterface
    except ImportError:
        BuildHookInterface = object

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "turbo.c"
INSIDE = "wasilab/engine/native"
ZIG = "ziglang>=0.13"
VARIABLE = "WASILAB_NATIVE"
TARGET_VARIABLE = "WASILAB_NATIVE_TAG"
"""Names the platform tag for the hook to build; set by `wheels`."""
TARGETS = {
    "manylinux_2_17_x86_64": "x86_64-linux-gnu.2.17",
    "manylinux_2_17_aarch64": "aarch64-linux-gnu.2.17",
    "musllinux_1_1_x86_64": "x86_64-linux-musl",
    "musllinux_1_1_aarch64": "aarch64-linux-musl",
    "macosx_11_0_x86_64": "x86_64-macos.11.0",
    "macosx_11_0_arm64": "aarch64-macos.11.0",
}
"""Platform tag of a wheel -> target of `zig cc`. The oldest C libraries that wasmtime's wheels support."""
FLAGS = ("-O2", "-g0", "-s", "-std=gnu11", "-shared", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra")


class NoCompiler(Exception):
    """No compiler works; the message says what was tried."""


def library_name(tag: str = "") -> str:
    """The library's file name on the platform of a wheel tag, or on this platform."""
    mac = tag.startswith("macosx") if tag else sys.platform == "darwin"
    return "libturbo.dylib" if mac else "libturbo.so"


def _zig() -> list[str] | None:
    return [sys.executable, "-m", "ziglang", "cc"] if importlib.util.find_spec("ziglang") is not None else None


def _local_target() -> str | None:
    """The `zig cc` target of this machine. Without it, zig would use instructions that similar machines may lack."""
    machine = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}.get(
        platform.machine().lower()
    )
    if machine is None:
        return None
    if sys.platform == "darwin":
        return f"{machine}-macos"
    musl = "musl" in str(sysconfig.get_config_var("SOABI") or "")
    return f"{machine}-linux-musl" if musl else f"{machine}-linux-gnu.2.17"


def compile_library(output: Path, target: str | None = None) -> None:
    """Compile the library to `output`: with `zig cc` for `target`, or for this machine with any working compiler.

    Raises `NoCompiler`.
    """
    if sys.platform not in ("linux", "darwin") and target is None:
        raise NoCompiler(f"the native library is not made for {sys.platform}")
    with tempfile.TemporaryDirectory() as folder:
        write_header(Path(folder))
        _compile(output, target, folder)


def write_header(folder: Path) -> None:
    """Write `turbo.h` into `folder`."""
    found = importlib.util.spec_from_file_location("layouts", HERE / "layouts.py")  # without importing wasilab
    assert found is not None
    assert found.loader is not None
    layouts = importlib.util.module_from_spec(found)
    found.loader.exec_module(layouts)
    (folder / "turbo.h").write_text(layouts.header())


def _compile(output: Path, target: str | None, include: str) -> None:
    zig, local = _zig(), _local_target()
    tries: list[list[str]] = []
    if target is not None:
        tries += [[*zig, "-target", target]] if zig else []
    else:
        found = [shutil.which(name) for name in (os.environ.get("CC", ""), "cc", "gcc", "clang") if name]
        tries += [[name] for name in dict.fromkeys(found) if name]
        tries += [[*zig, *(["-target", local] if local else [])]] if zig else []
    said = "no C compiler was found" if target is None else "it is compiled by the package ziglang, which is missing"
    for command in tries:
        try:
            whole = [*command, *FLAGS, f"-I{include}", str(SOURCE), "-o", str(output)]
            done = subprocess.run(whole, capture_output=True, text=True, timeout=300)
        except (OSError, subprocess.SubprocessError) as error:
            said = f"{command[0]}: {error}"
            continue
        if done.returncode == 0 and output.exists():
            return
        lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()[-1:]
        said = f"{' '.join(command[-2:])}: {lines[0] if lines else 'it failed without a word'}"
    raise NoCompiler(said)


def compiles_here() -> bool:
    """Whether a compiler of this machine can compile the library."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            compile_library(Path(folder, library_name()))
        except NoCompiler:
            return False
    return True


class NativeBuild(BuildHookInterface):
    """The build hook: adds the library to a wheel, or to the source tree of an editable installation."""

    def dependencies(self) -> list[str]:
        """The compiler package, if the machine has no working compiler."""
        if os.environ.get(VARIABLE) == "0" or sys.platform not in ("linux", "darwin"):
            return []
        return [ZIG] if TARGET_VARIABLE in os.environ or not compiles_here() else []

    def initialize(self, version: str, build_data: dict[str, object]) -> None:
        """Compile the library before the wheel is assembled; without it the wheel is pure Python."""
        if os.environ.get(VARIABLE) == "0":
            return
        tag = os.environ.get(TARGET_VARIABLE, "")
        name = library_name(tag)
        self._folder = tempfile.TemporaryDirectory()
        output = HERE / name if version == "editable" else Path(self._folder.name, name)
        try:
            compile_library(output, TARGETS[tag] if tag else None)
        except NoCompiler as error:
            if tag:
                raise
            self.app.display_warning(
                f"wasilab is installed without its native library, so every call is answered in Python ({error})"
            )
            return
        if version == "editable":
            return
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{tag or sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
        cast("dict[str, str]", build_data["force_include"])[str(output)] = f"{INSIDE}/{name}"


def wheels(folder: Path, tags: list[str]) -> None:
    """Build a wheel for each platform tag, and a pure one, into `folder`."""
    root = HERE.parents[2]
    if not (root / "pyproject.toml").exists():
        raise SystemExit("wheels are built from a checkout of wasilab; this is an installed copy")
    for tag in [*tags, ""]:
        environment = {**os.environ, **({TARGET_VARIABLE: tag} if tag else {VARIABLE: "0"})}
        command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "-w", str(folder), str(root)]
        print(f"building for {tag or 'any platform, without the library'}", flush=True)
        subprocess.run(command, env=environment, check=True)
    for path in sorted(folder.glob("*.whl")):
        print(f"{path}  {path.stat().st_size:,} bytes")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m wasilab.engine.native.build", description=__doc__.split("\n")[0])
    parser.add_argument("tags", nargs="*", metavar="TAG", help=f"platform tags (default: {' '.join(TARGETS)})")
    parser.add_argument("--here", action="store_true", help="build the library for this machine, into the source tree")
    parser.add_argument("-d", "--dist", type=Path, default=Path("dist"), help="folder for the wheels (default: dist)")
    given = parser.parse_args()
    unknown = [tag for tag in given.tags if tag not in TARGETS]
    if unknown:
        parser.error(f"unknown platform tag {unknown[0]}; known are {', '.join(TARGETS)}")
    try:
        if given.here:
            compile_library(HERE / library_name())
            print(f"built {HERE / library_name()}")
        else:
            wheels(given.dist, given.tags or list(TARGETS))
    except NoCompiler as error:
        print(f"the library was not built: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"pip could not build the wheel (exit status {error.returncode})", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
