"""C and C++: clang with a WASI libc if there is one, else zig's clang, which has its own libc.

Order: WASILAB_CC (C++: WASILAB_CXX), WASI_SDK_PATH, a clang that links for wasm32-wasi, a zig on PATH, PyPI's ziglang.
Default flags keep DWARF and compile fast. Paths in DWARF are mapped so that they name the cell, and so that the module
is the same wherever it is compiled.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import ClassVar

from ..base import Command, Job, Toolchain
from ..confinement import installation
from ..diagnostics import ToolchainError
from ..linking import library_lookup
from ..probe import Failure, Tool, executables, fingerprint, remembered
from ..process import Cancelled, ProcessBounds, Progress, run_group
from .c_hints import hints, nowhere, unlinked
from .zig_tool import INSTALL as ZIG_INSTALL
from .zig_tool import (
    being_built,
    build_once,
    find_zigs,
    is_warm,
    made_global_cache,
    reporting_link,
    without_link,
    zig_environment,
    zig_version,
)  # fmt: skip

PROBE_TIMEOUT = 60.0
TARGET = "wasm32-wasi"
"""Not wasm32-wasip1: Debian installs its libc under the old name, which every clang knows."""
EMULATIONS = ("getpid", "mman", "process-clocks", "signal")
"""wasi-libc's optional emulations."""

_PROBE = {
    "c": '#include <stdio.h>\nint main(void) { puts("ok"); return 0; }\n',
    "c++": "#include <string>\n#include <cstdio>\n"
    "int main(int n, char**) { std::string s(n, 'x'); std::puts(s.c_str()); return 0; }\n",
}
_INCLUDE_VARIABLES = ("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH")
_NO_MODULE = "a compile makes one linked module"


WASM_OPT, NO_WASM_OPT = "--wasm-opt", "--no-wasm-opt"
"""Clang's flags to run wasm-opt after the linker, and not to."""


def emulation_flags(*names: str) -> tuple[str, ...]:
    """The flags for wasi-libc's emulations, by name ("mman", "signal", "process-clocks", "getpid")."""
    flags: list[str] = []
    for name in names:
        plain = name.lower().replace("_", "-")
        if plain not in EMULATIONS:
            raise ToolchainError(f"wasi-libc has no emulation {name!r}; it has {', '.join(EMULATIONS)}")
        flags += [f"-D_WASI_EMULATED_{plain.upper().replace('-', '_')}", f"-lwasi-emulated-{plain}"]
    return tuple(flags)


