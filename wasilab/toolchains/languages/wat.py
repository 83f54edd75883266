"""WAT, the text format of WebAssembly: assembled by Wasmtime in this process, in microseconds."""

from __future__ import annotations

import re

from ..base import Command, Job, Toolchain
from ..diagnostics import ToolchainError
from ..probe import Failure, Tool
from ..process import Cancelled, Progress


class Wat(Toolchain):
    """WAT."""

    language = "wat"
    title = "WAT"
    related = ("wasm", "webassembly")
    suffixes = (".wat",)
    lexer = "wat"
    style = "wat"

    @property
    def install(self) -> str:
        return "pip install wasmtime"

    def candidates(self, *, refresh: bool = False) -> list[Tool | Failure]:
        from importlib.metadata import version

        return [Tool("wasmtime", ("wat2wasm",), version("wasmtime"), "", "PyPI wasmtime")]

    def tune(self, flags: tuple[str, ...]) -> tuple[str, ...]:
        if flags:
            raise ToolchainError(f"WAT is assembled as it stands and takes no flags; leave out {' '.join(flags)!r}")
        return flags

    def command(self, tool: Tool, job: Job) -> Command:
        return Command(("wat2wasm", job.file_name), job.folder)

    def build(
        self, tool: Tool, job: Job, cancelled: Cancelled, on_progress: Progress | None
    ) -> tuple[bytes, str, Command]:
        import wasmtime

        command = self.command(tool, job)
        try:
            return bytes(wasmtime.wat2wasm(job.source)), "", command
        except wasmtime.WasmtimeError as error:
            output = "error: " + re.sub(r"<anon>", job.file_name, str(error)).rstrip() + "\n"
            raise self.error(tool, job, output, command) from None
