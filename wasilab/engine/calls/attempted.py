"""What a failed call was asked to work on, for its record: arrays and second paths that the guest's pointers name."""

from __future__ import annotations

from collections.abc import Sequence

from ...wasi.preview1.signature import Call
from .memory import GuestMemory
from .record_lines import MAX_KEPT_IOVECS


def attempted(call: Call, words: Sequence[int], memory: GuestMemory) -> bytes:
    """The iovec array, second path or subscriptions of a failed call, where the guest's pointers can be read."""
    word = 0
    strings = 0
    for param in call.params:
        kind = param.type.kind
        if kind in ("iovecs", "ciovecs"):
            at, count = words[word], min(words[word + 1], MAX_KEPT_IOVECS)
            return memory.view[at : at + 8 * count].tobytes() if at + 8 * count <= memory.size else b""
        if kind == "string":
            strings += 1
            at, length = words[word], min(words[word + 1], 4096)
            if strings == 2 and at + length <= memory.size:
                return memory.view[at : at + length].tobytes()
        if kind == "insubs":
            size = min(words[word + 2], 256) * (56 if call.module == "wasi_unstable" else 48)
            at = words[word]
            return memory.view[at : at + size].tobytes() if at + size <= memory.size else b""
        word += sum(2 if w == "i64" else 1 for w in param.type.words)
    return b""
