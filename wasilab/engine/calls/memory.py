"""The host's only access to a guest's linear memory: check, then return views of it.

Every pointer and length from a guest is hostile. They arrive here as unsigned numbers (never negative), are checked for
bounds and alignment, and a bad pointer ends the guest with a `Trap` that names the call and the pointer, as in
Wasmtime. Nothing is allocated for a count that the memory cannot hold.

The trampolines (`codegen.py`) inline the common case, comparing with `size` and indexing `u32`/`u64`, and call this
file when an access is out of bounds. That is also how growth is noticed. A memory grows but its base does not move (the
engine is configured so), so an old view stays valid for the range that it covers.

Not here: what the bytes mean (`wasi/`).
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Sequence
from typing import Protocol

import wasmtime

from ...wasi.types import Errno, Trap, WasiError

MAX_IOVECS = 1024
"""Buffers in one scatter or gather call (POSIX IOV_MAX on Linux and macOS); more is INVAL."""
MAX_SUBSCRIPTIONS = 4096
"""Subscriptions in one poll_oneoff; more is INVAL."""
MAX_PATH = 4096
"""Bytes of a path (POSIX PATH_MAX); more is NAMETOOLONG."""

if sys.byteorder != "little":
    raise ImportError("wasilab reads guest memory through native integers and needs a little-endian machine")


class _Region(ctypes.c_char * (1 << 32)):  # type: ignore[misc]  # mypy: a computed base class
    """Up to 4 GiB at an address. Its views keep `owner`, the store, alive, so none can dangle after a run."""

    owner: object


_NOTHING = memoryview(b""), memoryview(b"").cast("I"), memoryview(b"").cast("Q")


class MemoryCopy(Protocol):
    """The memory's address and length, for C code."""

    base: int
    size: int


