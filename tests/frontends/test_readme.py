"""What README.md and MANUAL.md tell a reader to type is typed here: terminal lines, cells, Python, files and flags."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from wasilab.cli import main
from wasilab.commands.catalog import command_names
from wasilab.commands.line.grammar import build
from wasilab.commands.notebook.cell_line import build_cell
from wasilab.toolchains.diagnostics import ToolchainMissing
from wasilab.toolchains.registry import toolchain_for

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MANUAL = (ROOT / "wasilab" / "MANUAL.md").read_text(encoding="utf-8")
BOTH = f"{README}\n{MANUAL}"

# What each terminal line of the manual is to end with, and to say on stdout or stderr, by what stands in it only.
SAYS = {
    "run --dir in --dir out:rw": (0, "copied 75 bytes"),
    "--deny-all": (2, "args_sizes_get"),
    "--learn": (0, "--dir out:rw"),
    "run --trace": (1, "out/x.txt"),
    "run --record": (1, "run.wtrace: "),
    "replay": (0, "stopped before call 12"),
    "trace -e": (0, "= -1 "),
    "run --filter": (1, "path_open(fd=3<in>"),
    "--annotate": (0, "fopen(argv[1]"),
    "sql": (0, "path_open"),
    "inspect": (0, "path_open"),
    "code copy.wasm": (0, "bytes of WebAssembly"),
    "memory run": (0, "stack pointer 0x"),
    "explore": (0, "page.html: what copy.wasm can ask for"),
    "doctor": (0, "wasmtime"),
}


def blocks(heading: str) -> list[tuple[str, str]]:
    """(language, text) of each fenced block below a heading of the second level."""
    part = BOTH.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^```(\w*)\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)


def lines(heading: str) -> list[str]:
    """The terminal lines below a heading."""
    return [line for lang, text in blocks(heading) if lang == "sh" for line in text.splitlines()]


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Path:
    """A folder in which the demo has run."""
    try:
        toolchain_for("c").find()
    except ToolchainMissing as missing:
        pytest.skip(str(missing))
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    capfd.readouterr()
    return tmp_path


@pytest.mark.toolchain
def test_every_terminal_line_does_what_is_said_of_it(
    demo: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(demo / "wasilab-demo")
    typed = lines("In a terminal")
    assert len(typed) == len(SAYS)
    for line in typed:
        (expected,) = [answer for part, answer in SAYS.items() if part in line]
        words = shlex.split(line, comments=True)
        assert words[0] == "wasilab"
        status = main(words[1:])
        said = "".join(capfd.readouterr())
        assert (status, expected[1] in said) == (expected[0], True), f"{line}\n{said}"
    assert (demo / "wasilab-demo" / "out" / "copy.txt").read_bytes() == Path("in/hello.txt").read_bytes()
    assert not (demo / "wasilab-demo" / "out" / "x.txt").exists()


@pytest.mark.toolchain
def test_the_lines_on_faults_do_what_is_said_of_them(
    demo: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(demo / "wasilab-demo")
    one, each = lines("Faults")
    assert main(shlex.split(one, comments=True)[1:]) in (0, 1)  # two writes are all that so short a text needs
    capfd.readouterr()
    assert main(shlex.split(each, comments=True)[1:]) == 1
    assert "a silent loss" in capfd.readouterr().out


@pytest.mark.toolchain
def test_the_cells_run_as_they_stand_and_are_refused_without_their_grant(demo: Path, ipython: InteractiveShell) -> None:
    cells = [text for lang, text in blocks("Five minutes") if not lang]
    for cell in cells:
        result = ipython.run_cell(cell)
        assert result.success, cell
    run = result.result
    assert "wasilab-demo" in run.stdout.split()
    assert run.exit_code == 0
    assert ipython.run_cell("%wasi run look").result.exit_code == 0, "it keeps the grants of its cell"
    refused = ipython.run_cell("%wasi run --deny-all look").result
    assert refused.exit_code == 1
    assert refused.denied
    for name in re.findall(r"`_\.(\w+)`", BOTH):
        assert hasattr(run, name)


@pytest.mark.toolchain
def test_the_python_runs_as_it_stands(demo: Path) -> None:
    (code,) = [text for lang, text in blocks("In Python") if lang == "python"]
    (sweeping,) = [text for lang, text in blocks("Sweeps") if lang == "python"]
    (recording,) = [text for lang, text in blocks("Record once, replay anywhere") if lang == "python"]
    (inside,) = [text for lang, text in blocks("A look inside") if lang == "python"]
    found: dict[str, Any] = {}
    shown: list[Any] = []
    tree = ast.parse(code + inside + recording + sweeping)
    for node in ast.walk(tree):  # what a line of the manual would show in a cell is kept
        if isinstance(node, ast.Expr):
            node.value = ast.Call(ast.Name("show", ast.Load()), [node.value], [])
    exec(compile(ast.fix_missing_locations(tree), "MANUAL.md", "exec"), {"show": shown.append}, found)
    run = found["run"]
    assert run.exit_code == 0
    assert run.stdout.startswith("copied 75 bytes")
    assert found["grants"].dirs["out"].read_bytes("copy.txt") == (demo / "wasilab-demo/in/hello.txt").read_bytes()
    assert (demo / "report.html").read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert (3, bytes(16)) in shown
    assert (None, True) in shown
    assert len(found["runs"]) == 10
    assert found["recorded"].stdout.startswith("copied 75 bytes")
    assert any("went through it" in str(each) for each in shown)
    assert any("could be dropped" in str(each) for each in shown)


def console() -> Iterator[tuple[str, str]]:
    """(command, output) of each command of the tour."""
    for lang, text in blocks("Five minutes"):
        if lang == "console":
            for piece in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, _, output = piece.partition("\n")
                yield command, output


def timeless(text: str) -> str:
    """The text without times: the first column of strace's text, and what a call took."""
    return re.sub(r"<\d+\.\d+>$", "<>", re.sub(r"^\d+\.\d+ ", "", text, flags=re.MULTILINE), flags=re.MULTILINE)


