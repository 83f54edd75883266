"""Compiler diagnostics as values, and the errors raised by a failed compile.

Each compiler has its own format; `parse` reads those of the supported languages (GNU style for clang, zig, wasm-ld and
Go; rustc's and asc's arrows; wasmtime's WAT arrows; the traces of Python and JavaScript). The displayed text is the
compiler's own; only Go's, which shows no source, gets the source lines added (`with_source`). Not here: colours, and
the choice of the compiler.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One compiler message. `line` and `column` count from 1; 0 if the compiler gave none."""

    line: int
    column: int
    severity: str
    """"error", "warning", "note", "help" or "info"."""
    message: str
    source_line: str = ""
    """The text of that source line; empty if it is not in the cell."""
    file: str = ""
    """The file name for the user (`copy.c`, `util.h`); empty for linker messages."""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: " if self.line else ""
        return f"{where}{self.severity}: {self.message}"


class ToolchainError(Exception):
    """A source could not be compiled, for any reason."""


class CompileError(ToolchainError):
    """The compiler rejected the source. `str(error)` is the compiler's output, with the cell's line numbers."""

    def __init__(
        self,
        output: str,
        diagnostics: Iterable[Diagnostic] = (),
        *,
        hints: Iterable[str] = (),
        command: tuple[str, ...] = (),
        toolchain: str = "",
        source: str = "",
    ) -> None:
        super().__init__(output)
        self.output = output
        self.diagnostics = tuple(diagnostics)
        self.hints = tuple(hints)
        """Our suggestions: a flag or change that would help."""
        self.command = command
        self.toolchain = toolchain
        self.source = source
        """The source as compiled, so that line numbers match."""

    def __str__(self) -> str:
        return "\n".join([self.output.rstrip("\n"), *(f"hint: {hint}" for hint in self.hints)])


class ToolchainMissing(ToolchainError):
    """No usable compiler for a language; the message has the install command."""

    def __init__(self, language: str, title: str, install: str, tried: Iterable[str] = ()) -> None:
        self.language = language
        self.install = install
        self.tried = tuple(tried)
        looked = "".join(f"\n  tried {line}" for line in self.tried)
        super().__init__(f"no usable {title} compiler for WASI was found; install one with: {install}{looked}")


class CompileInterrupted(ToolchainError):
    """The compile was interrupted; its processes have ended and nothing is cached."""


_SEVERITY = {
    "error": "error",
    "fatal error": "error",
    "fatal": "error",
    "warning": "warning",
    "note": "note",
    "remark": "info",
    "info": "info",
    "pedantic": "info",
    "help": "help",
}
_GNU = re.compile(
    r"^(?P<file>[^\s:][^:\n]*?):(?P<line>\d+):(?:(?P<col>\d+):)? "
    r"(?:(?P<sev>fatal error|error|warning|note|remark): )?(?P<msg>.+)$"
)
_TOOL = re.compile(
    r"^(?:[\w./+-]*(?:clang|zig|wasm-ld|ld|rust-lld)[\w.+-]*|error): "
    r"(?:(?P<sev>fatal error|error|warning|note): )?(?P<msg>.+)$"
)
_RUSTC = re.compile(r"^(?P<sev>error|warning|note|help)(?:\[[A-Z]\d+\])?: (?P<msg>.+)$")
_ARROW = re.compile(r"^\s*--> (?P<file>.+?):(?P<line>\d+):(?P<col>\d+)\s*$")
_ASC = re.compile(r"^(?P<sev>ERROR|WARNING|INFO|PEDANTIC)(?: [A-Z]+\d+)?: (?P<msg>.+?)\s*$")
_ASC_AT = re.compile(r"^\s*└─ in (?P<file>.+?)\((?P<line>\d+),(?P<col>\d+)\)\s*$")
_THROWN = re.compile(r"^(?:Uncaught )?(?P<msg>[A-Za-z_.]*(?:Error|Exception|Interrupt|Exit)\b.*)$")
_PYTHON_AT = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+)')
_JAVASCRIPT_AT = re.compile(r"(?:^|[@(\s])(?P<file>[^\s:@()/\\]+\.m?js):(?P<line>\d+)(?::(?P<col>\d+))?")


