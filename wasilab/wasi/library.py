"""The report of a path that the program's own C library refused, recorded like a call.

If a program opens a path outside all granted directories, wasi-libc fails by itself, without a WASI call. A program
compiled by wasilab reports such a path through an import of the module "wasilab", which is answered, explained and
recorded like a call. Not for: programs without that import, for which `trace/answers/library_refusals.py` guesses.
"""

from __future__ import annotations

import os

from ..capabilities.refusal import DeniedBy, Need, NeedKind
from ..text.escape import visible
from .errnos import Errno, WasiError
from .host import Host
from .operations import Operation
from .preview1 import signature as s
from .preview1.signature import Call, Param
from .preview1.spec import BY_NUMBER


def library_lookup(host: Host, path: bytes) -> None:
    """Refuse a path that is in no granted directory, as the program's own C library already did.

    This is not a WASI call. The program does not see the result; the trace shows the path and what would have allowed
    it.

    Errors:
        ENOTCAPABLE: always
    """
    granted = [name for d in list(host.fds.entries.values()) if (name := d.preopen) is not None]
    directories = ", ".join(map(visible, granted))
    outside = f"no granted directory ({directories}) holds it" if granted else "no directory is granted"
    reason = f"the program's own C library refused '{visible(path)}' without asking the host: {outside}"
    raise WasiError(Errno.NOTCAPABLE, reason, DeniedBy.GRANT, Need(NeedKind.DIRECTORY, os.fsdecode(path)))


LIBRARY_LOOKUP = Call(
    "library_lookup", len(BY_NUMBER), Operation.OPEN, (Param("path", s.PATH),), (), library_lookup, module="wasilab",
)  # fmt: skip
"""The import `wasilab.library_lookup`: (pointer, length) of the path. Its number follows those of preview1."""
MODULE: dict[str, Call] = {LIBRARY_LOOKUP.name: LIBRARY_LOOKUP}
"""The import module "wasilab": name -> call."""
REPORTED = "library_lookups"
"""The metadata entry of a trace whose program reports the refusals of its library, so that nothing needs to be guessed.
"""
