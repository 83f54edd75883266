"""The reason for a refusal in a trace: a sentence for the user, and what was needed as a value.

A chunk has a table of reasons, and a payload refers to one by number. In `.wtrace` an entry is the sentence in UTF-8,
then a NUL and the `Need` as JSON, if there is one. Older versions of wasilab wrote only the sentence, and they read the
sentence of newer files. The input is untrusted: anything but a `Need` as written by this version is ignored.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from ...capabilities.refusal import Need, NeedKind

_KINDS = {kind.value: kind for kind in NeedKind}
MAX_GUEST = 1 << 14
"""Maximum characters of a guest path in a file. A granted path has at most 4096 bytes, and so has a path below it."""
MAX_RIGHTS = 64
MAX_NAME = 64
"""Maximum characters of the name of a right or a limit."""


class Reason(NamedTuple):
    """Why a call was refused or failed."""

    text: str
    need: Need | None = None
    """What would have allowed it; None if no grant would have, or if unknown."""


def need_value(need: Need) -> dict[str, str | list[str]]:
    """`need` as JSON values, without empty fields."""
    found: dict[str, str | list[str]] = {"kind": need.kind.value}
    if need.guest:
        found["guest"] = need.guest
    if need.rights:
        found["rights"] = list(need.rights)
    if need.limit:
        found["limit"] = need.limit
    return found


def need_from_value(value: object) -> Need | None:
    """The inverse of `need_value`; None for anything else, such as a kind from a newer version."""
    if not isinstance(value, dict):
        return None
    kind, guest, limit = _KINDS.get(str(value.get("kind"))), value.get("guest", ""), value.get("limit", "")
    rights = value.get("rights", [])
    if kind is None or not isinstance(guest, str) or not isinstance(limit, str) or not isinstance(rights, list):
        return None
    if len(guest) > MAX_GUEST or len(rights) > MAX_RIGHTS:
        return None
    if any(not isinstance(name, str) or len(name) > MAX_NAME for name in (limit, *rights)):
        return None
    return Need(kind, guest, tuple(rights), limit)


def pack_reason(reason: Reason) -> bytes:
    """One entry of a chunk's table in a `.wtrace` file."""
    text = reason.text.encode("utf-8", "surrogatepass")
    return text if reason.need is None else text + b"\0" + need_text(reason.need).encode()


def unpack_reason(entry: bytes) -> Reason:
    """The inverse of `pack_reason`, for any bytes."""
    text, _, need = entry.partition(b"\0")
    return Reason(text.decode("utf-8", "replace"), need_from_text(need.decode("utf-8", "replace")) if need else None)


def need_text(need: Need) -> str:
    """`need` as JSON text in ASCII."""
    return json.dumps(need_value(need), separators=(",", ":"))


def need_from_text(text: str) -> Need | None:
    """The inverse of `need_text`; None for anything else."""
    try:
        return need_from_value(json.loads(text))
    except (ValueError, RecursionError):
        return None
