"""Files of machine code made ahead of time (`.cwasm`): written here, and loaded only if this user made them here.

Loading machine code is running it: Wasmtime checks its version and settings, not its instructions. So a file holds the
module, its machine code and a MAC (HMAC-SHA256) over all of it, with a key that only this user can read. A file is read
once; the bytes that were verified are the bytes that are loaded. Anything else is refused, with the command that makes
the file again.

    magic (16 bytes), length of the header (4, little-endian), header (JSON), module, machine code, MAC (32)

The header binds Wasmtime's version, the machine, and the engine's settings.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import hmac
import json
import os
import socket
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ...capabilities.host.cache_folders import cache_folder, distrust
from ...module.module import Module, ModuleError
from ...module.precompiled import MAGIC, Precompiled
from ...text.shell import join
from . import advisories
from .elf import ELF, wasmtime_object

KEY_NAME = "aot-key"
"""The key's file in wasilab's cache folder."""
LARGEST = 1 << 30
"""The most bytes of a file."""
_KEY_BYTES = 32
_MAC_BYTES = 32
_LONGEST_HEADER = 1 << 20
_PURPOSE = b"wasilab machine code made ahead of time\0"
WHAT_IT_IS = "loading it would run any native code in it"


class AheadOfTimeError(ModuleError):
    """A file of machine code that cannot be made or is not loaded: one sentence, with the command that makes it."""


@dataclass(frozen=True, slots=True)
class MadeAhead:
    """What a verified file says."""

    wasmtime: str
    target: str
    machine: str
    """Which machine it was made on: a value that says nothing to anybody else."""
    settings: tuple[tuple[str, int], ...]
    source: str
    """The program that was compiled, as it was named on the command line."""
    name: str
    lang: str | None
    source_name: str | None
    wasm: bytes
    code: bytes


# ---- the key


def key_path() -> Path:
    """Where the key is."""
    return cache_folder() / KEY_NAME


def read_key() -> bytes | None:
    """This user's key; None if there is none yet. Raises `AheadOfTimeError` if others could have read or chosen it."""
    path = key_path()
    trouble = distrust(cache_folder())
    if trouble is not None:
        raise AheadOfTimeError(trouble)
    try:
        file, found = _opened(path, getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        return None
    except OSError as error:
        why = "it is a link" if path.is_symlink() else error.strerror or str(error)
        raise AheadOfTimeError(_bad_key(path, why)) from None
    with file:
        if hasattr(os, "geteuid"):
            if found.st_uid != os.geteuid():
                raise AheadOfTimeError(_bad_key(path, "it belongs to another user"))
            if found.st_mode & 0o077:
                raise AheadOfTimeError(_bad_key(path, "other users can read or change it"))
        key = file.read(_KEY_BYTES + 1)
    if len(key) != _KEY_BYTES:
        raise AheadOfTimeError(_bad_key(path, f"it does not have {_KEY_BYTES} bytes"))
    return key


def _opened(path: Path, flags: int = 0) -> tuple[IO[bytes], os.stat_result]:
    """An ordinary file, opened without waiting for anybody, and what it is. Raises `OSError`."""
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | flags)
    found = os.fstat(number)
    if not stat.S_ISREG(found.st_mode):
        os.close(number)
        raise OSError(errno.EINVAL, "it is not a file")
    return open(number, "rb"), found


def _bad_key(path: Path, why: str) -> str:
    return (
        f"the key of machine code made ahead of time, {str(path)!r}, cannot be trusted: {why}; delete it, and compile "
        "the programs again"
    )


