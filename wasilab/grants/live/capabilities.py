"""The capabilities of one run: the objects that the WASI host is given, by name.

`Grants` is what the user wrote; `RunCapabilities` are the objects for one run: fresh copies, clocks at their start,
streams. Code that changes a run's capabilities without changing its grants works on this value: switches that revoke
(`switches.py`), stand-ins that ask (`stand_ins.py`). Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from ...capabilities.clocks import Clock, Clocks
from ...capabilities.protocols import Directory, File, Listening
from ...capabilities.random import Random, RandomSource
from ...capabilities.strings import Strings

STREAMS = ("stdin", "stdout", "stderr")
CLOCKS = ("realtime", "monotonic", "process", "thread")


@dataclass(frozen=True)
class RunCapabilities:
    """The capabilities of one run. The fields are what `wasi.host.Host` takes."""

    args: Strings | None = None
    environ: Strings | None = None
    preopens: Mapping[str, Directory] = field(default_factory=dict)
    stdin: File | None = None
    stdout: File | None = None
    stderr: File | None = None
    clocks: Clocks = field(default_factory=Clocks.nothing)
    random: RandomSource = field(default_factory=Random.nothing)
    sockets: tuple[File, ...] = ()

    def names(self) -> list[str]:
        """What is held, by the names of its switches: "argv", guest paths, "stdin", "listen ADDRESS", ..."""
        strings = [name for name, held in (("argv", self.args), ("env", self.environ)) if held is not None]
        streams = [name for name in STREAMS if getattr(self, name) is not None]
        clocks = ["clocks"] if getattr(self.clocks, "spec", "") != "none" else []
        random = ["random"] if getattr(self.random, "spec", "") != "none" else []
        return [*strings, *self.preopens, *streams, *clocks, *random, *(socket_name(s) for s in self.sockets)]

    def mapped(
        self,
        directory: Callable[[str, Directory], Directory] = lambda name, thing: thing,
        stream: Callable[[str, File], File] = lambda name, thing: thing,
        clock: Callable[[str, Clock], Clock] = lambda name, thing: thing,
        random: Callable[[str, RandomSource], RandomSource] = lambda name, thing: thing,
        socket: Callable[[str, File], File] = lambda name, thing: thing,
        strings: Callable[[str, Strings], Strings] = lambda name, thing: thing,
    ) -> RunCapabilities:
        """A copy in which everything held is replaced by its kind's function of (name, thing)."""
        names = self.names()
        streams = {n: getattr(self, n) for n in STREAMS}
        clocks = self.clocks
        if "clocks" in names:
            clocks = Clocks(*(clock("clocks", getattr(clocks, kind)) for kind in CLOCKS), spec=clocks.spec)
        return replace(
            self,
            args=None if self.args is None else strings("argv", self.args),
            environ=None if self.environ is None else strings("env", self.environ),
            preopens={name: directory(name, thing) for name, thing in self.preopens.items()},
            clocks=clocks,
            random=random("random", self.random) if "random" in names else self.random,
            sockets=tuple(socket(socket_name(s), s) for s in self.sockets),
            **{n: None if thing is None else stream(n, thing) for n, thing in streams.items()},
        )


def socket_name(socket: object) -> str:
    """The name of a listening socket: "listen 127.0.0.1:8080"."""
    if hasattr(socket, "accept"):
        return f"listen {cast(Listening, socket).address}"
    return str(getattr(socket, "address", "channel"))
