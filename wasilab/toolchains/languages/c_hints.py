"""Hints for C or C++ that does not compile or link for WASI: the missing emulation, library or feature."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

# Symbols and headers of each emulation, as named by wasi-libc's headers and the linker.
_EMULATED = {
    "mman": ("mmap", "munmap", "mprotect", "madvise"),
    "signal": ("signal", "raise", "psignal", "strsignal", "__SIG_IGN", "__SIG_ERR"),
    "process-clocks": ("clock", "times", "getrusage", "__clock"),
    "getpid": ("getpid",),
}
_ABSENT = ("sys/", "net", "arpa/", "pthread", "pwd", "grp", "dlfcn", "spawn", "termios", "setjmp", "linux/", "ucontext")
_NO_PROCESSES = {"fork", "execve", "execvp", "execl", "wait", "waitpid", "system", "popen", "pipe", "kill", "vfork"}
_NO_SOCKETS = {"socket", "connect", "bind", "listen", "getaddrinfo", "gethostbyname"}
_NO_USERS = {"getuid", "geteuid", "getgid", "getpwuid", "getpwnam", "chmod", "fchmod", "chown", "umask"}
_UNDEFINED = re.compile(
    r"undefined symbol: `?([\w:~<>(), *&]+)"
    r"|undeclared (?:identifier|function|library function) '(\w+)'"
    r"|use of undeclared identifier '(\w+)'"
    r"|call to undeclared (?:library )?function '(\w+)'"
)


def _emulation(name: str) -> str:
    define = "_WASI_EMULATED_" + name.upper().replace("-", "_")
    return f"-D{define} -lwasi-emulated-{name}"


def hints(output: str) -> list[str]:
    """Hints for the errors in a compiler's output; empty if none is recognised."""
    return list(_hints(output))


def unlinked(output: str, sources: Mapping[str, str]) -> Iterator[str]:
    """Hints for undefined symbols that another source of the cell defines; `sources` are those not yet linked."""
    for symbol in re.findall(r"undefined symbol: `?(\w+)", output):
        for name, text in sources.items():
            if re.search(rf"\b{re.escape(symbol)}\s*\(", text):
                yield f"{name} seems to define {symbol}: compile it too, with `-- {name}` at the end of the %%wasi line"


def nowhere(output: str, source: str) -> Iterator[str]:
    """Hints for other undefined symbols: where the source uses them."""
    for symbol in dict.fromkeys(re.findall(r"undefined symbol: `?([^\n`]+)", output)):
        name = re.split(r"[(<]", symbol)[0].rpartition("::")[2].strip()
        lines = [at for at, row in enumerate(source.splitlines(), 1) if re.search(rf"\b{re.escape(name)}\s*\(", row)]
        where = f" (line {lines[-1]})" if name and lines else ""
        yield (
            f"{name or symbol} is used{where} and defined nowhere: write it, or add the file or library that has it, "
            "`-- util.c` or `-- -L FOLDER -l NAME`"
        )


def _hints(output: str) -> Iterator[str]:
    missing = {next(filter(None, found)).strip() for found in _UNDEFINED.findall(output)}
    for name, symbols in _EMULATED.items():
        if missing.intersection(symbols) or f"-lwasi-emulated-{name}" in output:
            flags = _emulation(name)
            yield f"WASI has no such call; wasi-libc emulates it in the module: add --emulate {name} (flags {flags})"
    for library in re.findall(r"unable to find (?:library -l|(?:\w+ )?system library \")([\w+.-]+)", output):
        yield (
            f"there is no library {library!r} built for WASI on this machine; "
            f"give its folder with -L, or leave out -l{library}"
        )
    for header in re.findall(r"'([\w/.+-]+)' file not found", output):
        if header.startswith(_ABSENT):
            yield f"wasi-libc has no {header}: WASI gives a module files, clocks and randomness, not the rest of POSIX"
        elif "/" not in header or header.endswith((".h", ".hpp")):
            yield f"put {header} beside the source with a %%wasi_file {header} cell, or add its folder with -I"
    if missing & {"main", "__main_void", "__main_argc_argv", "__original_main"}:
        yield (
            "a program needs main(); a module of exported functions alone (a reactor): add -mexec-model=reactor "
            "(in a cell: --reactor)"
        )
    if missing.intersection(_NO_PROCESSES):
        yield "WASI has no processes: " + ", ".join(sorted(missing & _NO_PROCESSES)) + " cannot exist there"
    if missing.intersection(_NO_SOCKETS):
        yield "WASI preview 1 cannot open sockets; it can only accept on one that it was given (accept, recv, send)"
    if missing.intersection(_NO_USERS):
        yield "WASI has no users or permission bits: " + ", ".join(sorted(missing & _NO_USERS)) + " cannot exist there"
    if any(symbol.startswith("__cxa_") or "exception" in symbol for symbol in missing) or (
        "cannot use 'throw' with exceptions disabled" in output or "cannot use 'try' with exceptions disabled" in output
    ):
        yield "C++ exceptions do not link for WASI here: return an error, or end with std::abort()"
    if re.search(r"undefined template 'std::basic_[io]?f(?:stream|ilebuf)|no member named 'filesystem'", output):
        yield "libc++ for WASI has no <filesystem>: include <fstream> in the source itself, or use std::fopen"
    if (
        missing & {"setjmp", "longjmp", "__wasm_setjmp", "__wasm_longjmp"}
        or "Setjmp/longjmp support requires" in output
    ):
        yield "setjmp and longjmp need WebAssembly exceptions, which this libc is not built for"
    if "pthread_create" in missing or "thread" in missing:
        yield "this target has one thread; wasm32-wasi-threads would need a libc built for it"
