"""Rights that a grant withholds from a directory by name: `Grants(withheld={"/data": ["path_unlink_file"]})`.

The names are those of preview1's rights. What is withheld, the directory and all that is opened beneath it lack, in
either rights mode: a directory may be granted `rw` and still let nothing be deleted, or be read and not be listed. It
is the attenuation of `capabilities/patterns.py`, said in WASI's own words and enforced by the descriptors' rights
(`wasi/fdtable.py`), so that the guest sees it in `fd_fdstat_get`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...wasi.rights import bits
from ..value import GrantError, GrantValue

NONE = "none"


def masks(grants: GrantValue) -> dict[str, int]:
    """What is withheld as bits, by guest path, as `wasi.host.Host` takes it."""
    return {guest: bits(names) for guest, names in grants.withheld.items()}


def parse_withheld(text: str) -> tuple[str, tuple[str, ...]]:
    """`GUEST:RIGHT[,RIGHT...]` -> (guest path, names); `GUEST:none` gives no names: nothing is withheld."""
    guest, colon, names = text.rpartition(":")
    if not colon or not guest or not names.strip():
        raise GrantError(f"--withhold {text}: write the guest path and rights, for example /data:path_unlink_file")
    rights = tuple(name.strip() for name in names.split(","))
    return guest, () if rights == (NONE,) else rights


def in_flags(withheld: Mapping[str, Iterable[str]]) -> list[str]:
    """The value of a `--withhold` for each directory that lacks something."""
    return [f"{guest}:{','.join(names)}" for guest, names in withheld.items()]
