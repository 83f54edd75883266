"""A host's descriptor table for the library, kept in sync with Python's (`wasi.fdtable.Mirror`).

Python decides the content of a slot: the rights that the library may use, the host descriptor, and the grant. A slot of
anything other than a regular file, a folder or a collected output allows nothing, so that Python does the call.

`live` holds the current rights of each grant. A single store there revokes rights from the guest's next call on, even
for files opened meanwhile. Each change renumbers the grants, so that a recipe of the library (`openings.py`) never
outlives the rights under which it was made.
"""

from __future__ import annotations

import ctypes
import os
import struct
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

from ...capabilities.host.folder import HostFolder
from ...capabilities.host.hostfile import HostFile
from ...capabilities.interpose import PassThrough, look_through
from ...capabilities.memory.memtree import MemFile
from ...capabilities.protocols import FileType
from ...capabilities.streams import CollectedOutput
from ...trace.record.layout import Life
from ...wasi.fdtable import FIRST, Descriptor, FileReach
from ...wasi.host import Host
from ...wasi.types import FDSTAT, Fdflags
from . import layouts as b
from .binding import Library
from .openings import Log, OpenedFiles, Passage, Recipes, open_folder
from .shared_files import share
from .trace_buffer import NativeBlock, NativeChunk, PathTable

MOST_GRANTS = 1024
"""Maximum grant numbers in one run; without a free number, Python handles the descriptor."""
_FIRST_SLOTS = 256
_NEVER_GRANTED = (1 << 32) - 1
"""The life for a standard stream's number that was never open: nothing else may be opened there."""
_APPEND, _REGULAR = int(Fdflags.APPEND), int(FileType.REGULAR_FILE)
_MANY_PATHS, _LONG_PATHS = 1000, b.TEXT // 4
"""Distinct paths of files that the library opened, and their bytes, after which it forgets them, if nothing records."""
_SLOT = struct.Struct("<QQQQQQQIIiIIIBBBB4x24s")
assert _SLOT.size == ctypes.sizeof(b.Slot)
_SLOT_WORDS, _GENERATION = _SLOT.size // 4, b.Slot.generation.offset // 4


