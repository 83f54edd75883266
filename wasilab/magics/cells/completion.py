"""What Tab offers on a `%wasi` or `%%wasi` line: commands, options, their values, languages, names and folders.

It reads the magics' own parsers, so it offers exactly the existing options. Nothing is run, and only names in the
current folder are read. IPython calls `matcher` for every line; for any line but ours it returns nothing at once.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Iterable
from typing import Any

from ...commands.catalog import command_names
from ...commands.line.grammar import build
from ...commands.line.parser import Parser
from ...commands.line.usage import UsageProblem
from ...commands.line.words import split
from ...commands.notebook.cell_line import build_cell
from ...grants.fields import grant_fields
from ...grants.value import MODES, GrantValue
from ...toolchains.base import PROGRAMS
from ...toolchains.languages.c_family import EMULATIONS
from ...toolchains.registry import LANGUAGES
from ...views.plots.plot_options import PLOT_KINDS

LINE = re.compile(r"^\s*(%%?wasi(?:_file)?)(?=\s)(.*)$", re.DOTALL)

SOURCES = (".wasm", ".wat", ".c", ".cc", ".cpp", ".zig", ".rs", ".go", ".ts")
SCRIPTS = (".wast",)
TRACES = (".wtrace", ".jsonl", ".parquet")
GUESTS = ("/", "/data", "/tmp")
"""Guest paths that programs often use, if no run is known."""
PATH_CALLS = 2000
"""Calls of the last run whose paths are read."""


def suggestions(
    text: str, names: Iterable[str], languages: Iterable[str], paths: Callable[[], list[str]] = list
) -> tuple[str, list[str]]:
    """Candidates for the last word of `text`, a magic's line up to the cursor.

    Returns that word as it stands and the candidates. `names` are the session's named modules and runs. `paths` returns
    the guest paths that the last run used or asked for.
    """
    match = LINE.match(text)
    if match is None or "\n" in text.strip("\n"):
        return "", []
    magic, line = match[1], match[2]
    word = re.search(r"\S*$", line)
    current = word[0] if word else ""
    try:
        before = split(line[: len(line) - len(current)])
    except UsageProblem:
        return current, []
    if magic == "%%wasi":
        return _cell(before, current, languages, paths)
    if magic == "%wasi":
        return _command(before, current, names, languages, paths)
    return current, []


def _cell(
    before: list[str], current: str, languages: Iterable[str], paths: Callable[[], list[str]]
) -> tuple[str, list[str]]:
    if "--" in before:
        return current, []
    parser = build_cell()
    found = _of_option(parser, before, current, languages, paths)
    if found is None:
        found = list(languages) if not before else []
        found += _options(parser, current)
    return current, _matching(found, current)


def _command(
    before: list[str], current: str, names: Iterable[str], languages: Iterable[str], paths: Callable[[], list[str]]
) -> tuple[str, list[str]]:
    if not before:
        return current, _matching(command_names("notebook"), current)
    command, given = before[0], before[1:]
    if command not in command_names("notebook"):
        return current, []
    parser = build(command, "notebook")
    found = _of_option(parser, given, current, languages, paths)
    if found is None:
        found = (
            _options(parser, current)
            if current.startswith("-")
            else _arguments(command, given, current, names, languages)
        )
    return current, _matching(found, current)


def _arguments(
    command: str, given: list[str], current: str, names: Iterable[str], languages: Iterable[str]
) -> list[str]:
    """Candidates for a command's arguments that are not options; `given` are the words before the cursor."""
    if command == "template":
        return list(languages) if not given else list(PROGRAMS)
    if command == "plot":
        return [*names, *PLOT_KINDS] if len(given) != 1 else [*PLOT_KINDS]
    if command in ("list", "grants", "timeline", "forget", "sql"):
        return list(names)
    if command in ("doctor", "cache", "demo"):
        return []
    if command == "wast":
        return _files(current, SCRIPTS)
    suffixes = TRACES if command in ("trace", "diff", "advise") else SOURCES
    return [*names, *_files(current, suffixes)]


def _options(parser: Parser, current: str) -> list[str]:
    return sorted(name for name in parser.takes_value() if name.startswith("--")) if current.startswith("-") else []


