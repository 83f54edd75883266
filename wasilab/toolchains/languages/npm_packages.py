"""Finds npm packages, and Node.js to run them.

Compilers that are npm packages (asc, componentize-js), and the adapter that makes components from modules, are looked
for in the folder that an environment variable names, in ./node_modules, beside a command on PATH, in wasilab's own data
folder, and in npm's global folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from platformdirs import user_data_path

from ..probe import executables


def own_folder() -> Path:
    """The folder for packages in our install commands: it needs no privileges and is always searched."""
    return user_data_path("wasilab")


def install_line(*packages: str) -> str:
    """The command that installs packages there."""
    folder = str(own_folder())
    home = str(Path.home())
    shown = "~" + folder[len(home) :] if folder.startswith(home + os.sep) else folder
    return f"npm install --prefix {shown} {' '.join(packages)}  # Node.js 20 or later"


def nodes() -> list[str]:
    """The Node.js programs on PATH."""
    return executables(["node", "nodejs"])


def package_folders(variable: str, marker: Path, commands: Sequence[str] = ()) -> Iterator[tuple[str, Path]]:
    """(how found, node_modules folder), in order.

    `variable` names a folder with a node_modules folder, that folder itself, or a file in a package. The current
    folder's node_modules must contain the file `marker`. `commands` are the package's commands.
    """
    if own := os.environ.get(variable, "").strip():
        path = Path(os.path.realpath(own))
        yield variable, _holding(path) or path / "node_modules"
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / "node_modules" / marker).is_file():
            yield "node_modules", folder / "node_modules"
            break
    for command in executables(commands):
        if holding := _holding(Path(os.path.realpath(command))):
            yield "PATH", holding
    yield "wasilab's data folder", own_folder() / "node_modules"
    found = nodes()
    prefixes = [Path(os.path.realpath(found[0])).parent.parent] if found else []
    for base in dict.fromkeys((*prefixes, Path("/usr/local"), Path("/usr"), Path.home() / ".npm-global")):
        yield "npm global", base / "lib" / "node_modules"


def _holding(path: Path) -> Path | None:
    """The innermost node_modules folder that is or contains `path`."""
    return next((folder for folder in (path, *path.parents) if folder.name == "node_modules"), None)
