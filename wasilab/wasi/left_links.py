"""Finds symbolic links that a program leaves behind and that lead out of their folder.

A guest may create a link to "../../x": it cannot follow it, but a program on the host that opens it later leaves the
folder. So the links that a run creates are recorded, and those that still exist and lead out are reported at its end.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from ..capabilities.protocols import Directory, FileType
from ..capabilities.refusal import DeniedBy, Refused
from ..text.numbers import counted

MOST = 10_000
"""Maximum links recorded; further ones are not checked, which is reported."""
_SHOWN = 20


class LeftLinks:
    """The links created by one run, by guest path."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        """Links recorded: without one, `linked` and `renamed` need not be called."""
        self._more = False

    def made(self, path: str) -> None:
        """A link was created at `path`."""
        if len(self.paths) < MOST:
            self.paths.add(path)
        else:
            self._more = True

    def linked(self, path: str, new_path: str) -> None:
        """The file at `path` got the second name `new_path`."""
        if path in self.paths:
            self.made(new_path)

    def renamed(self, path: str, new_path: str) -> None:
        """The file or tree at `path` was moved to `new_path`."""
        beneath = f"{path}/"
        moved = {each for each in self.paths if each == path or each.startswith(beneath)}
        self.paths -= moved
        self.paths |= {new_path + each[len(path) :] for each in moved}

    def remarks(self, directories: Mapping[str, Directory]) -> list[str]:
        """A sentence for each link that leads out of its directory; `directories` by guest path."""
        lasting = {name: each for name, each in directories.items() if getattr(each, "lasting", False)}
        found = []
        for path in sorted(self.paths):
            holders = [name for name in lasting if path.startswith(f"{name.rstrip('/')}/")]
            if not holders:
                continue
            name = max(holders, key=len)
            text = _leads_out(lasting[name], posixpath.relpath(path, name))
            if text is not None:
                found.append(
                    f"the program left the link {path!r} to {text!r}, which leads out of the folder granted at {name!r}"
                )
        if self._more and lasting:
            found.append(f"the program made more than {MOST} links; the others were not checked for leading out")
        more = len(found) - _SHOWN
        further = counted(more, "more link that leads", "more links that lead")
        return found[:_SHOWN] + ([f"and {further} out"] if more > 0 else [])


def _leads_out(directory: Directory, path: str) -> str | None:
    """The text of the link `path` if it leads out of `directory`; None if it does not, or does not exist any more."""
    try:
        if directory.stat_path(path, False).filetype is not FileType.SYMBOLIC_LINK:
            return None
        text = directory.readlink(path)
    except (Refused, OSError):
        return None  # another program has replaced a part of the path
    try:
        directory.stat_path(path, True)
    except Refused as error:
        return text if error.by is DeniedBy.PATH else None
    except OSError:
        return None  # a dangling link, or a loop
    return None