class CFamily(Toolchain):
    """The common part of C and C++."""

    default_flags: ClassVar[tuple[str, ...]] = ("-g", "-O1", "-Wall")
    variable: ClassVar[str]
    zig_word: ClassVar[str]
    driver: ClassVar[tuple[str, ...]] = ()
    slow_first = True
    reports = True
    reactor_flags = ("-mexec-model=reactor",)
    refused_flags: ClassVar[dict[str, str]] = {
        "-o": "the module's place is set by wasilab (wasilab compile -o, --save)",
        "-c": _NO_MODULE,
        "-S": _NO_MODULE,
        "-E": _NO_MODULE,
        "-fsyntax-only": _NO_MODULE,
        "-M": _NO_MODULE,
        "-MM": _NO_MODULE,
        "-MF": "the dependency file is wasilab's own",
        "-": "a cell has no stdin; the source is the cell",
    }

    @property
    def install(self) -> str:
        return ZIG_INSTALL

    def candidates(self, *, refresh: bool = False) -> list[Tool | Failure]:
        found: list[Tool | Failure] = []
        for how, argv in self._places():
            kind = "zig" if len(argv) > 1 and argv[-1] == self.zig_word else "clang"
            found.append(self._try(kind, argv, how, refresh))
            if isinstance(found[-1], Tool) and not refresh:
                return found
        return found

    def _places(self) -> list[tuple[str, tuple[str, ...]]]:
        """Candidate compilers in order, generated lazily, so that a hit costs only a few stat calls."""
        places: list[tuple[str, tuple[str, ...]]] = []
        for variable in dict.fromkeys((self.variable, "WASILAB_CC")):
            if command := os.environ.get(variable, "").strip():
                try:
                    words = tuple(shlex.split(command))
                except ValueError as error:
                    raise ToolchainError(f"{variable}={command!r} is not a command: {error}") from error
                if len(words) > 1 and words[-1] in ("cc", "c++"):  # zig cc, python -m ziglang cc
                    words = (*words[:-1], self.zig_word)
                places.append((variable, words))
                break
        if sdk := os.environ.get("WASI_SDK_PATH", "").strip():
            sysroot = Path(sdk) / "share" / "wasi-sysroot"
            flags = (f"--sysroot={sysroot}",) if sysroot.is_dir() else ()
            places.append(("WASI_SDK_PATH", (str(Path(sdk) / "bin" / "clang"), *flags)))
        seen: set[str] = set()
        names = ["clang", *(f"clang-{n}" for n in range(40, 10, -1))]
        for path in executables(names, ["/opt/wasi-sdk/bin"]):
            if (real := os.path.realpath(path)) not in seen:
                seen.add(real)
                places.append(("PATH", (path,)))
        for how, zig in find_zigs():
            places.append((how, (zig, self.zig_word)))
        return places

    def _try(self, kind: str, argv: tuple[str, ...], how: str, refresh: bool) -> Tool | Failure:
        path = executables([argv[0]])[0] if os.sep not in argv[0] and executables([argv[0]]) else argv[0]
        watch = [] if kind == "zig" else ["/usr/include/wasm32-wasi", "/usr/lib/wasm32-wasi", *_libraries(path)]
        purpose = "\0".join([self.language, kind, how, *argv])

        def probe() -> Tool:
            if kind == "zig":
                # Zig includes its libc: linking would build it, which takes a minute and belongs to `warm`.
                return Tool("zig", (path, *argv[1:]), zig_version(argv[:-1]), path, how)
            return self._probe_clang((path, *argv[1:]), path, how)

        return remembered(purpose, path, probe, watch=watch, refresh=refresh)

    def _probe_clang(self, argv: tuple[str, ...], path: str, how: str) -> Tool:
        if not os.access(path, os.X_OK):
            raise ToolchainError(f"{path} is not an executable file")
        stated = run_group([*argv, "--version"], bounds=ProcessBounds(PROBE_TIMEOUT))
        match = re.search(r"version (\d+[\w.+~-]*)", stated.output)
        if stated.status != 0 or match is None or "clang" not in stated.output:
            raise ToolchainError("it is not clang (its --version says nothing of clang)")
        full = (*argv, *self.driver, f"--target={TARGET}")
        full = (*full, *self._own_headers(full))
        failure, said = self._link((*full, NO_WASM_OPT))
        if failure is None:
            full = (*full, NO_WASM_OPT)
        elif NO_WASM_OPT in failure:  # older ones do not know the flag
            failure, said = self._link(full)
        if failure is not None:
            raise ToolchainError(f"it does not link for {TARGET}: {failure}")
        if "is deprecated, use --target=" in said:
            # clang 21 and later warn about the target's name on every compile.
            full = (*full, "-Wno-deprecated", "-Wdeprecated-declarations")
        return Tool("clang", full, match[1], path, how)

    def _link(self, argv: tuple[str, ...]) -> tuple[str | None, str]:
        """Why a small program does not link (None if it does), and the compiler's output."""
        with tempfile.TemporaryDirectory(prefix="wasilab-") as folder:
            source, output = Path(folder, "probe" + self.suffixes[0]), Path(folder, "probe.wasm")
            source.write_text(_PROBE[self.language])
            argv = (*argv, *self.extra(), str(source), "-o", str(output))
            done = run_group(argv, bounds=ProcessBounds(PROBE_TIMEOUT))
            if done.status == 0 and output.exists():
                return None, done.output
            reason = next((row for row in done.output.splitlines() if "error" in row), done.output.strip()[:200])
            return reason.replace(folder + "/", ""), done.output

    def _own_headers(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """Exclude the host's headers: Debian's clang also searches /usr/include, whose <setjmp.h> is for Linux."""
        stated = run_group(
            [*argv, "-x", self.zig_word.replace("cc", "c"), "-E", "-v", os.devnull], bounds=ProcessBounds(PROBE_TIMEOUT)
        )
        searched = re.findall(r"^ (/\S+)$", stated.output, re.MULTILINE)
        own = [path for path in searched if "wasm32" in path and os.path.isdir(path)]
        if stated.status != 0 or "/usr/include" not in searched or not own:
            return ()
        flags = ["-nostdlibinc"]
        for path in own:
            # libc++ wraps the compiler's headers and must precede them; libc follows them.
            flags += ["-isystem" if "/c++/" in path else "-idirafter", path]
        return tuple(flags)

    def extra(self) -> tuple[str, ...]:
        """Flags that the language needs for WASI, before the user's flags."""
        return ()

    def command(self, tool: Tool, job: Job) -> Command:
        cwd = _current_folder(job)
        argv = [*tool.argv]
        env: dict[str, str | None] = {}
        if tool.kind == "zig":
            argv.append(f"--target={TARGET}")
            env = {**zig_environment(job.folder, tell_link=job.reports)}
        else:
            env = {"TMPDIR": str(job.folder)}  # linker messages about an object then name no folder of this machine
        flags = job.flags
        where = cwd
        if tool.kind == "zig" and Path(os.path.realpath(tool.path)).is_relative_to(os.path.realpath(cwd)):
            # Zig knows its own library by the path from where it runs, if that is above it (the folder that holds
            # .venv): it would build the library again for such a folder. So it runs in the source's folder.
            flags, where = counted_from(cwd, flags, job.files), job.folder
        sources = [str(job.folder / flag) if flag in job.files else flag for flag in flags]
        if tool.kind == "clang" and NO_WASM_OPT not in argv and WASM_OPT not in flags:
            argv.append(f"-B{_without_wasm_opt(job.folder)}")
        if tool.kind != "clang" or NO_WASM_OPT not in argv:  # who does not know the one knows neither
            sources = [flag for flag in sources if flag != WASM_OPT]
        if self.language == "c++" and any(map(_STREAMS.search, (job.source, *job.files.values()))):
            argv += ["-include", str(_file_streams(job.folder))]
        # -I and -L are relative to the user's folder; quoted includes are found in the work folder.
        argv += [*self.default_flags, *self.extra(), "-fno-color-diagnostics"]
        argv += [f"-ffile-prefix-map={cwd}=.", f"-ffile-prefix-map={job.folder}=.", "-fdebug-compilation-dir=."]
        argv += ["-MMD", "-MF", str(job.folder / "deps.d")]
        argv += [str(job.source_path), *sources, "-o", str(job.output_path)]
        if job.reports and tool.kind == "clang":
            argv += [str(library_lookup.write_object(job.folder)), f"-Wl,{library_lookup.WRAP}"]
        return Command(tuple(argv), where, env)

    def caches(self, tool: Tool) -> list[str]:
        return [str(made_global_cache())] if tool.kind == "zig" else []

    def named(self, job: Job) -> list[str]:
        cwd = _current_folder(job)
        found = [cwd / flag for flag in job.flags if not flag.startswith("-")]  # sources, and words after a flag
        for flag in job.flags:
            start = next((word for word in _WITH_PATH if flag.startswith(word)), "")
            if start and flag != start:
                found.append(cwd / flag[len(start) :])
        if WASM_OPT in job.flags and (optimiser := shutil.which("wasm-opt")):
            found += map(Path, installation(optimiser))
        for variable in _INCLUDE_VARIABLES:
            found += [cwd / folder for folder in os.environ.get(variable, "").split(os.pathsep) if folder]
        return [os.path.realpath(path) for path in found if path.exists()]

    def context(self, job: Job) -> list[str]:
        # Relative paths in the flags are relative to the user's folder.
        folder = [str(_current_folder(job))] if job.flags else []
        if WASM_OPT in job.flags:
            folder.append(fingerprint([shutil.which("wasm-opt") or ""]))
        return folder + [f"{name}={os.environ.get(name, '')}" for name in _INCLUDE_VARIABLES if os.environ.get(name)]

    def dependencies(self, job: Job) -> list[str]:
        found = [flag for flag in job.flags if os.path.isfile(flag)]
        try:
            listed = _prerequisites((job.folder / "deps.d").read_text(encoding="utf-8", errors="surrogateescape"))
        except OSError:
            listed = []
        inside = str(job.folder) + os.sep
        found += [path for path in listed if not path.startswith(inside)]
        places = [flag[2:] for flag in job.flags if flag.startswith("-L") and len(flag) > 2]
        for flag in job.flags:
            if flag.startswith("-l"):
                found += [lib for place in places if os.path.isfile(lib := os.path.join(place, f"lib{flag[2:]}.a"))]
        return [os.path.abspath(path) for path in dict.fromkeys(found)]

    def build(
        self, tool: Tool, job: Job, cancelled: Cancelled, on_progress: Progress | None
    ) -> tuple[bytes, str, Command]:
        def build(job: Job, stop: Cancelled, tell: Progress | None) -> tuple[bytes, str, Command]:
            return super(CFamily, self).build(tool, job, stop, tell)

        if tool.kind != "zig":
            return build(job, cancelled, on_progress)
        libraries = "its C library" if self.language == "c" else "its C and C++ libraries", 60
        return build_once(tool, self._variant(job.flags), libraries, job, cancelled, on_progress, build)

    def link_again(self, tool: Tool, job: Job, output: str) -> Command | None:
        return reporting_link(tool, job, self.command(tool, job), output) if tool.kind == "zig" else None

    def clean(self, output: str, job: Job) -> str:
        """Without the folders and names that objects have on the way (clang's `cell-1a2b3c.o`, zig's cache)."""
        plain = re.sub(r"([\w.+-]+)-[0-9a-f]{6,8}\.o\b", r"\1.o", super().clean(without_link(output), job))
        return re.sub(r"\.zig-cache/o/[0-9a-f]{32}/", "", plain)

    def hints(self, output: str, job: Job) -> list[str]:
        beside = {name: text for name, text in job.files.items() if name.endswith(self.suffixes)}
        said = [*hints(output), *unlinked(output, {k: v for k, v in beside.items() if k not in job.flags})]
        return said or list(nowhere(output, job.source))

    def _variant(self, flags: Sequence[str]) -> str:
        """Zig builds its libc once for each of these: language and level of optimisation."""
        level = [flag for flag in (*self.default_flags, *flags) if flag.startswith("-O")][-1]
        return " ".join([self.language, level, *(["-s"] if "-s" in flags else [])])

    def sentence(self, tool: Tool, job: Job, elapsed: float) -> str:
        return job.first_build.sentence(elapsed) if job.first_build else super().sentence(tool, job, elapsed)

    def cold(self, tool: Tool) -> str | None:
        if tool.kind != "zig" or is_warm(tool, variant := self._variant(())):
            return None
        if progress := being_built(tool, variant):
            return f"its library is being built now: {progress}"
        return "the first compile builds its library, about a minute, once"


_WITH_PATH = ("-I", "-L", "-B", "-isystem", "-iquote", "-idirafter", "-include", "-imacros", "--sysroot=", "@")
"""Flags of the compiler that a path follows, joined or as the next word."""


def counted_from(folder: Path, flags: Sequence[str], cell_files: Collection[str] = ()) -> tuple[str, ...]:
    """`flags` with the paths in them counted from `folder`, for a compiler that runs elsewhere.

    Names among `cell_files` stay: they lie beside the source.
    """
    found: list[str] = []
    for at, flag in enumerate(flags):
        start = next((word for word in _WITH_PATH if flag.startswith(word)), "")
        if at and flags[at - 1] in _WITH_PATH:
            flag = str(folder / flag)
        elif start and flag != start:
            flag = start + str(folder / flag[len(start) :])
        elif not flag.startswith("-") and flag not in cell_files and (folder / flag).is_file():
            flag = str(folder / flag)
        found.append(flag)
    return tuple(found)


_STREAMS = re.compile(r"^[ \t]*#[ \t]*include[ \t]*<fstream>", re.MULTILINE)
_FILE_STREAMS = """#include <__config>
#undef _LIBCPP_HAS_FILESYSTEM
#define _LIBCPP_HAS_FILESYSTEM 1
#undef _LIBCPP_AVAILABILITY_HAS_ADDITIONAL_IOSTREAM_EXPLICIT_INSTANTIATIONS_1
#define _LIBCPP_AVAILABILITY_HAS_ADDITIONAL_IOSTREAM_EXPLICIT_INSTANTIATIONS_1 0
"""


def _prerequisites(rule: str) -> list[str]:
    """The files that the rule of a Makefile names behind its target, without Make's quoting."""
    words = re.findall(r"(?:[^\s\\]|\\.)+", rule.replace("\\\n", " ").partition(":")[2])
    return [re.sub(r"\\([ #])", r"\1", word).replace("$$", "$") for word in words]


def _file_streams(folder: Path) -> Path:
    """A header that makes <fstream> work with a libc++ that is built without <filesystem>, as those for WASI are.

    The streams are templates over <stdio.h>, and need nothing of <filesystem>. One setting of libc++ turns off both, so
    it is turned on for the headers; the other has the compiler instantiate the templates, which the library lacks.
    """
    path = folder / ".tools" / "file_streams.h"
    path.parent.mkdir(exist_ok=True)
    path.write_text(_FILE_STREAMS)
    return path


def _without_wasm_opt(folder: Path) -> Path:
    """A folder that makes a clang without `--no-wasm-opt` find a wasm-opt that does nothing.

    Clang runs any wasm-opt on PATH after linking with optimisation, on the finished module. That drops the names and
    leaves line tables that no longer fit the code. Clang looks for its tools in the folder of `-B` first.
    """
    tools = folder / ".tools"
    nothing = shutil.which("true")
    if nothing is not None and not (tools / "wasm-opt").exists():
        tools.mkdir(exist_ok=True)
        (tools / "wasm-opt").symlink_to(nothing)
    return tools


def _current_folder(job: Job) -> Path:
    try:
        return Path.cwd()
    except OSError:  # the folder of the notebook was removed
        return job.folder


def _libraries(clang: str) -> list[str]:
    """Folders whose change may make a clang able, or unable, to link for WASI."""
    home = Path(os.path.realpath(clang)).parent.parent
    return [str(path) for path in sorted(home.glob("lib/clang/*/lib"))] + [str(home / "bin")]


class C(CFamily):
    """C."""

    language = "c"
    title = "C"
    aliases = ("h",)
    related = ("clang", "gcc")
    suffixes = (".c",)
    lexer = "c"
    variable = "WASILAB_CC"
    zig_word = "cc"

    def notes(self, tool: Tool) -> list[str]:
        optimiser = shutil.which("wasm-opt")
        if tool.kind != "clang" or optimiser is None:
            return []
        return [
            f"{optimiser} is kept out of compiles: clang would run it after the linker, and it loses names and source "
            f"lines (`-- {WASM_OPT}` lets it in)"
        ]


class Cxx(CFamily):
    """C++, without exceptions: neither libc++ for WASI nor zig's links them."""

    language = "c++"
    title = "C++"
    related = ("clang++", "g++", "cplusplus")
    suffixes = (".cpp", ".cc", ".cxx", ".c++")
    lexer = "cpp"
    variable = "WASILAB_CXX"
    zig_word = "c++"
    driver = ("--driver-mode=g++",)

    def extra(self) -> tuple[str, ...]:
        return ("-fno-exceptions",)
