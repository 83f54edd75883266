"""What has to load where the host is no POSIX system, or where there is no Wasmtime."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import wasilab

PACKAGE = Path(wasilab.__file__).parent

BLOCK = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Blocked())
for name in [name for name in sys.modules if name.partition(".")[0] in {names!r}]:
    del sys.modules[name]
"""


def ground() -> list[str]:
    """The modules of text/, capabilities/ without host/, wasi/ and trace/record/."""
    files = [
        path.relative_to(PACKAGE.parent).with_suffix("")
        for room in ("text", "capabilities", "wasi", "trace/record")
        for path in (PACKAGE / room).rglob("*.py")
        if PACKAGE / "capabilities" / "host" not in path.parents
    ]
    return [".".join(path.parts).removesuffix(".__init__") for path in sorted(files)]


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_ground_loads_without_wasmtime_and_without_posix() -> None:
    """They are to run in a browser one day, so nothing in them may need what only a host has."""
    names = ("wasmtime", "resource", "fcntl", "termios")
    modules = ground()
    assert len(modules) > 30
    program = BLOCK.format(names=names) + "\n".join(f"import {module}" for module in modules)
    program += f"\nprint([name for name in sys.modules if name in {names!r}])"
    program += "\nprint([name for name in sys.modules if name.startswith('wasilab.capabilities.host')])"
    assert run(program).split("\n")[:2] == ["[]", "[]"]
