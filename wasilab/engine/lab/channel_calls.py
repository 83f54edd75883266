"""Descriptors that are sent through a channel: two functions that a program of a lab may import.

    wasilab_channel.send(channel: i32, fd: i32) -> i32       0, or minus an errno
    wasilab_channel.receive(channel: i32) -> i32             a descriptor of the receiver's own, or minus an errno

What UNIX-domain sockets do with SCM_RIGHTS, without a process and without credentials. The receiver keeps what it got
until it closes it; the object stays the sender's, which may close it. AGAIN: none is there, or too many are
on their way; BADF: a number that stands for nothing; NOTSOCK: what is no channel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ...capabilities.host.local.channel import ChannelSocket
from ...wasi import rights as r
from ...wasi.errnos import Errno, WasiError
from ...wasi.fdtable import Descriptor
from ...wasi.host import Host
from .passing import DescriptorFlow, PassedDescriptor

MODULE = "wasilab_channel"
"""The import module of the two functions."""


class _Sent(NamedTuple):
    """A descriptor on its way."""

    descriptor: Descriptor
    sender: str
    fd: int


def channel_functions(name: str, host: Host, flows: list[DescriptorFlow]) -> dict[str, Callable[..., object]]:
    """The functions for the instance `name`, which holds `host`."""

    def end(number: int) -> ChannelSocket:
        descriptor = host.fds.entries.get(number & 0xFFFFFFFF)
        if descriptor is None:
            raise WasiError(Errno.BADF)
        if not isinstance(descriptor.object, ChannelSocket):
            raise WasiError(Errno.NOTSOCK)
        return descriptor.object

    def send(channel: int, fd: int) -> int:
        try:
            made = end(channel)
            given = host.fds.entries.get(fd & 0xFFFFFFFF)
            if given is None:
                raise WasiError(Errno.BADF)
            if not made.carried.put(made.side, _Sent(given, name, given.fd)):
                raise WasiError(Errno.AGAIN)
        except WasiError as error:
            return -int(error.errno)
        return 0

    def receive(channel: int) -> int:
        try:
            made = end(channel)
            host.fds.require_room()
            sent = made.carried.take(made.side)
            if not isinstance(sent, _Sent):
                raise WasiError(Errno.AGAIN)
            mine = host.fds.open(PassedDescriptor(sent.descriptor, r.ALL, sent.sender, strict=host.strict))
        except WasiError as error:
            return -int(error.errno)
        flows.append(
            DescriptorFlow(
                "channel", sent.sender, sent.fd, sent.descriptor.life, name, mine.fd, mine.life, sent.descriptor.path,
                tuple(r.listed(mine.allowed)), True,
            )
        )  # fmt: skip
        return mine.fd

    return {"send": send, "receive": receive}