class SlotTable:
    """The slots of one host, and the files that the library opened (`wasi.fdtable.Mirror` without `renew`)."""

    def __init__(
        self, library: Library, state: b.RunState, host: Host, paths: PathTable, outputs: Sequence[CollectedOutput],
        entered: Callable[[Life], object] | None,
    ) -> None:  # fmt: skip
        self.chunk: NativeChunk | None = None
        """The chunk being recorded; None if the run is not recorded."""
        self._library = library
        self._enter_new, self._leave_new = library.enter, library.leave
        self._state = state
        self._at = ctypes.addressof(state)
        self._of_state = ctypes.c_void_p(self._at)  # not `byref`: the garbage collector does not see what that holds
        self._host = host
        self._paths = paths
        self._outputs = outputs
        self._entered = entered
        self._thread = threading.get_ident()
        self._lock = threading.RLock()
        self._tables: list[NativeBlock] = []  # the last one is in use
        self._slots: ctypes.Array[b.Slot] = (b.Slot * 0)()
        self._words = memoryview(b"").cast("I")  # the slots as 32-bit words
        self._numbers: dict[Passage, int] = {}
        self._passages: list[Passage] = []
        self._live = (ctypes.c_uint64 * MOST_GRANTS)()
        self._names: dict[int, ctypes.Array[ctypes.c_char]] = {}
        self.directories: dict[int, Descriptor] = {}
        """The open folders of the host in which the library may open files, by life."""
        self._log = Log(state)
        self._recipes = Recipes(library, state)
        state.live = ctypes.addressof(self._live)
        state.lives, state.lowest = host.fds.lives, FIRST
        self._grow(max(_FIRST_SLOTS, host.fds.max_fds + 1))
        for fd in range(FIRST):
            if fd not in host.fds.entries:
                self._slots[fd].life = _NEVER_GRANTED

    def _grow(self, wanted: int) -> None:
        """Grow the table. Only on the guest's thread, in a call: C reads the table's address at each call."""
        size = 1 << (wanted - 1).bit_length()
        block = NativeBlock(_SLOT.size * size)
        if self._tables:
            former = self._tables[-1]
            block.write(0, former.read(former.size))
        self._tables.append(block)
        self._slots = (b.Slot * size).from_address(block.address)
        self._words = memoryview(block.view).cast("I")
        self._state.slots, self._state.nslots = block.address, size
        for descriptor in list(self._host.fds.entries.values()):  # another thread may close some meanwhile
            if descriptor.mirror is not None and not self._slots[descriptor.fd].unready:
                descriptor.reach = cast(FileReach, self._slots[descriptor.fd])

    # ---- Python's changes

    def put(self, descriptor: Descriptor) -> None:
        """Enter a descriptor that got its number.

        Of what the guest has just opened only the life is entered: most of it takes longer than many a file is open.
        The rest follows with the first call that uses it (`make_ready`).
        """
        fd = descriptor.fd
        if descriptor.preopen is None and fd >= FIRST and self._enter_new(self._of_state, fd, descriptor.life):
            return
        with self._lock:
            if fd >= self._state.nslots:
                self._grow(fd + 1)
            self._enter_new(self._of_state, fd, descriptor.life)
            if descriptor.preopen is not None or fd < FIRST:
                self._fill(descriptor, again=False)

    def update(self, descriptor: Descriptor) -> None:
        """Enter a change of a descriptor; from any thread. If it has just been dropped, nothing is entered: its slot
        may be another's already."""
        with self._lock:
            fd = descriptor.fd
            if fd < self._state.nslots:
                slot = self._slots[fd]
                # In this order, because what is unready is dropped without the lock, and then its life is another.
                if not slot.unready and slot.life == descriptor.life:
                    self._fill(descriptor, again=True)

    def make_ready(self, fd: int) -> int:
        """Fill in the slot of what the guest has opened; called by the library before Python first uses it."""
        with self._lock:
            descriptor = self._host.fds.entries.get(fd)
            slot = self._slots[fd]
            if descriptor is not None and slot.unready and slot.life == descriptor.life:
                self._fill(descriptor, again=False)
        return 0

    def _fill(self, descriptor: Descriptor, *, again: bool) -> None:
        """Write what the library may do with a descriptor."""
        with self._lock:
            fd = descriptor.fd
            slot = self._slots[fd]
            self._withdraw(fd)
            thing, gates = look_through(descriptor.object)
            kind, host, device, handle = self._behind(descriptor, thing)
            grant = self._grant(descriptor, gates, new=again and kind == b.DIRECTORY)
            name, reach = self._name(descriptor), slot if again else descriptor.reach
            _SLOT.pack_into(
                self._tables[-1].view, fd * _SLOT.size, 0, 0, 0, device, reach.known_end, handle, *name,
                descriptor.life, host, 0, slot.generation, grant or 0, kind,
                bool(descriptor.fdflags & _APPEND), reach.beyond, 0,
                FDSTAT.pack(descriptor.filetype, descriptor.fdflags, descriptor.rights, descriptor.inheriting),
            )  # fmt: skip
            descriptor.reach = cast(FileReach, slot)  # both count in it from now on
            allowed = 0 if kind == b.NEITHER or grant is None else descriptor.allowed
            self._library.put(self._tables[-1].address + fd * _SLOT.size, allowed | b.IN_USE)

    def drop(self, descriptor: Descriptor) -> None:
        """Clear the slot of a descriptor that is about to be closed, or to have another number."""
        fd = descriptor.fd
        descriptor.mirror = None
        if self._leave_new(self._of_state, fd):
            return
        with self._lock:
            self._withdraw(fd)
            slot, state = self._slots[fd], self._state
            descriptor.reach = _reach(slot)
            slot.life = slot.opened = slot.kind = slot.known_end = slot.beyond = 0
            if descriptor.preopen is not None:
                slot.name = None
                self._names.pop(fd, None)
            state.open -= 1
            if fd < state.lowest:
                state.lowest = fd
            self.directories.pop(descriptor.life, None)
            thing, _ = look_through(descriptor.object)
            if isinstance(thing, (HostFile, HostFolder)):
                thing.before_close = None

    def close(self) -> None:
        """Let the descriptors that are still open know for themselves what their slots know."""
        for descriptor in list(self._host.fds.entries.values()):  # another thread may close some meanwhile
            slot = self._slots[descriptor.fd]
            if not slot.unready:
                descriptor.reach = _reach(slot)

    def _withdraw(self, fd: int) -> None:
        """From here on C does nothing with the descriptor. From another thread: wait for the call that it is in."""
        if threading.get_ident() == self._thread:
            self._slots[fd].allowed = 0
        else:
            self._library.withdraw(self._at, fd)

    def _behind(self, descriptor: Descriptor, thing: object) -> tuple[int, int, int, int]:
        """What stands behind a descriptor: kind, host descriptor, device, address of an open file in memory."""
        folder = open_folder(thing)
        if folder is not None and folder.descriptor >= 0:
            self.directories[descriptor.life] = descriptor
            folder.before_close = partial(self._withdraw, descriptor.fd)
            return b.DIRECTORY, folder.descriptor, os.fstat(folder.descriptor).st_dev, 0
        if type(thing) is HostFile and descriptor.owned and thing.descriptor >= 0:
            thing.before_close = partial(self._withdraw, descriptor.fd)
            return b.HOST_FILE, thing.descriptor, 0, 0
        if type(thing) is MemFile and descriptor.owned:
            return b.MEMORY, -1, 0, share(self._library, thing)
        if type(thing) is CollectedOutput and thing in self._outputs:
            return b.STREAM, self._outputs.index(thing), 0, 0
        return b.NEITHER, -1, 0, 0

    def _name(self, descriptor: Descriptor) -> tuple[int, int]:
        """Address and size of the name of a preopened directory."""
        if descriptor.preopen is None:
            return 0, 0
        name = descriptor.preopen.encode("utf-8", "surrogateescape")
        block = self._names[descriptor.fd] = ctypes.create_string_buffer(name, max(len(name), 1))
        return ctypes.addressof(block), len(name)

    # ---- what is in force

    def _grant(self, descriptor: Descriptor, gates: Sequence[PassThrough], *, new: bool) -> int | None:
        """The number of what a descriptor was opened under; None when there are no more numbers."""
        passage = Passage(tuple(gate.as_now() for gate in gates), descriptor.withheld)
        number = self._numbers.get(passage)
        if number is None or new:
            number = len(self._passages)
            if number >= MOST_GRANTS:
                return None
            self._passages.append(passage)
            self._numbers[passage] = number
            for gate in (*gates, *passage.gates):
                gate.watch(self.update_grants)
            self._library.put(ctypes.addressof(self._live) + 8 * number, passage.rights())
        return number

    def update_grants(self) -> None:
        """Apply changed grants; from any thread, after the change and before it is announced."""
        with self._lock:
            for number, passage in enumerate(self._passages):
                self._library.put(ctypes.addressof(self._live) + 8 * number, passage.rights())
            self._numbers.clear()
            for directory in list(self.directories.values()):
                self.update(directory)

    # ---- what the library opens by itself

    def learn(self, directory: Descriptor, fd: int, *arguments: int) -> None:
        """Learn from a `path_open` of Python that succeeded; `directory` is one of `directories`.

        `arguments`: dirflags, oflags, rights, inheriting rights and fdflags, as the guest gave them.
        """
        slot = self._slots[directory.fd]
        if slot.kind == b.DIRECTORY and slot.life == directory.life:
            self._recipes.learn(directory, slot, self._host.fds.entries[fd], arguments)

    def enter_opened(self, _: int = 0) -> int:
        """Take over what the library has opened and closed; called by it before Python answers a call."""
        revoked = []
        with self._lock:
            state, fds = self._state, self._host.fds
            if not state.nopened:
                return 0
            fds.lives = state.lives
            entries = self._log.still_open() if state.open != len(fds.entries) else []
            if self.chunk is not None and len(entries) != state.nopened:
                self.chunk.opened.append(self._log.read(self.directories))  # for those that are closed
            for entry in entries:
                descriptor = self._enter(*entry)
                if descriptor.withheld.revoked:
                    revoked.append(descriptor)
            state.nopened = 0
            if self.chunk is None and (state.npaths > _MANY_PATHS or state.text_used > _LONG_PATHS):
                self._library.fresh(self._at, 0)  # its paths are of no use any more
        for descriptor in revoked:
            descriptor.update_rights()  # not before: whoever revokes waits for the lock, and this for whoever revokes
        return 0

    def _enter(
        self, began: int, _: int, life: int, fd: int, generation: int, directory: int, path: int, recipe: int,
        host: int, error: int,
    ) -> Descriptor:  # fmt: skip
        """Enter a file that the library opened; the arguments are the items of an `OpenedFile`."""
        folder, slot = self.directories[directory], self._slots[fd]
        name = folder.path_of(self._paths.path(path).decode())
        file, descriptor = self._recipes.reopened(recipe, host, error, folder, name, self._passages[slot.grant])
        self._host.fds.adopt(descriptor, fd, life)
        slot.opened = 0
        if slot.allowed == descriptor.allowed | b.IN_USE:  # the library has filled it in
            file.before_close = partial(self._withdraw, fd)
            descriptor.reach = cast(FileReach, slot)
        else:
            self._fill(descriptor, again=True)
        if self._entered is not None:
            self._entered(Life(life, fd, generation, name.encode("utf-8", "surrogateescape"), _REGULAR, began))
        return descriptor

    def pending(self) -> OpenedFiles:
        """The descriptors that the library has opened and Python does not know yet. Thread-safe."""
        return self._log.read(self.directories)

    def generation(self, fd: int) -> int:
        """How often the number has been opened."""
        place = fd * _SLOT_WORDS + _GENERATION
        return self._words[place] if place < len(self._words) else 0

    def generations(self) -> dict[int, int]:
        """The same for all numbers that have been opened."""
        return {fd: slot.generation for fd, slot in enumerate(self._slots) if slot.generation}


def _reach(slot: b.Slot) -> FileReach:
    """What a slot knows, for when it is another descriptor's."""
    reach = FileReach()
    reach.known_end, reach.beyond = slot.known_end, bool(slot.beyond)
    return reach
