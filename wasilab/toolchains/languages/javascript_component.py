"""JavaScript as a component made by componentize-js: the engine StarlingMonkey, and the cell.

componentize-js runs a module once and snapshots the engine; the module's exports become the component's. A cell is a
plain script, so it becomes the body of the exported `run`, after its `import`s, on the same lines. A source with its
own `export` is not changed. `wasi:` names may be imported without a version.

The two npm packages are looked for in WASILAB_COMPONENTIZE_JS and in the folders of `npm_packages.py`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import ClassVar

from ...capabilities.host.cache_folders import cache_folder
from ...wasi.components.catalogue import INTERFACES
from ...wasi.components.wit.wit_packages import VERSION, command_wit
from ..base import Command, Job, Toolchain
from ..cache import make_folder
from ..diagnostics import ToolchainError
from ..names import source_file_name
from ..probe import Failure, Tool, remembered
from ..process import ProcessBounds, run_group
from .npm_packages import install_line, nodes, package_folders

PACKAGE = Path("@bytecodealliance", "componentize-js")
ENTRY = PACKAGE / "src" / "componentize.js"
_IMPORT = re.compile(r"^[ \t]*import\b(?!\s*[(.])[^;'\"]*['\"][^'\"\n]+['\"][ \t]*;?", re.MULTILINE)
_EXPORT = re.compile(r"^[ \t]*export\b", re.MULTILINE)
_WASI = re.compile(r"(['\"])(wasi:[a-z0-9-]+/[a-z0-9-]+)(?:@0\.2\.\d+)?\1")
_DRIVER = """\
import { readFile, writeFile } from 'node:fs/promises';
import { spawnSync } from 'node:child_process';
import { pathToFileURL } from 'node:url';
const [entry, name, home, ...off] = process.argv.slice(2);
const program = '../wasilab_program.mjs';
const checked = spawnSync(process.execPath, ['--check', program], { encoding: 'utf8' });
if (checked.status !== 0) {
  console.error(checked.stderr.replace(/^\\S*wasilab_program\\.mjs/gm, name).replace(/\\n\\s+at [^]*$/, ''));
  process.exit(1);
}
const { componentize } = await import(pathToFileURL(entry).href);
try {
  const made = await componentize(
    await readFile(program, 'utf8'), await readFile('../world.wit', 'utf8'),
    { sourceName: name, worldName: 'command', disableFeatures: off, env: { HOME: home } },
  );
  await writeFile('../out.wasm', made.component);
} catch (error) {
  console.error(String(error?.message ?? error));
  process.exitCode = 1;
}
"""
_BEFORE = "export const run = { async run() { try { "
_AFTER = """
} catch (error) {
  console.error(error instanceof Error ? `${error}\\n${error.stack}` : `Uncaught ${error}`);
  wasilabExit(1);
} } };
"""
_EXIT = "import { exitWithCode as wasilabExit } from 'wasi:cli/exit'; "


class JavaScript(Toolchain):
    """JavaScript."""

    language = "javascript"
    title = "JavaScript"
    related = ("node", "nodejs")
    suffixes = (".js", ".mjs")
    lexer = "javascript"
    style = "javascript"
    makes_component = True
    refused_flags: ClassVar[dict[str, str]] = {}

    @property
    def install(self) -> str:
        return install_line("@bytecodealliance/componentize-js", "@bytecodealliance/jco")

    def candidates(self, *, refresh: bool = False) -> list[Tool | Failure]:
        found_nodes = nodes()
        if not found_nodes:
            return []
        node = found_nodes[0]
        found: list[Tool | Failure] = []
        for how, modules in package_folders("WASILAB_COMPONENTIZE_JS", ENTRY, ["componentize-js"]):
            if not (modules / ENTRY).is_file():
                if how == "WASILAB_COMPONENTIZE_JS":
                    found.append(Failure(str(modules), "there is no package @bytecodealliance/componentize-js there"))
                continue

            def probe(how: str = how, modules: Path = modules) -> Tool:
                return _probe(node, modules, how)

            watch = [str(modules / PACKAGE / "package.json"), node]
            found.append(remembered(f"js\0{how}\0{node}", str(modules / ENTRY), probe, watch=watch, refresh=refresh))
            if isinstance(found[-1], Tool) and not refresh:
                break
        return found

    def tune(self, flags: tuple[str, ...]) -> tuple[str, ...]:
        if flags:
            raise ToolchainError(f"JavaScript is compiled without flags; leave out {' '.join(flags)!r}")
        return flags

    def command(self, tool: Tool, job: Job) -> Command:
        source = program_of(job.source)
        used = {name for _, name in _WASI.findall(source)}
        features = ["fetch-event"] if re.search(r"\bfetch\s*\(", source) else ["http", "fetch-event"]
        (job.folder / "world.wit").write_text(command_wit(INTERFACES, imports=used), encoding="utf-8")
        (job.folder / "wasilab_program.mjs").write_text(source, encoding="utf-8", errors="surrogatepass")
        (job.folder / "wasilab_driver.mjs").write_text(_DRIVER, encoding="utf-8")
        # componentize-js mistakes a TMPDIR below the current folder for the source folder.
        inside = job.folder / "wasilab_js"
        inside.mkdir(exist_ok=True)
        argv = [*tool.argv[:1], "../wasilab_driver.mjs", tool.argv[1], job.file_name, *self.caches(tool), *features]
        return Command(tuple(argv), inside, {"NODE_OPTIONS": None})

    def file_name(self, name: str) -> str:
        # componentize-js splits names at spaces; the others surround a place in an error's trace.
        return re.sub(r"[\s@()]", "_", source_file_name(name, self.suffixes))

    def context(self, job: Job) -> list[str]:
        return [_DRIVER, _BEFORE, _AFTER, command_wit(INTERFACES)]

    def installation(self, tool: Tool) -> list[str]:
        # componentize-js imports other packages that npm installed beside it, and starts wizer from one of them.
        return [*super().installation(tool), tool.extra["modules"]]

    def caches(self, tool: Tool) -> list[str]:
        # wizer compiles the engine, and caches its machine code below $HOME.
        return [str(make_folder(cache_folder() / "componentize-js"))]

    def clean(self, output: str, job: Job) -> str:
        """The engine's messages about the script."""
        text = re.sub(r"\s*\n(?:Redirecting|Call to main|thread '|note: run with).*", "", super().clean(output, job))
        return text.strip("\n") + "\n" if text.strip() else ""

    def sentence(self, tool: Tool, job: Job, elapsed: float) -> str:
        return f"making a component of the engine and {job.file_name}: about 30 s"


