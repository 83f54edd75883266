"""The raw call surface as one guest: an interpreter of WASI calls, and calls to feed it that are half valid.

`interpreter(module)` is a WebAssembly module written from the spec table. Its memory holds operations, 80 bytes each
(u32 call, u32 answer, nine 64-bit argument slots); `run(pointer, count)` performs them one after another, so that one
call from Python performs a whole sequence. An answer above 76, the last errno, is kept in `bad()`.

`Pools(rng, ...)` makes the arguments: most pass the first check (an open descriptor, a name that exists, an array that
lies in memory), so that calls get to where the work is done; some of each kind are wild. `footprint` says which bytes
of memory a call may write.
"""

from __future__ import annotations

import random
import struct

import numpy as np

from wasilab.wasi.preview1.spec import MODULES, Call

PAGE = 1 << 16
PAGES = 4
SIZE = PAGES * PAGE
OPS = SIZE - PAGE
"""Where operations lie: the last page of the memory as it starts."""
OP = struct.Struct("<II9Q")
RESULTS, NAMES, VECTORS, SUBSCRIPTIONS, BUFFERS = 1024, 4096, 24576, 40960, 65536
_VECTORS = 1536
"""Entries of the array of iovecs."""
TOP32, TOP64 = (1 << 32) - 1, (1 << 64) - 1
SECRET = b"\xf0secret-of-the-outside-" + bytes(range(200, 216))
"""What the files outside hold: must never be seen in the guest's memory."""

LISTENER, CONNECTION = 7, 8
"""The descriptors of the listening socket, behind the four directories, and of what is opened first."""
NONBLOCK = 4
"""The flag of a descriptor that does not block."""

PATHS: tuple[bytes, ...] = (
    b"file.txt", b"sub", b"sub/deep", b"sub/file.txt", b"new", b"new2", b"sub/new", b"dir", b"dir/x", b"dir/y", b".",
    b"..", b"./", b"sub/", b"sub/..", b"sub/../file.txt", b"../outside/secret.txt", b"../outside", b"/", b"/etc/passwd",
    b"/file.txt", b"out", b"out/", b"out/.", b"out/secret.txt", b"out/new", b"secret",
    b"absolute", b"absolute/secret.txt",
    b"parent", b"parent/outside/secret.txt", b"root", b"root/etc/passwd", b"dangling", b"dangling/", b"loop", b"loop/x",
    b"chain", b"chain/secret.txt", b"inner", b"inner/file.txt", b"file.txt/", b"file.txt/..", b"file.txt/x", b"", b"\0",
    b"a\0b", b"\xff\xfe", b"\xed\xa0\x80", b"\xc3\xa9", b"n" * 255, b"n" * 256, b"d/" * 100,
    b"<script>alert(1)</script>",
    b"\x1b[31mred", b"\xe2\x80\xaetxt.exe", b"fifo", b"sub//deep///", b"dir/../../outside/secret.txt", b"self",
    b"../ro/file.txt", b"moved", b"linked", b"sub/deep/moved",
)  # fmt: skip
"""Names in the tree and names that are not, links that leave, and what is no name."""
assert len(PATHS) == 64


def place_names() -> tuple[bytes, list[tuple[int, int]]]:
    """The bytes to lie at `NAMES` and (pointer, length) of each path."""
    block = bytearray()
    places = []
    for path in PATHS:
        places.append((NAMES + len(block), len(path)))
        block += path + b"\0"
    assert NAMES + len(block) < VECTORS
    return bytes(block), places


def interpreter(module: str) -> str:
    """The text of the interpreter for `wasi_snapshot_preview1` or `wasi_unstable`."""
    calls = list(MODULES[module].values())
    imports, wrappers, names = [], [], []
    for index, call in enumerate(calls):
        result = "(result i32)" if call.returns else ""
        imports.append(
            f'(import "{module}" "{call.name}" (func $c{index} (param {" ".join(call.signature)}) {result}))'
        )
        slots = " ".join(f"({kind}.load offset={8 + 8 * n} (local.get 0))" for n, kind in enumerate(call.signature))
        answer = f"(call $c{index} {slots})" if call.returns else f"(call $c{index} {slots}) (i32.const 0)"
        wrappers.append(f"(func $w{index} (type $op) {answer})")
        names.append(f"$w{index}")
    grow = "(drop (memory.grow (i32.and (i32.load offset=8 (local.get 0)) (i32.const 3)))) (i32.const 0)"
    wrappers.append(f"(func $grow (type $op) {grow})")
    return f"""(module {" ".join(imports)}
      (type $op (func (param i32) (result i32)))
      (memory (export "memory") {PAGES} 32)
      (table funcref (elem {" ".join(names)} $grow))
      (global $bad (mut i32) (i32.const 0))
      {" ".join(wrappers)}
      (func (export "bad") (result i32) (global.get $bad))
      (func (export "run") (param $p i32) (param $n i32) (result i32) (local $done i32) (local $r i32)
        (block $end (loop $next
          (br_if $end (i32.ge_u (local.get $done) (local.get $n)))
          (local.set $r (call_indirect (type $op) (local.get $p)
            (i32.rem_u (i32.load (local.get $p)) (i32.const {len(calls) + 1}))))
          (if (i32.gt_u (local.get $r) (i32.const 76)) (then (global.set $bad (local.get $r))))
          (i32.store offset=4 (local.get $p) (local.get $r))
          (local.set $p (i32.add (local.get $p) (i32.const {OP.size})))
          (local.set $done (i32.add (local.get $done) (i32.const 1)))
          (br $next)))
        (local.get $done)))"""


