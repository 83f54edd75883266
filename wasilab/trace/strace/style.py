"""The options of strace text, for `Trace.text()` and `--strace`. Not for: making the text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict, get_args

Time = Literal["epoch", "relative", "run", "none"]
STRING_BYTES = 64
"""The default number of bytes shown of a string."""


@dataclass(frozen=True, slots=True)
class Style:
    """The contents of a line, with the letters of strace's options."""

    pid: bool = True
    """The thread's number first (-f)."""
    time: Time = "epoch"
    """"epoch" seconds (-ttt), "relative" to the previous call shown (-r), "run": since the run's start, or "none"."""
    durations: bool = True
    """Seconds spent in the call, in angle brackets (-T)."""
    fd_paths: bool = True
    """Descriptors with their paths (-y)."""
    stacks: bool = False
    """The guest's stack under each call (-k)."""
    strings: int = STRING_BYTES
    """Bytes of data shown per buffer (-s)."""
    verbose: bool = False
    """All rights by name (-v). Otherwise `FD_READ|...` abbreviates the two dozen rights that a library requests to
    read."""
    notes: bool = True
    """Notes, as comments."""

    def __post_init__(self) -> None:
        if self.time not in get_args(Time):
            raise ValueError(f"time={self.time!r} is not valid; use one of {', '.join(map(repr, get_args(Time)))}")

    @classmethod
    def from_options(cls, options: StyleOptions) -> Style:
        """The style of these keyword arguments; TypeError names an unknown one and lists the valid ones."""
        wrong = sorted(set(options) - set(cls.__dataclass_fields__))
        if wrong:
            known = ", ".join(cls.__dataclass_fields__)
            raise TypeError(f"unknown option {wrong[0]!r} of text(); the options are {known}")
        return cls(**options)


class StyleOptions(TypedDict, total=False):
    """The fields of `Style` as keyword arguments, so that a type checker checks them at the caller."""

    pid: bool
    time: Time
    durations: bool
    fd_paths: bool
    stacks: bool
    strings: int
    verbose: bool
    notes: bool