def parse(text: str, sources: Mapping[str, str], style: str = "gnu") -> list[Diagnostic]:
    """Parse the diagnostics in a compiler's output, in order.

    `sources` maps the compile's file names to their text, for `source_line`. `style` is "gnu"
    (clang, zig, wasm-ld, Go), "rustc", "asc", "wat", "python" or "javascript". Lines that are not messages
    are left out.
    """
    lines = {name: body.splitlines() for name, body in sources.items()}
    if style == "gnu":
        return _parse_gnu(text, lines)
    if style in ("python", "javascript"):
        return _parse_trace(text, lines, _PYTHON_AT if style == "python" else _JAVASCRIPT_AT)
    return _parse_arrows(text, lines, style)


def with_source(text: str, sources: Mapping[str, str]) -> str:
    """Add severity, source line and caret in clang's style, for a compiler that prints only the location.

    Rows that already have a severity, or do not refer to a line of `sources`, are unchanged.
    """
    lines = {name: body.splitlines() for name, body in sources.items()}
    rows = []
    for row in text.splitlines():
        match = _GNU.match(row)
        body = lines.get(_plain(match["file"]), []) if match else []
        if match is None or match["sev"] or not 0 < (line := int(match["line"])) <= len(body):
            rows.append(row)
            continue
        column = int(match["col"] or 0)
        place = f"{_plain(match['file'])}:{line}:" + (f"{column}:" if column else "")
        rows += [f"{place} error: {match['msg']}", f"{line:5} | {body[line - 1]}"]
        if column:
            before = body[line - 1].encode()[: column - 1].decode("utf-8", "replace")
            rows.append("      | " + "".join("\t" if char == "\t" else " " for char in before) + "^")
    return "".join(row + "\n" for row in rows)


def _source_line(lines: Mapping[str, list[str]], file: str, line: int) -> str:
    body = lines.get(file, [])
    return body[line - 1] if 0 < line <= len(body) else ""


def _plain(file: str) -> str:
    return file[2:] if file.startswith("./") else file


def _parse_gnu(text: str, lines: Mapping[str, list[str]]) -> list[Diagnostic]:
    found = []
    for row in text.splitlines():
        if match := _GNU.match(row):
            file, line = _plain(match["file"]), int(match["line"])
            # Go prints no severity: messages about the package are errors.
            severity = _SEVERITY[match["sev"] or "error"]
            found.append(
                Diagnostic(line, int(match["col"] or 0), severity, match["msg"], _source_line(lines, file, line), file)
            )
        elif match := _TOOL.match(row):
            found.append(Diagnostic(0, 0, _SEVERITY[match["sev"] or "error"], match["msg"]))
    return found


def _parse_arrows(text: str, lines: Mapping[str, list[str]], style: str) -> list[Diagnostic]:
    """Parse formats with the message first and the location on a later line."""
    head, place = (_ASC, _ASC_AT) if style == "asc" else (_RUSTC, _ARROW)
    found: list[Diagnostic] = []
    pending: tuple[str, str] | None = None
    for row in text.splitlines():
        if match := head.match(row):
            if pending:
                found.append(Diagnostic(0, 0, *pending))
            pending = (_SEVERITY[match["sev"].lower()], match["msg"])
        elif match := place.match(row):
            if pending is None and style != "wat":
                continue
            severity, message = pending or ("error", text.strip().splitlines()[0])
            file, line = _plain(match["file"]), int(match["line"])
            found.append(Diagnostic(line, int(match["col"]), severity, message, _source_line(lines, file, line), file))
            pending = None
    if pending:
        found.append(Diagnostic(0, 0, *pending))
    return found


def _parse_trace(text: str, lines: Mapping[str, list[str]], at: re.Pattern[str]) -> list[Diagnostic]:
    """The uncaught error of a trace, at the innermost location within the sources."""
    message = next((m["msg"] for row in text.splitlines() if (m := _THROWN.match(row))), "")
    places = [m for row in text.splitlines() for m in at.finditer(row) if m["file"] in lines]
    if not message:
        return []
    if not places:
        return [Diagnostic(0, 0, "error", message)]
    place = places[-1] if at is _PYTHON_AT else places[0]
    file, line, column = place["file"], int(place["line"]), int(place.groupdict().get("col") or 0)
    return [Diagnostic(line, column, "error", message, _source_line(lines, file, line), file)]