@pytest.mark.toolchain
def test_the_tour_prints_what_the_readme_shows(
    demo: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(demo / "wasilab-demo")
    tour = list(console())
    assert len(tour) >= 5
    for command, shown in tour:
        words = shlex.split(command)
        assert words[0] == "wasilab"
        main(words[1:])
        out, err = capfd.readouterr()
        assert timeless(shown) == timeless(out + err), command


@pytest.mark.toolchain
def test_the_commands_after_the_tour_work(
    demo: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(demo / "wasilab-demo")
    part = README.split("\n## Five minutes\n")[1].split("\n## ")[0]
    typed = re.findall(r"^\| [^|]+ \| `(wasilab [^`]+)` \|$", part, re.MULTILINE)
    assert len(typed) == 7
    for line in typed:
        if " wast " in line:
            continue  # WebAssembly's own test suite is not here
        assert main(shlex.split(line)[1:]) in (0, 1), line
        assert "Traceback" not in "".join(capfd.readouterr())


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) < 200


def test_every_option_that_the_readme_names_exists() -> None:
    parsers = [build(name, "cli") for name in command_names("cli")] + [build_cell()]
    known = {spelling for parser in parsers for spelling in parser.takes_value()}
    ours = BOTH.replace("jupyter nbconvert", "").replace("--ClearMetadataPreprocessor.enabled", "")
    others = {  # of other programs
        "--to", "--execute", "--calls", "--max", "--here", "--strict", "--trace", "--inject", "--export-table",
        "--growable-table",
    }  # fmt: skip
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", ours)) - others
    assert named
    assert named <= known | {"--no-argv", "--no-stdout", "--no-stderr", "--no-native", "--version"}, named - known


def test_every_file_that_the_readme_names_is_there() -> None:
    named = set(re.findall(r"`((?:tests|wasilab|notebooks|binder|\.ci)/[\w./-]*)`", BOTH))
    named |= set(re.findall(r"\]\(([\w./-]+)\)", README))
    named |= {f"wasilab/{name}" for name in re.findall(r"\]\(([\w./-]+)\)", MANUAL)}
    named |= {f"wasilab/{name}" for name in re.findall(r"`((?:engine|wasi|capabilities|trace)/[\w/]+\.py)`", BOTH)}
    named |= set(re.findall(r"^(wasilab/[\w./]+)  ", README, re.MULTILINE))
    assert len(named) > 15
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_module_that_the_readme_runs_can_be_run() -> None:
    modules = set(re.findall(r"python -m (tests[\w.]+)", BOTH))
    assert {"tests.bench", "tests.bench.trace", "tests.hostile.fuzz"} <= modules
    for module in modules:
        file = ROOT / module.replace(".", "/")
        source = (file / "__main__.py" if file.is_dir() else file.with_suffix(".py")).read_text(encoding="utf-8")
        assert '__name__ == "__main__"' in source or file.is_dir()
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile.fuzz", "--calls", "200"],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_an_install_command_and_a_test_command_are_marked_for_a_fresh_machine() -> None:
    marked = dict(re.findall(r"<!-- (\w+) command -->\n```sh\n(.*)\n```", README))
    assert set(marked) == {"install", "test"}
    for command in marked.values():
        assert "python3 -m venv .venv && .venv/bin/pip install " in command
    assert re.match(r"echo 'fetching \d+ MB", marked["install"]), "what is fetched is said before it is"
    assert marked["install"].endswith(" && .venv/bin/wasilab demo")
    assert marked["test"].endswith(" && .venv/bin/python -m pytest")