_WEIGHTS = {
    "path_open": 10, "fd_read": 5, "fd_write": 5, "fd_pread": 4, "fd_pwrite": 4, "fd_seek": 4, "fd_readdir": 4,
    "path_rename": 4, "path_link": 4, "path_symlink": 4, "path_filestat_get": 4, "path_unlink_file": 3,
    "path_create_directory": 4, "path_remove_directory": 3, "path_readlink": 3, "fd_close": 3, "poll_oneoff": 3,
    "fd_allocate": 3, "fd_filestat_set_size": 3, "fd_fdstat_set_rights": 1, "fd_renumber": 1, "proc_raise": 1,
    "sock_accept": 2, "sock_recv": 2, "sock_send": 2, "sched_yield": 1,
}  # fmt: skip

_SCALARS: dict[str, tuple[int, ...]] = {
    "size": (1, 1, 1, 2, 3, 4, 8, 0, 16, 64),
    "filesize": (0, 0, 1, 7, 10, 100, 4096, 1 << 16, 1 << 20, 1 << 31, 1 << 32, 1 << 40, 1 << 62, (1 << 63) - 1,
                 1 << 63, TOP64),
    "filedelta": (0, 0, 1, 5, 100, 1 << 20, 1 << 40, 1 << 62, (1 << 63) - 1, 1 << 63, TOP64, TOP64 - 4, TOP64 - 100),
    "timestamp": (0, 1, 1000, 10**9, 10**18, (1 << 63) - 1, 1 << 63, TOP64),
    "dircookie": (0, 0, 0, 1, 2, 3, 5, 9, 100, 1 << 32, 1 << 63, TOP64),
    "exitcode": (0, 1, 255, 1 << 31, TOP32),
    "clockid": (0, 1, 2, 3, 4, 255, TOP32),
    "advice": (0, 1, 2, 3, 4, 5, 6, 255, TOP32),
    "whence": (0, 1, 2, 0, 1, 2, 3, 255, TOP32),
    "signal": (0, 1, 6, 9, 13, 17, 30, 31, 255, TOP32),
    "fdflags": (0, 0, 0, 0, 1, 2, 4, 8, 16, 5, 31, 32, 0x10000, TOP32),
    "oflags": (0, 0, 0, 0, 1, 1, 2, 2, 4, 5, 8, 9, 13, 3, 15, 16, TOP32),
    "lookupflags": (0, 1, 1, 1, 0, 1, 2, 3, TOP32),
    "fstflags": (0, 1, 2, 4, 5, 8, 10, 3, 12, 15, 16, TOP32),
    "rights": (0x1FFFFFFF, 0x1FFFFFFF, 0x3FFFFFFF, 0x3FFFFFFF, 0, 2, 64, 66, 0x46, 1 << 13, 1 << 14, 1 << 40, TOP64),
    "riflags": (0, 0, 1, 2, 3, 4, TOP32),
    "siflags": (0, 0, 0, 1, TOP32),
    "sdflags": (1, 2, 3, 0, 4, TOP32),
}  # fmt: skip
_SOCKETS = {"sock_accept": "listener", "sock_recv": "connection", "sock_send": "connection"}
"""Calls of which every other one gets the descriptor that it is made for."""


