"""Resolves a guest's path to its parent directory and last name, by the rules of all `path_*` calls.

For: walking a path one name at a time over any tree of directories, and refusing paths that leave it. The walk never
compares strings: it holds the directories, as host descriptors (`host/resolve.py`) or nodes in memory (`memory/`), so
that a directory swapped for a link in the meantime cannot lead out. Not for: using the last name. It is never opened or
created here, and followed only if it is a link and the caller asks for it. Code that uses (parent, name) must not
follow links itself (O_NOFOLLOW, AT_SYMLINK_NOFOLLOW).
"""

from __future__ import annotations

import errno
import os
from functools import lru_cache
from types import TracebackType
from typing import Generic, Protocol, TypeVar

from .refusal import DeniedBy, Need, NeedKind, Refused

MAX_LINKS = 40
"""Links followed in one resolution; one more is ELOOP (Linux's MAXSYMLINKS)."""
MAX_PATH = 4095
"""Bytes of a path without its NUL (POSIX PATH_MAX - 1)."""

ABSOLUTE = (
    "no grant allows that: the program has to find the granted directory that holds it, and pass its descriptor with "
    "the rest of the path, as open() of a C library does"
)
"""What helps if a program passes an absolute path with a descriptor."""

_ABOVE = "'..' above it"

Place = TypeVar("Place")


def fail(number: int) -> OSError:
    """The `OSError` for `number`, with the system's message."""
    return OSError(number, os.strerror(number))


def escape(path: str, how: str) -> Refused:
    """The refusal of a path that leaves its directory; `how` names the step."""
    reason, need = _leaving(path, how)
    return Refused(errno.EPERM, reason, DeniedBy.PATH, need)


@lru_cache(64)  # as in a loop; a path is a guest's own and may be long, so the cache is small
def _leaving(path: str, how: str) -> tuple[str, Need]:
    reason = f"{path!r} leaves the directory it was resolved in: {how}"
    return reason, Need(NeedKind.DIRECTORY, path)


def begins_above(path: str) -> bool:
    """Whether the first name of a path is "..", so that it leaves its directory wherever it leads."""
    return path[:2] == ".." and path[2:3] in ("", "/")