def own_key() -> bytes:
    """This user's key, made now if there is none. Raises `AheadOfTimeError`."""
    key = read_key()
    if key is not None:
        return key
    path = key_path()
    new = path.with_name(f".{KEY_NAME}-{os.urandom(8).hex()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
        with open(number, "wb") as file:
            file.write(os.urandom(_KEY_BYTES))
        try:
            os.link(new, path)  # fails if another process was quicker, whose key is then used
        except FileExistsError:
            pass
        finally:
            with contextlib.suppress(OSError):
                os.unlink(new)
    except OSError as error:
        raise AheadOfTimeError(f"no key can be written to {str(path)!r}: {error.strerror or error}") from None
    key = read_key()
    if key is None:
        raise AheadOfTimeError(f"the key {str(path)!r} is gone as soon as it is written")
    return key


def _mac(key: bytes, body: bytes | memoryview) -> bytes:
    made = hmac.new(key, _PURPOSE, hashlib.sha256)
    made.update(body)
    return made.digest()


# ---- this machine


def _wasmtime() -> str:
    return advisories.installed() or "unknown"


def _target() -> str:
    machine = os.uname().machine if hasattr(os, "uname") else os.environ.get("PROCESSOR_ARCHITECTURE", "unknown")
    return f"{machine}-{sys.platform}"


def _machine(key: bytes) -> str:
    """A value that identifies this machine only to itself."""
    identity = socket.gethostname().encode()
    with contextlib.suppress(OSError):
        identity = Path("/etc/machine-id").read_bytes()[:100] or identity
    return _mac(key, b"machine\0" + identity).hex()[:32]


# ---- files


def sealed(module: Module, code: bytes, settings: Sequence[tuple[str, int]], source: str) -> bytes:
    """The file of a module's machine code. `source` is the program's name for the command that makes it again.

    Raises `AheadOfTimeError` if there is no key.
    """
    key = own_key()
    header = json.dumps({
        "wasmtime": _wasmtime(), "target": _target(), "machine": _machine(key), "settings": sorted(settings),
        "source": source, "name": module.name, "lang": module.lang, "source_name": module.source_name,
        "wasm": len(module.bytes), "code": len(code),
    }).encode()  # fmt: skip
    body = b"".join((MAGIC, len(header).to_bytes(4, "little"), header, module.bytes, code))
    return body + _mac(key, body)


def read_file(path: Path) -> bytes:
    """The bytes of a file. Raises `AheadOfTimeError`."""
    try:
        file, _ = _opened(path)
        with file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise AheadOfTimeError(f"{str(path)!r} cannot be read: {error.strerror or error}") from None
    if len(data) > LARGEST:
        raise AheadOfTimeError(f"{str(path)!r} is larger than {LARGEST:,} bytes: such a file is not loaded")
    return data


def verified(data: bytes, path: Path) -> MadeAhead:
    """What a file holds, if this user made it here. Raises `AheadOfTimeError` with why not, and the command."""
    again = f"compile it again: {recompile(None, path)}"
    if data[:4] == ELF:
        origin = wasmtime_object(data)
        by = f"machine code of Wasmtime {origin.version}" if origin else "a native object"
        raise AheadOfTimeError(f"{path.name} is {by} that wasilab did not make, and {WHAT_IT_IS}; {again}")
    if data[: len(MAGIC)] != MAGIC:
        raise AheadOfTimeError(f"{path.name} is not machine code that wasilab made; {again}")
    key = read_key()
    body = memoryview(data)[:-_MAC_BYTES]
    if key is None or not hmac.compare_digest(_mac(key, body), data[-_MAC_BYTES:]):
        raise AheadOfTimeError(
            f"{path.name} was not made by you on this machine, or has changed since, and {WHAT_IT_IS}; {again}"
        )
    made = _unpacked(data, path)
    again = f"compile it again: {recompile(made, path)}"
    for what, was, now in (
        ("Wasmtime", made.wasmtime, _wasmtime()), ("a machine of the kind", made.target, _target()),
    ):  # fmt: skip
        if was != now:
            raise AheadOfTimeError(f"{path.name} was made for {what} {was}, and this is {now}; {again}")
    if made.machine != _machine(key):
        raise AheadOfTimeError(f"{path.name} was made on another machine; {again}")
    return made


def _unpacked(data: bytes, path: Path) -> MadeAhead:
    """The parts of a file whose MAC is right. Raises `AheadOfTimeError`: only a bug of ours writes a wrong one."""
    start = len(MAGIC) + 4
    size = int.from_bytes(data[start - 4 : start], "little")
    try:
        if size > _LONGEST_HEADER:
            raise ValueError("its header is too long")
        header = json.loads(data[start : start + size])
        wasm, code = int(header["wasm"]), int(header["code"])
        begin = start + size
        if wasm < 0 or code < 0 or begin + wasm + code + _MAC_BYTES != len(data):
            raise ValueError("its lengths do not fit")
        settings = tuple((str(name), int(value)) for name, value in header["settings"])
        texts = [str(header[name]) for name in ("wasmtime", "target", "machine", "source", "name")]
        version, target, machine, source, name = texts
        lang, source_name = (None if header[one] is None else str(header[one]) for one in ("lang", "source_name"))
    except (ValueError, KeyError, TypeError) as error:
        raise AheadOfTimeError(f"{path.name} is damaged: {error}") from None
    code_at = begin + wasm
    return MadeAhead(
        version, target, machine, settings, source, name, lang, source_name,
        data[begin:code_at], data[code_at : code_at + code],
    )  # fmt: skip


def load_machine_code(path: Path) -> Module:
    """The module of a file, with its machine code, if this user made the file here. Raises `AheadOfTimeError`."""
    made = verified(read_file(path), path)
    module = Module(made.wasm, made.name, lang=made.lang, source_name=made.source_name)
    module.precompiled = Precompiled(made.code, made.settings, recompile(made, path))
    return module


def recompile(made: MadeAhead | None, path: Path) -> str:
    """The command that makes a file again, without options for settings."""
    source = "PROGRAM"
    if made is not None:
        source = made.source
    elif path.with_suffix(".wasm").is_file():
        source = str(path.with_suffix(".wasm"))
    return join(["wasilab", "compile", "--aot", source, "-o", str(path)])


# ---- settings

RUN_ONLY = frozenset({"max_wasm_stack", "profiler"})
"""Settings of the engine that machine code does not depend on."""
_FLAGS: Mapping[str, str] = {
    "consume_fuel": "--for-fuel", "debug_info": "--debug-info", "cranelift_nan_canonicalization": "--nan-canonical",
}  # fmt: skip
"""The option of `compile --aot` for a setting that is on or off."""


_WORDS: Mapping[str, str] = {
    "consume_fuel": "fuel", "cranelift_opt_level": "optimisation", "cranelift_nan_canonicalization": "canonical NaNs",
    "wasm_relaxed_simd_deterministic": "deterministic relaxed SIMD",
}  # fmt: skip
"""What a setting is called in messages, if not by its own name."""


def _called(name: str) -> str:
    return _WORDS.get(name, name.removeprefix("wasm_").replace("_", "-"))


def setting_words(settings: Sequence[tuple[str, int]]) -> list[str]:
    """What differs from all features and Wasmtime's own settings, in words: "fuel", "no gc", "optimisation none"."""
    levels = {0: "none", 1: "speed", 2: "size"}
    found = []
    for name, value in settings:
        if name == "cranelift_opt_level":
            found.append(f"{_called(name)} {levels.get(value, value)}")
        elif name.startswith("wasm_") and not value:
            found.append(f"no {_called(name)}")
        elif name in (*_FLAGS, "wasm_relaxed_simd_deterministic") and value:
            found.append(_called(name))
    return found


def code_settings(settings: Sequence[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """The settings that machine code depends on, sorted by name."""
    return tuple(sorted((name, value) for name, value in settings if name not in RUN_ONLY))


def mismatch(module: Module, settings: Sequence[tuple[str, int]], features: Sequence[str]) -> str:
    """Why the machine code of a module does not fit an engine, with the command; "" if it fits or there is none.

    `features` are the switches by which the engine's features differ from the usual ones of such a module.
    """
    made = module.precompiled
    wanted = code_settings(settings)
    if made is None or made.settings == wanted:
        return ""
    was, now = dict(made.settings), dict(wanted)
    names = sorted(name for name in {*was, *now} if was.get(name) != now.get(name))
    options = [flag for name, flag in _FLAGS.items() if now.get(name)]
    level = now.get("cranelift_opt_level")
    options += ["-O", {0: "none", 2: "size"}.get(level, "speed")] if level is not None else []
    options += [word for switch in features for word in ("--feature", switch)]
    differing = ", ".join(map(_called, names[:6]))
    command = " ".join([made.recompile, *options])
    return f"{module.name} was compiled ahead of time with other settings ({differing}); compile it again: {command}"
