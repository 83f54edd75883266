"""What a line of strace text shows: the options of `Trace.text()` and of `--strace`. Not for: making the text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict, get_args

Time = Literal["epoch", "relative", "run", "none"]
STRING_BYTES = 64
"""Bytes of a string that are shown unless asked otherwise."""


@dataclass(frozen=True, slots=True)
class Style:
    """What a line shows, with the letters of strace's options."""

    pid: bool = True
    """The thread's number first (-f)."""
    time: Time = "epoch"
    """"epoch" seconds (-ttt), "relative" to the previous call shown (-r), "run": since the run's start, or "none"."""
    durations: bool = True
    """Seconds spent in the call, in angle brackets (-T)."""
    fd_paths: bool = True
    """Descriptors with the path they were opened as (-y)."""
    stacks: bool = False
    """The guest's stack under each call (-k)."""
    strings: int = STRING_BYTES
    """Bytes of data shown a buffer (-s)."""
    verbose: bool = False
    """All rights by name (-v). Otherwise `FD_READ|...` stands for the two dozen that a library asks for to read."""
    notes: bool = True
    """Notes, as comments."""

    def __post_init__(self) -> None:
        if self.time not in get_args(Time):
            raise ValueError(f"time={self.time!r} is not valid; use one of {', '.join(map(repr, get_args(Time)))}")

    @classmethod
    def from_options(cls, options: StyleOptions) -> Style:
        """The style that keyword arguments name; TypeError names a wrong one and the right ones."""
        wrong = sorted(set(options) - set(cls.__dataclass_fields__))
        if wrong:
            known = ", ".join(cls.__dataclass_fields__)
            raise TypeError(f"unknown option {wrong[0]!r} of text(); the options are {known}")
        return cls(**options)


class StyleOptions(TypedDict, total=False):
    """The fields of `Style` as keyword arguments, so that a type checker knows a wrong one at the caller."""

    pid: bool
    time: Time
    durations: bool
    fd_paths: bool
    stacks: bool
    strings: int
    verbose: bool
    notes: bool
