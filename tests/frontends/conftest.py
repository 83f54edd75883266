"""A real Jupyter kernel to talk to, and what it said."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import wasilab

PATIENCE = 120.0
"""Seconds until a silent kernel fails a test."""


@dataclass
class Cell:
    """What one execution gave back."""

    id: str
    status: str = ""
    ename: str = ""
    evalue: str = ""
    traceback: str = ""
    stdout: str = ""
    stderr: str = ""
    results: list[dict[str, Any]] = field(default_factory=list)
    displays: list[dict[str, Any]] = field(default_factory=list)
    prompts: int = 0

    @property
    def text(self) -> str:
        """The plain text of the cell's value."""
        return str(self.value.get("text/plain", ""))

    @property
    def value(self) -> dict[str, Any]:
        """The MIME types of the cell's value, in one output or in the several that a run displays itself in."""
        return {kind: data for bundle in [*self.displays, *self.results] for kind, data in bundle.items()}


class Kernel:
    """A kernel with its client; one execution at a time unless told otherwise."""

    def __init__(self) -> None:
        from jupyter_client.manager import KernelManager

        self.manager = KernelManager()
        home = str(Path(wasilab.__file__).parent.parent)
        self.manager.start_kernel(env={**os.environ, "PYTHONPATH": home}, stderr=subprocess.DEVNULL)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE)

    def send(self, code: str, *, stdin: bool = True) -> Cell:
        """Ask for an execution and do not wait for it."""
        return Cell(self.client.execute(code, allow_stdin=stdin, stop_on_error=False))

    def finish(
        self,
        cell: Cell,
        *,
        answers: list[str] | None = None,
        on_output: Callable[[Cell], None] | None = None,
        others: dict[str, Cell] | None = None,
        patience: float = PATIENCE,
    ) -> Cell:
        """Collect a cell's messages until it is idle and replied; answers its prompts in turn."""
        waiting = list(answers or [])
        deadline = time.monotonic() + patience
        idle = replied = False
        while not (idle and replied):
            assert time.monotonic() < deadline, f"the kernel said no more; so far {cell}"
            if not replied:
                try:
                    reply = self.client.get_shell_msg(timeout=0.01)
                except queue.Empty:
                    reply = None
                if reply is not None and reply["parent_header"].get("msg_id") == cell.id:
                    replied = True
                    content = reply["content"]
                    cell.status = content["status"]
                    cell.ename, cell.evalue = content.get("ename", ""), content.get("evalue", "")
                    cell.traceback = "\n".join(content.get("traceback", []))
            try:
                self.client.get_stdin_msg(timeout=0.01)
            except queue.Empty:
                pass
            else:
                cell.prompts += 1
                if waiting:
                    self.client.input(waiting.pop(0))
                elif on_output:
                    on_output(cell)
            try:
                message = self.client.get_iopub_msg(timeout=0.02)
            except queue.Empty:
                continue
            parent = message["parent_header"].get("msg_id")
            target = cell if parent == cell.id else (others or {}).get(parent)
            if target is None:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                setattr(target, content["name"], getattr(target, content["name"]) + content["text"])
                if on_output:
                    on_output(cell)
            elif kind == "execute_result":
                target.results.append(content["data"])
            elif kind in ("display_data", "update_display_data"):
                target.displays.append(content["data"])
                if on_output:
                    on_output(cell)
            elif kind == "status" and content["execution_state"] == "idle" and target is cell:
                idle = True
        return cell

    def run(self, code: str, **more: Any) -> Cell:
        """Execute and collect."""
        stdin = more.pop("stdin", True)
        return self.finish(self.send(code, stdin=stdin), **more)

    def interrupt(self) -> None:
        """What the stop button does."""
        pid = self.manager.provisioner.pid
        os.kill(pid, signal.SIGINT)

    def alive(self) -> bool:
        """Whether the process still lives."""
        return bool(self.manager.is_alive())

    def close(self) -> None:
        """End it."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    """A kernel with wasilab loaded, shared by the tests of a file."""
    started = Kernel()
    try:
        assert started.run("%load_ext wasilab").status == "ok"
        yield started
    finally:
        started.close()