def program_of(source: str) -> str:
    """The module for a script: the script itself if it has exports, else one with it as the body of `run`."""
    if not _EXPORT.search(source):
        imports = [match[0].strip().rstrip(";") for match in _IMPORT.finditer(source)]
        head = _EXIT + "".join(f"{' '.join(one.split())}; " for one in imports)
        body = _IMPORT.sub(lambda match: "\n" * match[0].count("\n"), source)
        source = f"{head}{_BEFORE}{body}{_AFTER}"
    return _WASI.sub(lambda match: f"{match[1]}{match[2]}@{VERSION}{match[1]}", source)


def _probe(node: str, modules: Path, how: str) -> Tool:
    try:
        version = json.loads((modules / PACKAGE / "package.json").read_text(encoding="utf-8"))["version"]
    except (OSError, ValueError, KeyError) as error:
        raise ToolchainError(f"its package.json cannot be read: {error}") from error
    if not (modules / "@bytecodealliance" / "jco" / "package.json").is_file():
        raise ToolchainError("the npm package @bytecodealliance/jco is not beside it; install both together")
    stated = run_group([node, "--version"], bounds=ProcessBounds(60))
    if stated.status != 0:
        raise ToolchainError(f"{node} does not run: {stated.output.strip()[:200]}")
    return Tool(
        "componentize-js", (node, str(modules / ENTRY)), version, str(modules / ENTRY), how, {"modules": str(modules)}
    )
