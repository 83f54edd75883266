"""Rights that a grant withholds from a directory by name: `Grants(withheld={"/data": ["path_unlink_file"]})`.

The names are those of preview1's rights. The directory and everything opened beneath it lack the withheld rights, in
either rights mode: a directory may be `rw` but forbid deletion, or be readable but not listable. This is the
attenuation of `capabilities/patterns.py` in WASI's own terms, enforced by the descriptors' rights (`wasi/fdtable.py`),
so that the guest sees it in `fd_fdstat_get`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...wasi.rights import bits, of_directories
from ..value import GrantError, GrantValue, nearest

NONE = "none"


def masks(grants: GrantValue) -> dict[str, int]:
    """The withheld rights as bits, by guest path, as `wasi.host.Host` takes them."""
    return {guest: bits(names) for guest, names in grants.withheld.items()}


def parse_withheld(text: str) -> tuple[str, tuple[str, ...]]:
    """`GUEST:RIGHT[,RIGHT...]` -> (guest path, names); `GUEST:none` means no names: nothing is withheld."""
    guest, colon, names = text.rpartition(":")
    if not colon or not guest or not names.strip():
        raise GrantError(f"--withhold {text}: write the guest path and rights, for example /data:path_unlink_file")
    rights = tuple(name.strip() for name in names.split(","))
    if rights == (NONE,):
        return guest, ()
    known = of_directories()
    for name in rights:
        if name not in known:
            raise GrantError(f"--withhold {text}: {name!r} is not a right of a directory{nearest(name, known)}")
    return guest, rights


def in_flags(withheld: Mapping[str, Iterable[str]]) -> list[str]:
    """The value of a `--withhold` for each directory with withheld rights."""
    return [f"{guest}:{','.join(names)}" for guest, names in withheld.items()]