class GuestMemory:
    """The memory that the calling instance exports as "memory".

    `view` is bytes, `u32` and `u64` the same as integers (index = address / 4 or 8), `size` the bytes covered. All are
    empty until the first access binds them: an instance's memory is known once it calls, which may be during its
    instantiation.
    """

    __slots__ = ("_memory", "_store", "copy", "size", "u32", "u64", "view")

    def __init__(self, store: wasmtime.Store | None) -> None:
        self._store = store
        self._memory: wasmtime.Memory | None = None
        self.copy: MemoryCopy | None = None
        """An object whose `base` and `size` follow the memory's address and length (`native.layouts.GuestState`)."""
        self.size = 0
        self.view, self.u32, self.u64 = _NOTHING

    def forget(self) -> None:
        """Make the next access look up the memory again: another instance may call next."""
        self._memory = None
        self.size = 0
        self.view, self.u32, self.u64 = _NOTHING
        if self.copy is not None:
            self.copy.size = 0

    def look(self, caller: wasmtime.Caller) -> None:
        """Map the caller's current memory, if it has a usable one."""
        if self._memory is None:
            with contextlib.suppress(Trap):
                self._find(caller, "")
        self.refresh(caller)

    def refresh(self, context: wasmtime.Store | wasmtime.Caller) -> bool:
        """Map the memory at its current size; `context` is a store or a caller. Returns whether it had grown."""
        if self._memory is None:
            return False
        size = self._memory.data_len(context)
        if size == self.size:
            return False
        address = ctypes.cast(self._memory.data_ptr(context), ctypes.c_void_p).value
        if not address:
            return False
        region = _Region.from_address(address)
        region.owner = self._store
        self.view = memoryview(region).cast("B")[:size]
        self.u32 = self.view[: size & ~3].cast("I")
        self.u64 = self.view[: size & ~7].cast("Q")
        self.size = size
        if self.copy is not None:
            self.copy.base, self.copy.size = address, size
        return True

    def _find(self, caller: wasmtime.Caller, call: str) -> None:
        """Bind the caller's own export "memory"."""
        found = caller.get("memory")
        if not isinstance(found, wasmtime.Memory):
            raise Trap(f"{call} needs the module's memory, but it exports none under the name \"memory\"")
        if found.type(caller).is_64:
            raise Trap(f"{call} cannot work in a 64-bit memory: the pointers of WASI preview 1 have 32 bits")
        self._memory = found

    def check(self, caller: wasmtime.Caller, pointer: int, size: int, align: int, call: str, what: str) -> None:
        """Return if `size` bytes at `pointer` are inside the memory and aligned; raise `Trap` if not.

        `caller` gives access to the memory (a `wasmtime.Caller`).
        """
        if pointer & (align - 1):
            raise Trap(f"{call}: the pointer {what}=0x{pointer:x} is not aligned to {align} bytes")
        if pointer + size <= self.size:
            return
        if self._memory is None:
            self._find(caller, call)
        self.refresh(caller)
        if pointer + size > self.size:
            raise Trap(
                f"{call}: {what}=0x{pointer:x} with {size:,} bytes lies outside the memory of {self.size:,} bytes"
            )

    # ---- arguments that are more than one number

    def string(self, caller: wasmtime.Caller, pointer: int, length: int, call: str, what: str) -> bytes:
        """A copy of a path or link text. NAMETOOLONG beyond 4096 bytes."""
        if pointer + length > self.size:
            self.check(caller, pointer, length, 1, call, what)
        if length > MAX_PATH:
            raise WasiError(Errno.NAMETOOLONG, f"{call}: {what} has {length:,} bytes; a path has at most {MAX_PATH:,}")
        return self.view[pointer : pointer + length].tobytes()

    def iovecs(
        self, caller: wasmtime.Caller, pointer: int, count: int, limit: int, call: str, what: str
    ) -> list[memoryview]:
        """The buffers that an array of (pointer u32, length u32) names, as views, at most `limit` bytes in all.

        The array is read once, before anything is moved, so a buffer that lies over the array changes nothing.
        Empty buffers are left out. Buffers beyond `limit` are cut: reads and writes may be short.
        """
        self.check(caller, pointer, count * 8, 4, call, what)
        if count > MAX_IOVECS:
            raise WasiError(Errno.INVAL, f"{call}: {count:,} buffers are too many; at most {MAX_IOVECS:,} in one call")
        words = self.u32[pointer >> 2 : (pointer >> 2) + 2 * count].tolist()
        buffers = []
        for at, length in zip(words[::2], words[1::2], strict=True):
            if at + length > self.size:
                self.check(caller, at, length, 1, call, what)
            if length:
                if length > limit:
                    length = limit
                limit -= length
                if length:
                    buffers.append(self.view[at : at + length])
        return buffers

    def subscriptions(self, caller: wasmtime.Caller, pointer: int, count: int, size: int, call: str) -> bytes:
        """A copy of `count` poll subscriptions of `size` bytes each; INVAL beyond 4096."""
        self.check(caller, pointer, count * size, 8, call, "in")
        if count > MAX_SUBSCRIPTIONS:
            raise WasiError(
                Errno.INVAL, f"{call}: {count:,} subscriptions are too many; at most {MAX_SUBSCRIPTIONS:,} in one call"
            )
        return self.view[pointer : pointer + count * size].tobytes()

    def put_strings(
        self, caller: wasmtime.Caller, array: int, buffer: int, strings: Sequence[bytes], call: str
    ) -> bytes:
        """Lay out NUL-terminated `strings` at `buffer` and pointers to them at `array`; return the block."""
        block = b"".join([string + b"\0" for string in strings])
        self.check(caller, array, 4 * len(strings), 4, call, "pointer array")
        self.check(caller, buffer, len(block), 1, call, "string buffer")
        at = buffer
        words = []
        for string in strings:
            words.append(at)
            at += len(string) + 1
        index = array >> 2
        for word in words:
            self.u32[index] = word
            index += 1
        self.view[buffer : buffer + len(block)] = block
        return block