class Pools:
    """Arguments for one case. Every pool is 256 tuples of core words; picking one is picking a random byte.

    `wild` of 256 entries of each pool of pointers are arbitrary, most others valid.
    """

    def __init__(self, rng: random.Random, module: str, wild: int) -> None:
        self.rng = rng
        self.calls = list(MODULES[module].values())
        self.unstable = module == "wasi_unstable"
        self.wild = wild
        self.names, self.places = place_names()
        self._pools: dict[str, list[tuple[int, ...]]] = {}
        self._numbers = [i for i, c in enumerate(self.calls) if c.returns for _ in range(_WEIGHTS.get(c.name, 2))]
        self._plans = [[self._pool(key) for key in self._keys(call)] for call in self.calls]

    def _keys(self, call: Call) -> list[str]:
        closing = call.name in ("fd_close", "fd_renumber", "fd_fdstat_set_rights")
        keys = []
        for param in call.params:
            kind = param.type.kind
            if kind == "fd":
                keys.append("closing" if closing else _SOCKETS.get(call.name, "fd"))
            elif kind == "scalar":
                keys.append(param.type.name)
            else:
                keys.append("iovecs" if kind == "ciovecs" else kind)
        return keys + ["result"] * len(call.results)

    def _pool(self, key: str) -> list[tuple[int, ...]]:
        if key in ("listener", "connection"):
            usual = (LISTENER,) if key == "listener" else (CONNECTION,)
            return [usual if n & 1 else any_other for n, any_other in enumerate(self._pool("fd"))]
        if key not in self._pools:
            make = getattr(self, f"_make_{key}", None)
            if make is None:
                values = _SCALARS[key]
                odd = [(self.rng.choice((4096, 4097, 1 << 28, TOP32, TOP64, self.rng.getrandbits(64))),)
                       for _ in range(2 if key == "size" else 6)]  # fmt: skip
                self._pools[key] = [*[(self.rng.choice(values),) for _ in range(256 - len(odd))], *odd]
            else:
                self._pools[key] = [make() for _ in range(256 - self._wild_in(key))]
                while len(self._pools[key]) < 256:
                    self._pools[key].append(tuple(self._wild_word() for _ in self._pools[key][0]))
        return self._pools[key]

    def _wild_in(self, key: str) -> int:
        return 12 if key in ("fd", "closing") else self.wild

    def _wild_word(self) -> int:
        rng = self.rng
        near = SIZE + rng.randrange(-64, 64)
        return rng.choice(
            (0, 1, near, near, rng.randrange(SIZE), rng.getrandbits(32), TOP32, TOP32 - 7, 1 << 31, TOP32 - 3)
        )

    def _make_fd(self) -> tuple[int, ...]:
        rng = self.rng
        return (
            rng.randrange(3, 7)
            if rng.random() < 0.4
            else rng.randrange(7, 16)
            if rng.random() < 0.8
            else rng.randrange(24),
        )

    def _make_closing(self) -> tuple[int, ...]:
        rng = self.rng
        return (rng.randrange(8, 24) if rng.random() < 0.97 else rng.randrange(8),)

    def _make_result(self) -> tuple[int, ...]:
        return (
            RESULTS + 8 * self.rng.randrange(256)
            if self.rng.random() < 0.98
            else 8 * self.rng.randrange(SIZE // 8 - 8),
        )

    def _make_string(self) -> tuple[int, ...]:
        rng = self.rng
        if rng.random() < 0.95:
            return rng.choice(self.places)
        return (NAMES + rng.randrange(3000), rng.randrange(64))

    def _make_iovecs(self) -> tuple[int, ...]:
        rng = self.rng
        return (VECTORS + 4 * rng.randrange(1024), rng.choice((1, 1, 1, 1, 2, 3, 8, 0, 40, 1024, 1025)))

    def _make_outbuf(self) -> tuple[int, ...]:
        rng = self.rng
        return (BUFFERS + rng.randrange(1000), rng.choice((0, 1, 23, 24, 25, 64, 100, 1000, 4096, 65536)))

    def _make_outstrings(self) -> tuple[int, ...]:
        return (BUFFERS + 4 * self.rng.randrange(1000), BUFFERS + 8192 + self.rng.randrange(1000))

    def _make_insubs(self) -> tuple[int, ...]:
        return (SUBSCRIPTIONS + 8 * self.rng.randrange(8),)

    def _make_outevents(self) -> tuple[int, ...]:
        rng = self.rng
        return (BUFFERS + 8 * rng.randrange(1000) if rng.random() < 0.9 else SUBSCRIPTIONS,)

    # ---- a sequence

    def image(self) -> bytes:
        """Memory from 0 to `BUFFERS`: noise, names, arrays of iovecs, subscriptions."""
        noise = np.random.default_rng(self.rng.getrandbits(64))
        image = np.zeros(BUFFERS, np.uint8)
        image[:NAMES] = noise.integers(0, 256, NAMES)
        image[NAMES : NAMES + len(self.names)] = np.frombuffer(self.names, np.uint8)
        image[VECTORS : VECTORS + 8 * _VECTORS] = self._vectors(noise)
        size = 56 if self.unstable else 48
        kinds = [np.frombuffer(self._subscription(), np.uint8) for _ in range(12)]
        picked = np.concatenate([kinds[n] for n in noise.integers(0, 12, 80)])
        image[SUBSCRIPTIONS : SUBSCRIPTIONS + 80 * size] = picked
        return image.tobytes()

    def _vectors(self, noise: np.random.Generator) -> np.ndarray:
        """(pointer, length) pairs; a quarter of the array is free of wild ones."""
        pairs = np.empty((_VECTORS, 2), "<u4")
        pairs[:, 0] = noise.integers(0, OPS - 8192, _VECTORS)
        pairs[noise.random(_VECTORS) < 0.01, 0] = OPS + 100
        pairs[:, 1] = noise.choice(np.array([0, 1, 5, 64, 500, 8192]), _VECTORS)
        wild = noise.random(_VECTORS) < self.wild / 256
        wild[: _VECTORS // 4] = False
        pairs[wild] = [(self._wild_word(), self._wild_word()) for _ in range(int(wild.sum()))] or 0
        return pairs.view(np.uint8).reshape(-1)

    def _subscription(self) -> bytes:
        rng = self.rng
        tag = rng.choice((0, 0, 1, 1, 2, 2, 3, 255))
        clock = rng.choice((0, 1, 1, 2, 3, 4, TOP32))
        times = [rng.choice(_SCALARS["timestamp"]) for _ in range(2)]
        flags = rng.choice((0, 0, 0, 1, 1, 2, 65535))
        head = struct.pack("<QB7x", rng.getrandbits(64), tag)
        if tag:
            body = struct.pack("<I", rng.randrange(24) if rng.random() < 0.9 else rng.getrandbits(32))
            return head + body.ljust(40 if self.unstable else 32, b"\0")
        identifier = struct.pack("<Q", rng.getrandbits(64)) if self.unstable else b""
        return head + identifier + struct.pack("<IxxxxQQHxxxxxx", clock, *times, flags)

    def operation(self) -> tuple[int, list[int]]:
        """The number of a call in the interpreter and its core words."""
        rng = self.rng
        chance = rng.getrandbits(12)
        if chance == 0:
            return len(self.calls), [rng.getrandbits(8)]
        if chance == 1:
            number = next(i for i, c in enumerate(self.calls) if not c.returns)
        else:
            number = self._numbers[rng.randrange(len(self._numbers))]
        words: list[int] = []
        for pool in self._plans[number]:
            words += pool[rng.getrandbits(8)]
        return number, words

    def _openings(self) -> list[tuple[int, list[int]]]:
        """Calls that open a file and a folder of each directory, so that a sequence has something to work on."""
        rng = self.rng
        number = next(i for i, c in enumerate(self.calls) if c.name == "path_open")
        made = []
        for fd in (3, 4, 5, 6):
            for place in (0, rng.choice((0, 1, 3, 4))):
                rights = 0x3FFFFFFF & ~(0x40 if fd == 4 else 0)
                made.append((number, [fd, 1, *self.places[place], int(place == 4), rights, rights, 0, RESULTS]))
        return made

    def _accepting(self) -> list[tuple[int, list[int]]]:
        """Take a connection from the listening socket, which waits for nobody afterwards."""
        number = next(i for i, c in enumerate(self.calls) if c.name == "sock_accept")
        return [(number, [LISTENER, NONBLOCK, RESULTS])]

    def sequence(self, length: int, *, accepts: bool = False) -> tuple[bytes, list[tuple[int, list[int]]]]:
        """`length` operations, as bytes to lie at `OPS` and as they are; `accepts`: the first is a sock_accept."""
        operations = self._accepting() if accepts else []
        operations += self._openings() if length > 10 else []
        operations += [self.operation() for _ in range(length - len(operations))]
        return b"".join(OP.pack(n, 0, *words, *[0] * (9 - len(words))) for n, words in operations), operations


def footprint(call: Call, words: list[int], memory: bytes) -> list[tuple[int, int]]:
    """The ranges (from, to) of memory that a call may write, by its arguments and the memory before it."""
    ranges = []
    at = 0
    for param in call.params:
        kind = param.type.kind
        given = [word & TOP32 for word in words[at : at + len(param.type.words)]]
        at += len(param.type.words)
        if kind == "outbuf":
            ranges.append((given[0], given[0] + given[1]))
        elif kind == "iovecs":
            for n in range(min(given[1], 1025)):
                where = given[0] + 8 * n
                if where + 8 <= len(memory):
                    pointer, length = struct.unpack_from("<II", memory, where)
                    ranges.append((pointer, pointer + length))
        elif kind == "outevents":
            ranges.append((given[0], given[0] + 32 * (words[2] & TOP32)))
        elif kind == "outstrings":
            ranges += [(given[0], given[0] + 64), (given[1], given[1] + 256)]
    for result, pointer in zip(call.results, words[at:], strict=True):
        ranges.append((pointer & TOP32, (pointer & TOP32) + result.type.size))
    return ranges
