"""Passes descriptors from one instance to another as plain arguments of a call.

A link declares which parameters are descriptors. The caller passes a number from its own table; the receiver gets a new
number in its table for the same capability, with the intersection of the descriptor's and the link's rights. A number
that is not open is refused before the receiver is called. There are no users or credentials: only the holder of a
descriptor can pass it on.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ...text.nearest import did_you_mean
from ...wasi import rights as r
from ...wasi.errnos import Errno, WasiError
from ...wasi.fdtable import Descriptor, Withheld
from ...wasi.host import Host

RightsGiven = Literal["same", "ro"] | Iterable[str]
"""Rights that a link lets pass: "same", "ro" (rights that change nothing), or preview1's right names."""


class PassingError(ValueError):
    """An invalid link; the message is for the user."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A parameter that passes a descriptor. Make it with `passed`."""

    param: int
    """The parameter's index, from 0."""
    mask: int
    """The rights that may pass, as a bit mask."""
    keep: bool
    """Whether the receiver keeps it after the call; otherwise it is closed when the call returns."""


@dataclass(frozen=True, slots=True)
class DescriptorFlow:
    """A descriptor passed from one instance's table to another's, or refused (`to_fd` -1)."""

    call: str
    """The function called, as `instance.function`."""
    sender: str
    from_fd: int
    from_life: int
    receiver: str
    to_fd: int
    to_life: int
    path: str
    """The sender's path of it; "" for a number that was not open."""
    rights: tuple[str, ...]
    """The receiver's rights, by preview1's names."""
    withheld: tuple[str, ...]
    """The sender's rights that were not passed."""
    kept: bool
    at: int
    """When, in ns of `time.perf_counter_ns`."""


def passed(param: int, rights: RightsGiven = "same", *, keep: bool = False) -> Passed:
    """Declare a parameter as a descriptor. Raises `PassingError` for unknown rights."""
    if isinstance(param, bool) or not isinstance(param, int) or param < 0:
        raise PassingError(f"a parameter is a number from 0, not {param!r}")
    if rights == "same":
        return Passed(param, r.ALL, keep)
    if rights == "ro":
        return Passed(param, r.ALL & ~r.of_read_only(), keep)
    if isinstance(rights, str):
        raise PassingError(f"rights={rights!r}: write 'same', 'ro' or a list of names such as ['fd_read']")
    known = {name: bit for bit, name in ((1 << at, _name(1 << at)) for at in range(30))}
    mask = 0
    for name in rights:
        if name not in known:
            raise PassingError(f"{name!r} is not a right of preview1{did_you_mean(str(name), known)}")
        mask |= known[name]
    return Passed(param, mask, keep)


def _name(bit: int) -> str:
    names = r.listed(bit)
    return names[0] if names else ""


class PassedDescriptor(Descriptor):
    """A descriptor received from another instance; the sender owns the object and closes it."""

    __slots__ = ("parent",)

    def __init__(self, given: Descriptor, mask: int, sender: str, *, strict: bool) -> None:
        name = given.path if given.path.startswith("<") else f"<{sender}>{given.path}"
        withheld = Withheld(given.withheld.read_only, given.withheld.named, given.withheld.guest)
        withheld.revoked, withheld.unpassed, withheld.giver = given.withheld.revoked, r.ALL & ~mask, sender
        super().__init__(
            given.object, given.rights & mask, given.inheriting & mask, name, strict=strict, fdflags=given.fdflags,
            owned=False, withheld=withheld,
        )  # fmt: skip
        self.parent = 0
        if not strict:  # compat rights are those of the type; still apply the link's restriction
            self.allowed &= mask

    def not_passed(self, given: Descriptor) -> tuple[str, ...]:
        """The rights of the sender's descriptor that this one does not have."""
        return tuple(r.listed(given.allowed & ~self.allowed))


class DescriptorPassage:
    """The descriptors passed in one call from `sender` to `receiver`: opened before it, closed after it."""

    def __init__(
        self, call: str, sender: str, giver: Host, receiver: str, taker: Host, passing: Mapping[int, Passed]
    ) -> None:
        self._call = call
        self._sender = sender
        self._giver = giver
        self._receiver = receiver
        self._taker = taker
        self._passing = passing
        self._open: list[Descriptor] = []
        self.flows: list[DescriptorFlow] = []
        self.first: Descriptor | None = None
        """The first of the sender's descriptors that passed."""

    def enter(self, values: list[object]) -> None:
        """Replace the sender's numbers by the receiver's. On `WasiError` nothing stays open."""
        try:
            for param, passing in self._passing.items():
                values[param] = self._pass(int(values[param]) & 0xFFFFFFFF, passing)  # type: ignore[call-overload]
        except BaseException:
            self.leave()
            raise

    def _pass(self, number: int, passing: Passed) -> int:
        given = self._giver.fds.entries.get(number)
        if given is None:
            self.flows.append(
                DescriptorFlow(
                    self._call, self._sender, number, 0, self._receiver, -1, 0, "", (), (), False,
                    time.perf_counter_ns(),
                )
            )  # fmt: skip
            raise WasiError(
                Errno.BADF, f"descriptor {number} is not open in {self._sender}: {self._call} was not entered"
            )
        self.first = self.first or given
        made = PassedDescriptor(given, passing.mask, self._sender, strict=self._taker.strict)
        self._taker.fds.open(made)
        if not passing.keep:
            self._open.append(made)
        self.flows.append(
            DescriptorFlow(
                self._call, self._sender, number, given.life, self._receiver, made.fd, made.life, given.path,
                tuple(r.listed(made.allowed)), made.not_passed(given), passing.keep, time.perf_counter_ns(),
            )
        )  # fmt: skip
        return made.fd

    def leave(self) -> None:
        """Close the descriptors that the receiver got for the call, unless it has closed or renumbered them."""
        entries = self._taker.fds.entries
        for made in self._open:
            if entries.get(made.fd) is made:
                self._taker.fds.close(made)
        self._open.clear()