def is_utf8(name: str) -> bool:
    """Whether a name of the host can be passed to a guest: one that is not UTF-8 has surrogates in Python."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_path(path: str) -> None:
    """Refuse an invalid relative path: empty, with a NUL, not UTF-8, too long, or absolute."""
    if not path:
        raise fail(errno.ENOENT)
    if "\0" in path:
        raise OSError(errno.EINVAL, "a path cannot contain a NUL")
    length = len(path)
    if not path.isascii():
        try:
            length = len(path.encode())
        except UnicodeEncodeError:
            raise fail(errno.EILSEQ) from None
    if length > MAX_PATH:
        raise fail(errno.ENAMETOOLONG)
    check_relative(path)


def check_relative(path: str) -> None:
    """Refuse an absolute path. It needs no grant, because none would help (`ABSOLUTE`)."""
    if path[:1] == "/":
        reason = f"{path!r} leaves the directory it was resolved in: it is absolute; {ABSOLUTE}"
        raise Refused(errno.EPERM, reason, DeniedBy.PATH)


def check_link_text(target: str) -> None:
    """Refuse an invalid link text: empty, with a NUL, too long, or absolute (`Refused`, by PATH)."""
    if target[:1] == "/":
        raise Refused(errno.EPERM, f"a link to {target!r} would leave its directory: it is absolute", DeniedBy.PATH)
    check_path(target)


class Tree(Protocol[Place]):
    """The interface of a tree that `walk` needs; a place is an open directory in it."""

    most_open: int
    """How many places a walk may hold at once. On a deeper path the oldest are closed and re-entered by name."""

    def enter(self, place: Place, name: str) -> Place:
        """Open the directory `name` in `place`; ENOTDIR or ELOOP if it is anything else, a link included."""

    def read_link(self, place: Place, name: str) -> str | None:
        """The text of the link `name` in `place`; None if it is not a link or not there."""

    def search(self, place: Place) -> None:
        """Raise EACCES unless names in `place` may be looked up."""

    def leave(self, place: Place) -> None:
        """Close what `enter` opened."""


class Resolved(Generic[Place]):
    """The result of a walk: `name` in the directory `parent`. Close it (or use `with`) when done with `parent`."""

    __slots__ = ("_tree", "dots", "must_be_dir", "name", "parent")

    def __init__(
        self, parent: Place, name: str, must_be_dir: bool, dots: str = "", tree: Tree[Place] | None = None
    ) -> None:
        self.parent = parent
        self.name = name
        """The last name, without slashes, never ".."; "." when the path is `parent` itself."""
        self.must_be_dir = must_be_dir
        """A slash followed the last name, or it was a dot: anything but a directory is ENOTDIR."""
        self.dots = dots
        """How the path ended if it ended in "." or ".." (creating, removing and renaming answer differently)."""
        self._tree = tree

    def close(self) -> None:
        """Close `parent`, if it was opened for this result."""
        tree, self._tree = self._tree, None
        if tree is not None:
            tree.leave(self.parent)

    def __enter__(self) -> Resolved[Place]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._tree is not None:
            self.close()


def walk(tree: Tree[Place], root: Place, path: str, follow: bool) -> Resolved[Place]:
    """Resolve `path` beneath `root` one name at a time; a final link is followed only if `follow`.

    A slash after a final link does not follow it here, because that depends on the operation: stat of "link/" follows
    it (resolve again with `follow`), creating or removing "link/" does not (`must_be_dir` tells that there was a
    slash).

    Raises `Refused` (EPERM, by PATH) for a path that leads out: an absolute path, ".." above `root`, a link to either;
    ELOOP after 40 links; ENOENT, ENOTDIR, EACCES, ENAMETOOLONG as POSIX path resolution does.
    """
    check_path(path)
    if begins_above(path):
        tree.search(root)
        raise escape(path, _ABOVE)
    state = _Walk(tree, root, path)
    try:
        while state.todo:
            name = state.todo.pop()
            if name == ".":
                state.stay()
            elif name == "..":
                state.go_up()
            elif state.todo:
                state.go_down(name)
            elif not (follow and state.follow(name)):
                return state.found(name)
        return state.found_place()
    finally:
        state.leave_all()


class _Walk(Generic[Place]):
    """The state of one walk: a worklist of names and the directories entered so far (after cap-std's `Context`)."""

    __slots__ = ("above", "dots", "links", "must_be_dir", "names", "path", "root", "todo", "tree")

    def __init__(self, tree: Tree[Place], root: Place, path: str) -> None:
        self.tree = tree
        self.root = root
        """Where the walk began. It belongs to the caller and is never closed here."""
        self.path = path
        """The whole path, for the refusal."""
        self.todo = [name for name in reversed(path.split("/")) if name]
        """The worklist: the remaining names, the next one last. The text of a link is pushed onto it, so that a link's
        names obey the same rules as the path's own."""
        self.above: list[Place | None] = []
        """The directories entered below `root`, each in the one before it. ".." leaves the last one: it returns to
        where the walk came from, whatever the directory's real parent is by now. At `root` there is none to leave, and
        ".." is an escape. None: closed on the way down a very deep path."""
        self.names: list[str] = []
        """The names under which the directories in `above` were entered, to re-enter one that was closed."""
        self.links = 0
        """Links followed so far: `MAX_LINKS` ends a loop."""
        self.must_be_dir = path[-1] == "/"
        """A slash followed the last name, of the path or of a final link's text: POSIX asks for a directory then."""
        self.dots = ""
        """The last name if it was "." or "..": the walk then ends in a directory and not at a name."""

    def stay(self) -> None:
        """ ".": stay here, but check that the directory may be searched."""
        self.dots = "" if self.todo else "."
        self.tree.search(self._here())

    def go_up(self) -> None:
        """ "..": back to the directory that this one was entered from."""
        self.dots = "" if self.todo else ".."
        here = self._here()
        self.tree.search(here)
        if not self.above:
            raise escape(self.path, _ABOVE)
        self.names.pop()
        self.above.pop()
        self.tree.leave(here)

    def go_down(self, name: str) -> None:
        """A name that is not the last: enter the directory, or push the names of a link."""
        here = self._here()
        try:
            place = self.tree.enter(here, name)
        except OSError as error:
            # POSIX does not say which of the two O_DIRECTORY | O_NOFOLLOW gives for a link.
            if isinstance(error, Refused) or error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            if not self.follow(name):
                raise fail(errno.ENOTDIR) from None
        else:
            self.names.append(name)
            self.above.append(place)
            if len(self.above) > self.tree.most_open:
                self._let_go()

    def follow(self, name: str) -> bool:
        """If `name` is a link, push the names of its text and return True."""
        text = self.tree.read_link(self._here(), name)
        if text is None:
            return False
        self.links += 1
        if self.links > MAX_LINKS:
            raise fail(errno.ELOOP)
        if text[:1] == "/":
            raise escape(self.path, "the target of a link on its way is absolute")
        if not self.todo and text[-1:] == "/":
            self.must_be_dir = True
        self.todo.extend(part for part in reversed(text.split("/")) if part)
        return True

    def found(self, name: str) -> Resolved[Place]:
        """The result: `name` in the directory that the walk is in, which the caller leaves."""
        here = self._here()
        if not self.above:
            return Resolved(here, name, self.must_be_dir)
        self.above.pop()
        return Resolved(here, name, self.must_be_dir, "", self.tree)

    def found_place(self) -> Resolved[Place]:
        """The result of a path that ended in a dot, or in a link to one: the directory itself."""
        here = self._here()
        if not self.above:
            return Resolved(here, ".", True, self.dots)
        self.above.pop()
        return Resolved(here, ".", True, self.dots, self.tree)

    def leave_all(self) -> None:
        """Close the directories that the walk holds."""
        for place in self.above:
            if place is not None:
                self.tree.leave(place)

    def _here(self) -> Place:
        """The directory that the walk is in, re-entered if it was closed."""
        if not self.above:
            return self.root
        here = self.above[-1]
        if here is None:
            here = self.above[-1] = self._enter_again()
        return here

    def _let_go(self) -> None:
        """Close the oldest open directory, so that a deep path takes at most `most_open` descriptors."""
        index = len(self.above) - 1 - self.tree.most_open
        place = self.above[index]
        if place is not None:
            self.tree.leave(place)
            self.above[index] = None

    def _enter_again(self) -> Place:
        """Enter a directory again by its real names: no links are followed, so it is beneath `root` as before."""
        here = self.root
        for depth, name in enumerate(self.names):
            try:
                place = self.tree.enter(here, name)
            finally:
                if depth:
                    self.tree.leave(here)
            here = place
        return here
