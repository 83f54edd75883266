"""An adapter for the runner of WebAssembly/wasi-testsuite, so that anybody can repeat the figures with its own tools.

    python3 wasi-testsuite/run-tests --runtime-adapter tests/conformance/wasilab_adapter.py

`WASILAB` may name the command, with options: `WASILAB="wasilab run --rights compat"`.
"""

from __future__ import annotations

import os
import shlex
import subprocess

WASILAB = shlex.split(os.environ.get("WASILAB", "wasilab run"))


def get_name() -> str:
    """The runtime's name in the suite's report."""
    return "wasilab"


def get_version() -> str:
    """The runtime's version in the suite's report."""
    shown = subprocess.run([WASILAB[0], "--version"], capture_output=True, text=True, check=True).stdout
    return shown.split()[-1]


def get_wasi_versions() -> list[str]:
    """The WASI versions that it runs."""
    return ["wasm32-wasip1"]


def get_wasi_worlds() -> list[str]:
    """The worlds that it runs."""
    return ["wasi:cli/command"]


def get_timeout_seconds() -> float:
    """How long the runner waits for one program: Python must start first, and the machine may be busy."""
    return 60.0


def compute_argv(
    test_path: str,
    args_env_root: tuple[list[str], dict[str, str], str | None],
    proposals: list[str],
    wasi_world: str,
    wasi_version: str,
) -> list[str]:
    """The command line that runs one program of the suite."""
    args, env, root = args_env_root
    argv = list(WASILAB)
    for name, value in env.items():
        argv += ["--env", f"{name}={value}"]
    if root:
        argv += ["--dir", f"{root}::/:rw"]
    return [*argv, test_path, *args]
