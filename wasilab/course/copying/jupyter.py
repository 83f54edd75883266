"""JupyterLab on a copy of the course: a kernel of this Python, and trusted notebooks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from ..claim import CourseError
from .pulling import STATE, first_notebook, notebooks_in

INSTALL = f'{os.path.basename(sys.executable)} -m pip install "wasilab[lab]"'

QUIET = ["--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
"""JupyterLab asks nobody for news and updates."""
_ANNOUNCEMENTS = "@jupyterlab/apputils-extension:announcements"
"""The part of JupyterLab that asks a student whether to fetch news."""


def open_lab(folder: Path, *, browser: bool = True, port: int | None = None, root: bool = False) -> int:
    """Run JupyterLab on a copy of the course until it ends; returns its exit status. Raises `CourseError` without it.

    `root`: let the server run as root, which it refuses by itself.
    The kernel "Python 3" is this Python whatever else is installed. The notebooks of the course are trusted, so that
    their saved outputs show.
    """
    if find_spec("jupyterlab") is None:
        raise CourseError(f"JupyterLab is not installed in this Python: {INSTALL}")
    trust(folder)
    argv = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folder.resolve()}"]
    argv += QUIET
    argv += ["--no-browser"] * (not browser) + [f"--port={port}"] * (port is not None)
    argv += ["--allow-root"] * root
    place = _own_files(folder)
    environment = os.environ | {name: _before(name, place) for name in ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH")}
    return served([*argv, str(folder.resolve() / first_notebook())], environment)


def served(argv: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a server until it ends; returns its exit status, or 128 + the number of the signal that ended it.

    Ctrl-C does not reach the server, which has a process group of its own: while it starts it would answer with a
    traceback, and later with a question. It gets SIGTERM, on which Jupyter ends its kernels and itself; at a second
    signal it is killed. The same holds for a closed terminal.
    """
    signals: list[int] = []
    server: subprocess.Popen[bytes] | None = None

    def end(number: int, frame: object) -> None:
        signals.append(number)
        if server is not None:
            server.terminate() if len(signals) == 1 else server.kill()

    names = ("SIGINT", "SIGTERM", "SIGHUP")  # SIGHUP is not on every system
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = [(number, signal.signal(number, end)) for number in numbers]
    try:
        group = None if sys.platform == "win32" else 0
        server = subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, process_group=group)
        if signals:
            server.terminate()
        status = server.wait()
    finally:
        for number, handler in before:
            signal.signal(number, handler)
    return 128 + signals[0] if signals else status if status >= 0 else 128 - status


def trust(folder: Path) -> None:
    """Sign the notebooks of the course in a copy for this user, as `jupyter trust` does."""
    paths = [str(path) for path in notebooks_in(folder) if path.is_file()]
    subprocess.run([sys.executable, "-m", "nbformat.sign", *paths], check=False, capture_output=True)


def _own_files(folder: Path) -> Path:
    """A folder within the copy in which Jupyter finds a kernel that is this Python, and a part that is off."""
    place = folder.resolve() / STATE / "jupyter"
    kernel, pages = place / "kernels" / "python3", place / "labconfig"
    kernel.mkdir(parents=True, exist_ok=True)
    pages.mkdir(exist_ok=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Python 3 (wasilab)", "language": "python", "metadata": {"debugger": True}}
    (kernel / "kernel.json").write_text(json.dumps(spec, indent=1) + "\n", encoding="utf-8")
    page = {"disabledExtensions": {_ANNOUNCEMENTS: True}}
    (pages / "page_config.json").write_text(json.dumps(page, indent=1) + "\n", encoding="utf-8")
    return place


def _before(name: str, place: Path) -> str:
    """The value of a search path of Jupyter with a folder in front."""
    return os.pathsep.join([str(place), *filter(None, [os.environ.get(name)])])
