"""How the conformance tests run a guest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from wasilab.capabilities.clocks import Clocks
from wasilab.capabilities.random import Random
from wasilab.capabilities.streams import CallbackOutput, EmptyInput
from wasilab.engine.limits import Limits
from wasilab.engine.worker import execute
from wasilab.module.module import Module
from wasilab.wasi.host import Host


@dataclass(frozen=True)
class Ran:
    """How a program ended and what it said."""

    exit_code: int
    message: str
    stdout: bytes
    stderr: bytes


RunWasm = Callable[..., Ran]


@pytest.fixture
def run_wasm() -> RunWasm:
    """run_wasm(bytes, name, args, env, dirs, rights) -> Ran."""

    def run(
        wasm: bytes,
        name: str,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        dirs: Mapping[str, Any] | None = None,
        rights: str = "strict",
    ) -> Ran:
        out: list[bytes] = []
        err: list[bytes] = []
        host = Host(
            [name.encode(), *(arg.encode() for arg in args)],
            [f"{key}={value}".encode() for key, value in (env or {}).items()],
            dirs or {},
            EmptyInput(),
            CallbackOutput(out.append),
            CallbackOutput(err.append),
            Clocks.real(),
            Random.real(),
            rights=rights,
        )
        try:
            outcome = execute(Module(wasm, name), host, limits=Limits(seconds=60))
        finally:
            host.close()
        return Ran(outcome.exit_code, outcome.message, b"".join(out), b"".join(err))

    return run
