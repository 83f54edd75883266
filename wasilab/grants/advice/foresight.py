"""Before a run: what each import of a module could do, how the grants would answer, and what it can never do.

"System call imports represent a static list of the capabilities requested by a wasm module": a module can never request
what it does not import. An imported call may still be refused; this is derived from the grants alone, by the WASI
host's rules, and nothing is run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ...capabilities.protocols import Directory
from ...module.module import Module
from ...text.escape import visible
from ...wasi import rights as r
from ...wasi.preview1.signature import FD, Call
from ...wasi.preview1.spec import MODULES
from ...wasi.types import Rights
from ..value import GrantValue

ABILITIES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("read what it is given", ("fd_read", "fd_pread", "sock_recv")),
    ("write to anything", ("fd_write", "fd_pwrite", "sock_send")),
    ("open a file", ("path_open",)),
    ("list a folder", ("fd_readdir",)),
    ("create a folder", ("path_create_directory",)),
    ("delete", ("path_unlink_file", "path_remove_directory")),
    ("rename", ("path_rename",)),
    ("make a link", ("path_link", "path_symlink")),
    ("look at a file's size and times by name", ("path_filestat_get",)),
    ("change a file's times", ("path_filestat_set_times", "fd_filestat_set_times")),
    ("see its arguments", ("args_get",)),
    ("see environment variables", ("environ_get",)),
    ("read a clock", ("clock_time_get",)),
    ("wait, or sleep", ("poll_oneoff",)),
    ("get random bytes", ("random_get",)),
    ("take a network connection", ("sock_accept",)),
)
"""What a program might want to do, and the calls that could do it: without any of them it cannot."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """One WASI import, examined before the run."""

    module: str
    name: str
    words: str
    """What it could do; for a name that is not in WASI, what is known about it."""
    answer: str
    """How the grants would answer, as text."""
    refused: bool
    """Whether every such call would be refused."""


@dataclass(frozen=True, slots=True)
class Foresight:
    """What is known about a module before it runs."""

    imports: tuple[Foreseen, ...]
    """Its imports of WASI, in their order, each once."""
    never: tuple[str, ...]
    """What it can never do, as sentences such as "cannot list a folder: does not import fd_readdir"."""
    unknown: tuple[str, ...]
    """Imports that are not in WASI: calling one returns ENOSYS."""
    elsewhere: tuple[str, ...]
    """Modules other than WASI that it imports from: they may act on its behalf."""


def foresee(module: Module, grants: GrantValue) -> Foresight:
    """What the imports of a core module could do under `grants`. For a component, use `inspect`."""
    seen = {(item.module, item.name): item for item in module.wasi_imports}
    imports, unknown = [], []
    for source, name in seen:
        call = MODULES[source].get(name)
        if call is None:
            unknown.append(f"{source}.{name}")
            imports.append(Foreseen(source, name, "WASI has no such call", "ENOSYS", True))
            continue
        answer, refused = _answer(call, grants)
        imports.append(Foreseen(source, name, _words(call), answer, refused))
    wasi = set(MODULES)
    elsewhere = tuple(dict.fromkeys(item.module for item in module.imports if item.module not in wasi))
    return Foresight(tuple(imports), tuple(_never(name for _, name in seen)), tuple(unknown), elsewhere)


def _never(imported: Iterable[str]) -> Iterable[str]:
    names = set(imported)
    for words, calls in ABILITIES:
        if names.isdisjoint(calls):
            if len(calls) == 1:
                yield f"cannot {words}: does not import {calls[0]}"
            elif len(calls) == 2:
                yield f"cannot {words}: imports neither {calls[0]} nor {calls[1]}"
            else:
                yield f"cannot {words}: imports none of {', '.join(calls)}"


def _words(call: Call) -> str:
    """The first sentence of a call's documentation, without the POSIX function that it is like."""
    return re.sub(r", as [\w(), ]+\)", "", call.summary.partition(". ")[0]).rstrip(".")


def _answer(call: Call, grants: GrantValue) -> tuple[str, bool]:
    """How the grants answer a call, and whether they refuse it for any arguments."""
    family = call.family
    if family == "args":
        return ("its arguments", False) if grants.args else ("no argument at all", False)
    if family == "environ":
        names = ", ".join(grants.env)
        return (names, False) if names else ("no variable", False)
    if family in ("clock", "random"):
        given = grants.clocks if family == "clock" else grants.random
        spec = getattr(given, "spec", type(given).__name__)
        what = "clock" if family == "clock" else "randomness"
        return (f"no {what} is granted", True) if spec == "none" else (f"{spec} {what}", False)
    if family == "path":
        return _by_folder(call, grants)
    if family == "sock":
        if call.name == "sock_accept" and not grants.sockets:
            return "no listening socket is granted", True
        return "on sockets that it holds", False
    if family == "fd":
        return _by_descriptor(call, grants)
    return "always", False


def _by_folder(call: Call, grants: GrantValue) -> tuple[str, bool]:
    """In which granted folders a call on a path would be allowed."""
    needed = 0
    for param in call.params:
        if param.type.kind == FD:
            needed |= int(param.right)
    works: list[str] = []
    not_there: list[str] = []
    for guest, folder in grants.dirs.items():
        lacks = _lacks(guest, folder, grants)
        (not_there if needed & lacks else works).append(guest)
    if not grants.dirs:
        return "no folder is granted", True
    said = [f"in {_listed(works)}"] * bool(works) + [f"not in {_listed(not_there)}"] * bool(not_there)
    return ", ".join(said), not works


def _lacks(guest: str, folder: Directory, grants: GrantValue) -> int:
    return (0 if folder.writable else r.CHANGES) | r.bits(grants.withheld.get(guest, ()))


def _by_descriptor(call: Call, grants: GrantValue) -> tuple[str, bool]:
    """Which of the initially open descriptors would allow a call."""
    right = int(call.params[0].right) if call.params else 0
    held = [name for name, given in (("stdout", grants.stdout), ("stderr", grants.stderr)) if given]
    if grants.stdin is not None:
        held.insert(0, "stdin")
    if right & r.WRITING and not right & ~r.WRITING:
        held = [name for name in held if name != "stdin" and right & r.STREAM]
    elif right == int(Rights.FD_READ):
        held = [name for name in held if name == "stdin"]
    if call.name == "fd_readdir":
        return _by_folder(call, grants)
    if call.name.startswith("fd_prestat"):
        return (f"of {_listed(grants.dirs)}", False) if grants.dirs else ("no folder is granted", True)
    folders = [f"what it opens in {_listed(grants.dirs)}"] if grants.dirs else []
    sockets = ["its sockets"] if grants.sockets else []
    where = [*held, *folders, *sockets]
    return (f"on {', '.join(where)}", False) if where else ("no descriptor is open", True)


def _listed(names: Iterable[str]) -> str:
    """The names of folders, quoted."""
    return ", ".join(repr(visible(name)) for name in names)


def differing(first: Module, second: Module) -> tuple[list[str], list[str], list[str]]:
    """(calls that only the first module imports, that only the second does, that both do), by name."""
    one = {item.name for item in first.wasi_imports}
    two = {item.name for item in second.wasi_imports}
    return sorted(one - two), sorted(two - one), sorted(one & two)
