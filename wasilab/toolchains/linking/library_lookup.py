"""Makes an object file with which a program reports the paths that its own C library refuses.

wasi-libc's `__wasilibc_find_relpath` looks for the granted directory that contains a path; if there is none it returns
-1, and the caller sets errno without a WASI call. Linked with `--wrap`, every other object calls the function here
instead. It calls the real function and, on -1, the import `wasilab.library_lookup` with the path (`wasi/library.py`). A
program that opens nothing does not contain it: the linker drops unused code. Zig's and Go's own libraries ask the host,
so a refusal there is a call; a Zig program reports what the C library refuses if it is linked with it (-lc).

The object is written byte by byte, because not every supported compiler compiles C. Sources:
https://github.com/WebAssembly/tool-conventions/blob/main/Linking.md for objects, WebAssembly core 5.5 for sections.
"""

from __future__ import annotations

from pathlib import Path

_FUNCTION = "__wasilibc_find_relpath"
WRAP = f"--wrap={_FUNCTION}"
"""The linker's flag."""
_TYPE, _IMPORT, _DEFINED, _CODE, _CUSTOM = 1, 2, 3, 10, 0
_I32 = b"\x7f"
_SYMBOL_TABLE, _UNDEFINED, _EXPLICIT_NAME = 8, 0x10, 0x40
_REAL, _REPORT = 0, 1
"""Indices of the imported functions, and of their symbols."""


def write_object(folder: Path) -> Path:
    """Write the object file to a work folder."""
    path = folder / ".tools" / "library_lookup.o"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(object_file())
    return path


def concerns(output: str) -> bool:
    """Whether a linker's output may be about the object or its flag; the program is then linked without them."""
    return _FUNCTION in output or "library_lookup" in output or "--wrap" in output


def object_file() -> bytes:
    """The object: one function, `__wrap___wasilibc_find_relpath(path, prefix, relative, length) -> int`."""
    body, calls = _body()
    code = b"\x01" + _sized(body)
    at = len(code) - len(body)
    places = [(at + place, symbol) for place, symbol in calls]
    relocations = b"".join(b"\x00" + _number(place) + _number(symbol) for place, symbol in places)  # 0: function index
    symbols = [
        b"\x00" + _number(_UNDEFINED) + _number(_REAL),
        b"\x00" + _number(_UNDEFINED | _EXPLICIT_NAME) + _number(_REPORT) + _name("wasilab_library_lookup"),
        b"\x00" + _number(0) + _number(2) + _name(f"__wrap_{_FUNCTION}"),
    ]
    table = bytes([_SYMBOL_TABLE]) + _sized(_number(len(symbols)) + b"".join(symbols))
    imports = [
        _name("env") + _name("__linear_memory") + b"\x02\x00\x00",
        _name("env") + _name(f"__real_{_FUNCTION}") + b"\x00\x00",
        _name("wasilab") + _name("library_lookup") + b"\x00\x01",
    ]
    types = [b"\x60\x04" + 4 * _I32 + b"\x01" + _I32, b"\x60\x02" + 2 * _I32 + b"\x01" + _I32]
    sections = [
        (_TYPE, _number(len(types)) + b"".join(types)),
        (_IMPORT, _number(len(imports)) + b"".join(imports)),
        (_DEFINED, b"\x01\x00"),
        (_CODE, code),
        (_CUSTOM, _name("linking") + _number(2) + table),
        (_CUSTOM, _name("reloc.CODE") + _number(3) + _number(len(places)) + relocations),  # 3: the code's section
    ]
    return b"\0asm\x01\0\0\0" + b"".join(bytes([kind]) + _sized(payload) for kind, payload in sections)


def _body() -> tuple[bytes, list[tuple[int, int]]]:
    """The function's body, and the offsets of its calls."""
    body = bytearray(b"\x01\x02" + _I32)  # local 4: the answer, local 5: the path's length
    calls: list[tuple[int, int]] = []

    def call(function: int) -> None:
        body.append(0x10)
        calls.append((len(body), function))
        body.extend([0x80 | function, 0x80, 0x80, 0x80, 0])  # five bytes, which the linker fills in

    body += b"\x02\x40\x20\x00\x20\x01\x20\x02\x20\x03"  # block; path, prefix, relative, length
    call(_REAL)
    body += b"\x22\x04\x41\x7f\x47\x0d\x00"  # leave the block unless the answer is -1
    body += b"\x02\x40\x03\x40"  # block, loop: until the path's end
    body += b"\x20\x00\x20\x05\x6a\x2d\x00\x00\x45\x0d\x01"  # leave the block at a zero byte
    body += b"\x20\x05\x41\x01\x6a\x21\x05\x0c\x00\x0b\x0b"  # one byte further
    body += b"\x20\x00\x20\x05"  # path, length
    call(_REPORT)
    body += b"\x1a\x0b\x20\x04\x0b"
    return bytes(body), calls


def _number(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _sized(data: bytes) -> bytes:
    return _number(len(data)) + data


def _name(text: str) -> bytes:
    return _sized(text.encode())
