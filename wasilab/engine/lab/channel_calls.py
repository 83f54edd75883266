"""Two functions that a lab program may import to send and receive descriptors through a channel.

    wasilab_channel.send(channel: i32, fd: i32) -> i32       0, or minus an errno
    wasilab_channel.receive(channel: i32) -> i32             a new descriptor of the receiver, or minus an errno

Like SCM_RIGHTS on UNIX-domain sockets, but without processes and credentials. The receiver keeps the descriptor until
it closes it; the object still belongs to the sender, which may close it. Errors: AGAIN: none is queued, or too many
are; BADF: the number is not open; NOTSOCK: it is not a channel.
"""

from __future__ import annotations

import time
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
    """A descriptor in the queue."""

    descriptor: Descriptor
    sender: str
    fd: int


def channel_functions(name: str, host: Host, flows: list[DescriptorFlow]) -> dict[str, Callable[..., object]]:
    """The functions for the instance `name` with `host`."""

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
            mine = PassedDescriptor(sent.descriptor, r.ALL, sent.sender, strict=host.strict)
            host.fds.open(mine)
        except WasiError as error:
            return -int(error.errno)
        flows.append(
            DescriptorFlow(
                "channel", sent.sender, sent.fd, sent.descriptor.life, name, mine.fd, mine.life, sent.descriptor.path,
                tuple(r.listed(mine.allowed)), mine.not_passed(sent.descriptor), True, time.perf_counter_ns(),
            )
        )  # fmt: skip
        return mine.fd

    return {"send": send, "receive": receive}
