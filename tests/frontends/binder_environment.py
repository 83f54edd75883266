"""Build the environment of `binder/` as repo2docker does, without a container, and run the first lesson in it.

`.ci/run binder` runs this. It fetches some 100 packages and compiles zig's C library, so it is no test of the suite.
It prints the size on disk and the largest process, and exits with 1 if a step fails or a process has more than 2 GB.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST = 2 << 30
"""Binder stops a server that takes more memory, in bytes."""


def _python(version: str) -> str | None:
    """A Python of this version that starts: on PATH, or of pyenv."""
    pyenv = Path.home().glob(f".pyenv/versions/{version}.*/bin/python")
    for found in filter(None, (shutil.which(f"python{version}"), *map(str, pyenv))):
        if subprocess.run([found, "-c", ""], check=False, capture_output=True).returncode == 0:
            return found
    return None


def main() -> int:
    """Build it, run notebook 00, and report."""
    python = _python((ROOT / "binder" / "runtime.txt").read_text().strip().removeprefix("python-"))
    if python is None:
        print("the Python of binder/runtime.txt, whose packages are pinned, is not on this machine: nothing was built")
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        repository, environment = folder / "repository", folder / "environment"
        archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
        repository.mkdir()
        subprocess.run(["tar", "-x", "-C", str(repository)], input=archive, check=True)
        subprocess.run([python, "-m", "venv", str(environment)], check=True)
        scripts = environment / "bin"
        path = f"{scripts}{os.pathsep}{os.environ['PATH']}"
        variables = {**os.environ, "PATH": path, "HOME": str(folder / "home")}
        first = next((repository / "notebooks").glob("00-*.ipynb")).name
        for argv, place in (
            ([str(scripts / "pip"), "install", "--quiet", "-r", "binder/requirements.txt"], repository),
            ([str(repository / "binder" / "postBuild")], repository),
            ([str(scripts / "jupyter"), "execute", "--allow-errors", first], repository / "notebooks"),
        ):
            if subprocess.run(argv, cwd=place, env=variables, check=False).returncode:
                print(f"failed: {' '.join(argv)}")
                return 1
        size = sum(file.stat().st_size for file in environment.rglob("*") if file.is_file() and not file.is_symlink())
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(f"the environment has {size / 1e6:.0f} MB, and its largest process took {largest / 1e6:.0f} MB")
    return int(largest > MOST or size > MOST)


if __name__ == "__main__":
    sys.exit(main())
