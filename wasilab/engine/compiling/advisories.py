"""Published vulnerabilities of Wasmtime, to warn users of an affected version. Maintained by hand.

Only those that a guest or an untrusted file can reach through wasilab. Those of Winch, the pooling allocator and
Wasmtime's own WASI are left out, since wasilab uses none of them.

Source: https://rustsec.org/packages/wasmtime.html, each with its page on
https://github.com/bytecodealliance/wasmtime/security/advisories.
"""

from __future__ import annotations

from dataclasses import dataclass

CHECKED = "2026-10-02"
"""The date of the newest advisory reviewed."""

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Advisory:
    """One published vulnerability."""

    id: str
    """The GitHub advisory ID."""
    words: str
    """What a guest could do, in a short phrase."""
    fixed: tuple[Version, ...]
    """The first fixed version of each release line; all lines after the last one are fixed too."""
    since: Version = (0,)
    """The first affected version."""
    only: str = ""
    """What is needed to reach it: a feature, components, a CPU architecture."""

    @property
    def url(self) -> str:
        """The page that describes it."""
        return f"https://github.com/bytecodealliance/wasmtime/security/advisories/{self.id}"

    def affects(self, version: Version) -> bool:
        """Whether that version is affected."""
        line = [first for first in self.fixed if first[0] == version[0]]
        return version >= self.since and version < (line or self.fixed)[-1]


ADVISORIES = (
    Advisory("GHSA-32h6-97mm-8q3c", "native stack overflow by a callback's results", ((48, 0, 4), (49, 0, 2)), (39,),
             "async components"),
    Advisory("GHSA-hw8m-q44c-ggrf", "corruption of the collected heap", ((48, 0, 4), (49, 0, 2)), (47,),
             "gc with exceptions"),
    Advisory("GHSA-cfhf-m2cr-62wj", "corruption of the collected heap by imported tags", ((48, 0, 4), (49, 0, 2)),
             (47,), "gc with exceptions"),
    Advisory("GHSA-m63x-6p34-q65x", "execution that fuel does not count", ((48, 0, 3), (49, 0, 1)), (47,),
             "function-references or exceptions"),
    Advisory("GHSA-2hw9-mc66-jc2q", "broken state after an interrupt during a bulk operation",
             ((46, 0, 2), (47, 0, 3)), (46,)),
    Advisory("GHSA-hgjw-h833-99q9", "functions called with another type, between engines",
             ((24, 0, 12), (36, 0, 13), (46, 0, 2), (47, 0, 3))),
    Advisory("GHSA-p8xm-42r7-89xg", "a panic by a table larger than the address space",
             ((36, 0, 8), (43, 0, 2), (44, 0, 1))),
    Advisory("GHSA-jhxm-h53p-jm7w", "access to any memory of the process",
             ((36, 0, 7), (42, 0, 2), (43, 0, 1)), (0,), "aarch64"),
    Advisory("GHSA-qqfj-4vcm-26hv", "a read outside of the memory by f64x2.splat",
             ((24, 0, 7), (36, 0, 7), (42, 0, 2), (43, 0, 1)), (0,), "x86-64"),
    Advisory("GHSA-vc8c-j3xm-xj73", "a read outside of the memory by f64.copysign",
             ((36, 0, 5), (40, 0, 3), (41, 0, 1)), (29,), "x86-64"),
)  # fmt: skip
"""Newest first."""


def read_version(text: str) -> Version:
    """"50.0.1" as numbers, up to the first part that is not a number."""
    numbers: list[int] = []
    for part in text.split("."):
        if not part.isascii() or not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)


def advisories(version: str) -> list[Advisory]:
    """The known vulnerabilities of a version of Wasmtime; empty if the version cannot be parsed."""
    numbers = read_version(version)
    return [each for each in ADVISORIES if numbers and each.affects(numbers)]


def installed() -> str | None:
    """The version of wasmtime-py, which is that of its Wasmtime; None if unknown."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("wasmtime")
    except PackageNotFoundError:
        return None


def warning(version: str | None) -> str:
    """A warning about that version, one line or more; "" if it has no known vulnerability."""
    found = [] if version is None else advisories(version)
    if not found:
        return ""
    lines = [f"wasmtime {version} has {len(found)} published holes; install a newer one: pip install -U wasmtime"]
    if len(found) == 1:
        lines[0] = lines[0].replace("holes", "hole")
    return "\n".join([*lines, *(f"  {a.words}{f' ({a.only})' if a.only else ''}: {a.url}" for a in found)])
