"""What `inspect` says about a file of machine code: who made it, for what, and whether it is run here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ...engine.compiling import ahead_of_time as ahead
from ...engine.compiling.elf import ELF, wasmtime_object
from ...module.module import Module
from ...module.precompiled import MAGIC
from ...text.escape import visible
from ...text.numbers import size


class DescribedMachineCode(NamedTuple):
    """A file of machine code."""

    what: str
    bytes: int
    module: Module | None
    """The module in it, if it is run here."""
    made: ahead.MadeAhead | None
    why_not: str
    """Why it is not run here; "" if it is."""

    def to_dict(self) -> dict[str, object]:
        """The same as plain JSON values, without the module."""
        made = self.made
        return {
            "machine_code": self.what, "file_bytes": self.bytes, "runs_here": self.made is not None,
            "why_not": self.why_not or None, "wasmtime": made and made.wasmtime, "target": made and made.target,
            "settings": None if made is None else dict(made.settings),
        }  # fmt: skip

    def lines(self, path: Path) -> Iterator[str]:
        """The same as text, without the module."""
        yield f"{visible(path.name)}: {self.what}"
        yield f"  size      {size(self.bytes)}"
        if self.made is None:
            yield f"  not run   {visible(self.why_not)}"
            return
        yield f"  made      by you on this machine, with Wasmtime {self.made.wasmtime}, for {self.made.target}"
        yield f"  settings  {', '.join(ahead.setting_words(self.made.settings)) or 'the usual ones'}"
        yield "it was made of"


def described_machine_code(path: Path) -> DescribedMachineCode:
    """Look at a file of machine code; nothing of it is loaded. Raises `ModuleError` if it cannot be read."""
    data = ahead.read_file(path)
    what = "neither a module nor machine code"
    if data.startswith(MAGIC):
        what = "machine code made ahead of time by wasilab"
    elif data.startswith(ELF):
        origin = wasmtime_object(data)
        what = "a native object (ELF), not made by Wasmtime"
        if origin is not None:
            what = f"machine code made by Wasmtime {origin.version} for {origin.target}"
    try:
        made = ahead.verified(data, path)
    except ahead.AheadOfTimeError as error:
        return DescribedMachineCode(what, len(data), None, None, str(error))
    module = Module(made.wasm, made.name, lang=made.lang, source_name=made.source_name)
    return DescribedMachineCode(what, len(data), module, made, "")