def _of_option(
    parser: Parser, before: list[str], current: str, languages: Iterable[str], paths: Callable[[], list[str]]
) -> list[str] | None:
    """The values of the option before the cursor; None if there is none."""
    option = before[-1] if before else ""
    if not parser.takes_value().get(option):
        return None
    values: dict[str, Callable[[], list[str]]] = {
        "--dir": lambda: _folders(current, paths()),
        "--lang": lambda: list(languages),
        "--mapdir": lambda: [f"{guest}::" for guest in _guests(paths())],
        "--mem": lambda: _guests(paths()),
        "-P": lambda: paths(),
        "--only-path": lambda: paths(),
        "--stdin": lambda: ["-", "none", *_files(current, None)],
        "--policy": lambda: _files(current, (".toml",)),
        "--preload": list,
        "--link": lambda: _files(current, (".wasm", ".wat")),
        "--emulate": lambda: list(EMULATIONS),
    }
    for about in grant_fields(GrantValue).values():
        if about.flag == option and (about.kinds or about.choices):
            return [*about.choices, *(":".join(filter(None, (kind.name, kind.usual))) for kind in about.kinds)]
    return values.get(option, lambda: _files(current, None))()


def _matching(candidates: Iterable[str], current: str) -> list[str]:
    return list(dict.fromkeys(c for c in candidates if c.startswith(current)))


def _folders(current: str, paths: list[str]) -> list[str]:
    host, sep, guest = current.partition("::")
    if sep:
        modes = [f"{current}:{mode}" for mode in MODES] if guest and not re.search(r":(ro|rw|copy)?$", guest) else []
        return [f"{host}::{path}" for path in _guests(paths) if path != guest] + modes
    folders = [entry + "/" for entry in _entries(host) if os.path.isdir(os.path.expanduser(entry))]
    if not host:
        return [".", *folders]
    if os.path.isdir(host):
        folders += [f"{host.rstrip('/')}{tail}" for tail in ("::/", *(f":{mode}" for mode in MODES))]
    return folders


def _guests(paths: list[str]) -> list[str]:
    """Guest folders: those of the absolute paths that the last run asked for, and the usual ones."""
    return list(dict.fromkeys([*(posixpath.dirname(path) for path in paths if path.startswith("/")), *GUESTS]))


def _files(current: str, suffixes: tuple[str, ...] | None = SOURCES) -> list[str]:
    found = []
    for entry in _entries(current):
        if os.path.isdir(entry):
            found.append(entry + "/")
        elif suffixes is None or entry.endswith(suffixes):
            found.append(entry)
    return found


def _entries(current: str) -> list[str]:
    """The names in the folder of `current`, without hidden names and names with spaces."""
    folder, _, start = current.rpartition("/")
    base = folder + "/" if folder or current.startswith("/") else ""
    try:
        names = sorted(os.listdir(base or "."))
    except OSError:
        return []
    return [base + n for n in names if n.startswith(start) and not n.startswith(".") and not re.search(r"\s", n)][:200]


def paths_of(run: Any) -> list[str]:
    """The guest paths in the first calls of a run, without those that a shell would not read literally."""
    if run is None or not getattr(run, "traced", False):
        return []
    found = dict.fromkeys(event.path for event in run.trace[:PATH_CALLS])
    return [path for path in found if path and not path.startswith("<") and re.fullmatch(r"[\w/.+@%,:-]{1,200}", path)]


def matcher(
    names: Callable[[], Iterable[str]], languages: Callable[[], Iterable[str]], paths: Callable[[], list[str]]
) -> object:
    """An IPython completion matcher over the names, languages and guest paths that the functions give at the time."""
    from IPython.core.completer import CompletionContext, SimpleCompletion, context_matcher

    @context_matcher()  # type: ignore[untyped-decorator]
    def wasi_matcher(context: CompletionContext) -> dict[str, object]:
        text = context.text_until_cursor
        if context.cursor_line != 0 and text.lstrip().startswith("%%"):
            return {"completions": []}
        if not LINE.match(text):
            return {"completions": []}
        word, found = suggestions(text, names(), languages(), paths)
        return {
            "completions": [SimpleCompletion(text=f, type="magic") for f in found],
            "matched_fragment": word,
            "suppress": True,
        }

    wasi_matcher.matcher_identifier = "wasilab"
    return wasi_matcher


def language_names() -> list[str]:
    """The languages of cells."""
    return list(LANGUAGES)
