"""Machine code as assembly text, by the optional package capstone; as hexadecimal bytes without it.

capstone decodes the bytes; nothing is run. Install it with `pip install 'wasilab[code]'`.
"""

from __future__ import annotations

from typing import NamedTuple

from .machine_code import MachineCode

try:
    import capstone
except ImportError:
    capstone = None

INSTALL = "pip install capstone"
_BYTES_IN_A_LINE = 8


class MachineInstruction(NamedTuple):
    """One machine instruction: its address after the function's beginning, its text, and where it comes from."""

    address: int
    text: str
    position: int | None
    """The offset in the module of the instruction that it was made from; None for what the compiler added."""


def disassembler() -> str:
    """What decodes the machine code, in words, with its version."""
    return "hexadecimal bytes" if capstone is None else f"capstone {capstone.__version__}"


def disassembled(code: MachineCode) -> list[MachineInstruction]:
    """The instructions in the order of their addresses; lines of bytes where capstone is not installed."""
    engine = _engine(code.machine)
    if engine is None:
        return [
            MachineInstruction(piece.address + at, piece.code[at : at + _BYTES_IN_A_LINE].hex(" "), piece.position)
            for piece in code.pieces
            for at in range(0, len(piece.code), _BYTES_IN_A_LINE)
        ]
    found: list[MachineInstruction] = []
    for piece in code.pieces:
        done = 0
        for address, size, name, operands in engine.disasm_lite(piece.code, piece.address):
            found.append(MachineInstruction(address, _text(code, name, operands), piece.position))
            done += size
        if done < len(piece.code):  # constants between instructions
            rest = f".byte {piece.code[done:].hex(' ')}"
            found.append(MachineInstruction(piece.address + done, rest, piece.position))
    return found


def _engine(machine: str) -> capstone.Cs | None:
    if capstone is None:
        return None
    if machine in ("x86_64", "AMD64"):
        return capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    if machine in ("aarch64", "arm64"):
        return capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)
    return None


def _text(code: MachineCode, name: str, operands: str) -> str:
    text = f"{name} {operands}".strip()
    target = operands.removeprefix("#")
    if target.startswith("0x") and name in ("call", "bl"):
        called = code.names.get(_signed(int(target, 16)))
        text = text if called is None else f"{name} {_short(called)}"
    return text


def _signed(address: int) -> int:
    """An address before the function's beginning, which capstone shows as a large number."""
    return address - (1 << 64) if address >> 63 else address


def _short(symbol: str) -> str:
    """A symbol of Wasmtime without its prefix: `wasm[0]::function[7]::main` -> `main`."""
    return symbol.rpartition("]::")[2] if symbol.startswith("wasm[") and "]::" in symbol else symbol
