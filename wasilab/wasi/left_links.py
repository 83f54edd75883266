"""The symbolic links that a program leaves, and those of them that lead out of the folder they are in.

A guest may make a link to "../../x": it cannot follow it, but whoever opens it on the host later is led out of the
folder. So the links that a run makes are remembered, and those that are still there and lead out are told at its end.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from ..capabilities.protocols import Directory, FileType
from ..capabilities.refusal import DeniedBy, Refused

MOST = 10_000
"""Links remembered; a program that makes more has its further ones unchecked, and that is told."""
_SHOWN = 20


class LeftLinks:
    """The links that one run has made, by the guest's path."""

    def __init__(self) -> None:
        self._paths: set[str] = set()
        self._more = False

    def made(self, path: str) -> None:
        """A link was made at `path`."""
        if len(self._paths) < MOST:
            self._paths.add(path)
        else:
            self._more = True

    def linked(self, path: str, new_path: str) -> None:
        """What is at `path` has the second name `new_path`."""
        if path in self._paths:
            self.made(new_path)

    def renamed(self, path: str, new_path: str) -> None:
        """What is at `path`, with all beneath it, is at `new_path` now."""
        if not self._paths:
            return
        beneath = f"{path}/"
        moved = {each for each in self._paths if each == path or each.startswith(beneath)}
        self._paths -= moved
        self._paths |= {new_path + each[len(path) :] for each in moved}

    def remarks(self, directories: Mapping[str, Directory]) -> list[str]:
        """A sentence for each link that leads out of the directory that it is in; `directories` by guest path."""
        lasting = {name: each for name, each in directories.items() if getattr(each, "lasting", False)}
        found = []
        for path in sorted(self._paths):
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
        return found[:_SHOWN] + ([f"and {more} more links that lead out"] if more > 0 else [])


def _leads_out(directory: Directory, path: str) -> str | None:
    """The text of the link `path` if it leads out of `directory`; None if it does not, or is not there any more."""
    try:
        if directory.stat_path(path, False).filetype is not FileType.SYMBOLIC_LINK:
            return None
        text = directory.readlink(path)
    except (Refused, OSError):
        return None  # another program replaced a part of the path meanwhile
    try:
        directory.stat_path(path, True)
    except Refused as error:
        return text if error.by is DeniedBy.PATH else None
    except OSError:
        return None  # it leads nowhere, or in a circle
    return None
