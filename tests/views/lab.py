"""A JupyterLab of one's own for the browser tests: private folders, a free port, Debian's Chromium.

Not a test: `test_browser*.py` drive it. Waits are for conditions (a kernel that is idle, an element that is there),
never for time.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"

COPY = """
import wasilab, pathlib
pathlib.Path('in').mkdir(exist_ok=True); pathlib.Path('out').mkdir(exist_ok=True)
pathlib.Path('in/a.txt').write_text('one\\ntwo\\nthree\\n' * 500)
source = '''
#include <stdio.h>
int main(int argc, char **argv) {
    char line[80];
    FILE *from = fopen("/in/a.txt", "r");
    if (!from) { perror("/in/a.txt"); return 1; }
    FILE *to = fopen("/in/b.txt", "w");
    if (!to) perror("/in/b.txt");
    to = fopen("/out/b.txt", "w");
    int n = 0;
    while (fgets(line, sizeof line, from)) { fputs(line, to); if (n++ < 5) { fputs(line, stdout); fflush(stdout); } }
    fclose(to);
    fclose(from);
    return 0;
}
'''
module = wasilab.compile(source, 'c', name='copy')
grants = wasilab.Grants(dirs={'/in': wasilab.HostDir('in'), '/out': wasilab.HostDir('out', mode='rw')})
run = wasilab.run(module, grants=grants, stacks=True)
run
"""
"""A program that copies a file line by line, and is refused a write: the cell that most browser tests run."""


def shot(page: Any, name: str) -> None:
    """Keep a screenshot in the folder that WASILAB_SCREENSHOTS names, if it names one."""
    folder = os.environ.get("WASILAB_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


class Lab:
    """A running server over `folder`; `app` is "jupyterlab" or "notebook" (Notebook 7)."""

    def __init__(self, folder: Path, app: str = "jupyterlab") -> None:
        self.folder = folder
        self.notebooks = folder / "work"
        self.notebooks.mkdir(parents=True)
        self.app = app
        self.token = secrets.token_hex(16)
        settings = folder / "config" / "lab" / "user-settings"
        for plugin, value in (
            ("@jupyter-widgets/jupyterlab-manager/plugin", {"saveState": True}),
            ("@jupyterlab/apputils-extension/notification", {"fetchNews": "false", "checkForUpdates": False}),
        ):
            path = settings / f"{plugin}.jupyterlab-settings"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(value))
        environment = {
            **os.environ,
            **{name: str(folder / name.lower()) for name in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "JUPYTER_DATA_DIR")},
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "JUPYTERLAB_SETTINGS_DIR": str(settings),
            "PYTHONPATH": str(REPOSITORY),
        }
        self.log = (folder / "server.log").open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", app, "--no-browser", "--ServerApp.port=0", f"--IdentityProvider.token={self.token}",
             "--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True", "--allow-root",
             f"--ServerApp.root_dir={self.notebooks}"],
            env=environment, stdout=self.log, stderr=self.log,
        )  # fmt: skip
        self.url = self._url(folder / "jupyter_runtime_dir")

    def _url(self, runtime: Path) -> str:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            assert self.process.poll() is None, (self.folder / "server.log").read_text()
            for found in runtime.glob("jpserver-*.json"):
                try:
                    return str(json.loads(found.read_text())["url"])
                except (ValueError, KeyError):
                    pass
            time.sleep(0.1)
        raise AssertionError("the server did not start:\n" + (self.folder / "server.log").read_text())

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        self.log.close()

    def write(self, name: str, cells: Sequence[str]) -> None:
        """A notebook with these code cells."""
        import nbformat  # two seconds, and only the browser tests need it

        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(book, self.notebooks / name)

    def open(self, browser: Any, name: str, *, width: int = 1300, height: int = 1000) -> Page:
        """Open a notebook in a fresh page and wait for its kernel."""
        page = browser.new_page(viewport={"width": width, "height": height})
        return Page(self, page, name)


class Page:
    """A notebook in a browser. `errors` are the page's own errors: tests assert that there are none."""

    def __init__(self, lab: Lab, page: Any, name: str) -> None:
        self.lab = lab
        self.page = page
        self.name = name
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(f"{error}\n{error.stack}"))
        tree = "lab/tree" if lab.app == "jupyterlab" else "notebooks"
        page.goto(f"{lab.url}{tree}/{name}?reset&token={lab.token}")
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=90_000)
        page.wait_for_function("() => window.jupyterapp !== undefined", timeout=60_000)
        self.idle()

    def idle(self, timeout: float = 120_000) -> None:
        """Wait until the kernel is idle and no cell is running."""
        self.page.wait_for_function(
            """() => { const widget = window.jupyterapp.shell.currentWidget;
            const session = widget?.sessionContext ?? widget?.context?.sessionContext;
            const busy = [...document.querySelectorAll('.jp-InputPrompt')].some((p) => p.textContent.includes('[*]'));
            return session?.session?.kernel?.status === 'idle' && !busy; }""",
            timeout=timeout,
        )

    def command(self, name: str, arguments: dict[str, Any] | None = None) -> None:
        """Run a JupyterLab command."""
        self.page.evaluate("([name, args]) => window.jupyterapp.commands.execute(name, args)", [name, arguments or {}])

    def theme(self, name: str) -> None:
        """Change the theme to "Dark" or "Light" and wait until its splash screen has left the page.

        JupyterLab removes the splash 200 ms after a change; a second change before that removes it twice, which raises.
        """
        self.command("apputils:change-theme", {"theme": f"JupyterLab {name}"})
        self.page.wait_for_function(
            """(name) => document.body.dataset.jpThemeName === name
                && document.getElementById('jupyterlab-splash') === null""",
            arg=f"JupyterLab {name}",
        )

    def run_all(self) -> None:
        """Run every cell and wait for the end."""
        self.command("notebook:run-all-cells")
        self.page.wait_for_function(
            """() => [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')]
                .every((prompt) => /\\[[\\d*]+\\]/.test(prompt.textContent))"""
        )
        self.idle()

    def timeline(self, index: int = 0) -> Timeline:
        """The timeline widget number `index` of the page, once it has painted."""
        self.page.wait_for_function(
            "(i) => document.querySelectorAll('.wasilab-timeline')[i]?.timeline?.root.dataset.painted", arg=index
        )
        return Timeline(self.page, index)

    def save(self) -> None:
        """Save the notebook."""
        self.command("docmanager:save")
        self.page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")

    def close(self) -> None:
        self.page.close()


class Timeline:
    """The widget in a page, by its own object (`host.timeline`)."""

    def __init__(self, page: Any, index: int) -> None:
        self.page = page
        self.host = page.locator(".wasilab-timeline").nth(index)
        self.canvas = self.host.locator("canvas.main")

    def js(self, expression: str, argument: Any = None) -> Any:
        """Evaluate JavaScript with `view` (the TimelineView) and `arg`."""
        code = f"async (host, arg) => {{ const view = host.timeline; return {expression}; }}"
        return self.host.evaluate(code, argument)

    def until(self, expression: str, timeout: float = 30_000) -> None:
        """Wait until a JavaScript expression of `view` is true."""
        end = time.monotonic() + timeout / 1000
        while not self.js(expression):
            assert time.monotonic() < end, f"never true: {expression}; status: {self.js('view.status.textContent')}"
            self.page.wait_for_timeout(50)

    def middle(self, part: float = 0.5) -> tuple[float, float]:
        """A point of the page over the canvas, `part` of its width from the left."""
        self.canvas.scroll_into_view_if_needed()
        box = self.canvas.bounding_box()
        return box["x"] + box["width"] * part, box["y"] + box["height"] * 0.4
