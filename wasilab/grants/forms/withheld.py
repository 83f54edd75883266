"""Rights that a grant withholds from a directory by name: `Grants(withheld={"/data": ["path_unlink_file"]})`.

The names are those of preview1's rights. What is withheld, the directory and all that is opened beneath it lack, in
either rights mode: a directory may be granted `rw` and still let nothing be deleted, or be read and not be listed. It
is the attenuation of `capabilities/patterns.py`, said in WASI's own words and enforced by the descriptors' rights
(`wasi/fdtable.py`), so that the guest sees it in `fd_fdstat_get`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ...wasi.rights import bits, of_directories

if TYPE_CHECKING:
    from ..grants import Grants

NONE = "none"


def checked(dirs: Iterable[str], withheld: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """`withheld` in its normal form, the names in the order of their bits.

    Raises `GrantError` for a name that is no right, and for a directory that is not granted.
    """
    from ..grants import GrantError, nearest

    known, given = of_directories(), list(dirs)
    found: dict[str, tuple[str, ...]] = {}
    for guest, names in withheld.items():
        if guest not in given:
            raise GrantError(f"withheld[{guest!r}]: no directory is granted there{nearest(guest, given)}")
        names = names if isinstance(names, str) else tuple(names)
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
            raise GrantError(f"withheld[{guest!r}] is {names!r:.80}: write for example ['path_unlink_file']")
        for name in names:
            if name not in known:
                raise GrantError(f"withheld[{guest!r}]: {name!r} is no right of a directory{nearest(name, known)}")
        if names:
            found[guest] = tuple(name for name in known if name in names)
    return found


def masks(grants: Grants) -> dict[str, int]:
    """What is withheld as bits, by guest path, as `wasi.host.Host` takes it."""
    return {guest: bits(names) for guest, names in grants.withheld.items()}


def parse_withheld(text: str) -> tuple[str, tuple[str, ...]]:
    """`GUEST:RIGHT[,RIGHT...]` -> (guest path, names); `GUEST:none` gives no names: nothing is withheld."""
    from ..grants import GrantError

    guest, colon, names = text.rpartition(":")
    if not colon or not guest or not names.strip():
        raise GrantError(f"--withhold {text}: write the guest path and rights, for example /data:path_unlink_file")
    rights = tuple(name.strip() for name in names.split(","))
    return guest, () if rights == (NONE,) else rights


def in_flags(withheld: Mapping[str, Iterable[str]]) -> list[str]:
    """The value of a `--withhold` for each directory that lacks something."""
    return [f"{guest}:{','.join(names)}" for guest, names in withheld.items()]
