"""Files that a command writes: checked before the work is done, with a one-line error if one cannot be written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from .usage import UsageProblem


def check_writable(flag: str, name: str) -> Path:
    """The path that `name`, given with `flag`, can be written to; raises `UsageProblem` with the reason and remedy."""
    path = Path(name).expanduser()
    if not name:
        raise UsageProblem(f"{flag}: the name is empty; name a file")
    if path.is_dir():
        raise UsageProblem(f"{flag} {name}: that is a folder; name a file in it")
    if not path.parent.is_dir():
        raise UsageProblem(f"{flag} {name}: there is no folder {str(path.parent)!r}")
    if path.exists() and not _may(path, os.W_OK):
        raise UsageProblem(f"{flag} {name}: you may not write to that file; name another")
    if not path.exists() and not _may(path.parent, os.W_OK | os.X_OK):
        raise UsageProblem(f"{flag} {name}: the folder {str(path.parent)!r} is not writable for you; name another")
    return path


def _may(path: Path, what: int) -> bool:
    return os.access(path, what, effective_ids=os.access in os.supports_effective_ids)


def write_file(flag: str, name: str, write: Callable[[Path], object]) -> Path:
    """Write the file with `write`; raises `UsageProblem` when it cannot be written. Returns its path."""
    path = check_writable(flag, name)
    try:
        write(path)
    except (ValueError, ImportError) as error:
        raise UsageProblem(f"{flag} {name}: {error}") from None
    except OSError as error:
        raise UsageProblem(f"{flag} {name}: {error.strerror or error}") from None
    return path
