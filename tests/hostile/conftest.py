"""What hostile guests run in: a grant, files outside it that must not change, and a count of the process's descriptors.

Every test of this folder is checked against both when it ends."""

from __future__ import annotations

import gc
import itertools
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import wasilab

from .guests import Guest

SECRET = b"the secret outside"
PYTHON_HERE = {**os.environ, "PYTHONPATH": str(Path(wasilab.__file__).parent.parent)}
"""The environment of a process that is to import the very wasilab that is tested."""


@dataclass
class Yard:
    """`inside` is granted, `outside` is not; both lie in `base`."""

    base: Path

    @property
    def inside(self) -> Path:
        return self.base / "inside"

    @property
    def outside(self) -> Path:
        return self.base / "outside"

    def guest(self, **options: object) -> Guest:
        """A hostile guest whose descriptor 3 is `inside`."""
        return Guest(self, **options)  # type: ignore[arg-type]


def picture(root: Path) -> list[tuple[object, ...]]:
    """Everything that a guest could have changed in a tree: names, types, modes, owners, links, contents, mtimes."""
    seen: list[tuple[object, ...]] = []
    for folder, names, files in os.walk(root):
        for name in sorted([*names, *files]):
            path = Path(folder) / name
            st = path.lstat()
            what = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
            seen.append((str(path.relative_to(root)), st.st_mode, st.st_uid, st.st_nlink, st.st_mtime_ns, what))
    return sorted(seen, key=str)


def descriptors() -> dict[str, str]:
    """The process's open descriptors and what they are, those of listing them left out."""
    found: dict[str, str] = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            what = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        # Not the data segments of Wasmtime's pool of compiled modules, nor the fonts that Matplotlib keeps open.
        if not what.startswith("/memfd:wasm") and not what.endswith(".ttf"):
            found[name] = what
    return found


def leaked_since(before: dict[str, str], seconds: float = 20.0) -> dict[str, str]:
    """The descriptors opened since `before` that stay open, those of threads that are just ending given the time."""
    deadline = time.monotonic() + seconds
    for generation in itertools.chain((0, 1), itertools.repeat(2)):  # the youngest garbage is collected in no time
        leaked = {fd: what for fd, what in descriptors().items() if before.get(fd) != what}
        if not leaked or time.monotonic() > deadline:
            return leaked
        gc.collect(generation)
        time.sleep(0.01)


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    yard = Yard(tmp_path)
    (yard.inside / "sub" / "deep").mkdir(parents=True)
    (yard.inside / "file.txt").write_bytes(b"inside\n")
    (yard.inside / "sub" / "file.txt").write_bytes(b"below\n")
    yard.outside.mkdir()
    (yard.outside / "secret.txt").write_bytes(SECRET)
    (yard.outside / "folder" / "empty").mkdir(parents=True)
    (yard.outside / "only-the-outside-has-this").write_bytes(SECRET)
    before = picture(yard.outside)
    yield yard
    assert picture(yard.outside) == before, "something outside the grant was changed"


@pytest.fixture(autouse=True)
def _no_leaked_descriptor() -> Iterator[None]:
    from wasilab.runs import runner  # the first import opens what stays open  # noqa: F401

    before = descriptors()
    yield
    leaked = leaked_since(before)
    assert not leaked, f"descriptors left open: {leaked}"
