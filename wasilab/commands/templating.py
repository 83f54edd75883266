"""`template`: a small program to start from, in any of the languages."""

from __future__ import annotations

from ..toolchains.registry import language_name, toolchain_for
from .line.frontend import Done, Door
from .line.grammar import Request

OF_PROGRAM = {"hello": "", "words": " --name words --dir .::/data --args /data/FILE"}
"""What a `%%wasi` line says of each program, behind the language."""


def template(request: Request, door: Door) -> Done:
    """Hand a bundled program over: as a new cell of the notebook, or on stdout."""
    options = request.options
    toolchain = toolchain_for(language_name(options.lang))
    source = toolchain.example(options.program)
    door.offer(f"%%wasi {toolchain.language}{OF_PROGRAM[options.program]}", source)
    return Done()
