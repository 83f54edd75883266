"""The calls on sockets (table only). There is no way to make one: listening sockets are preopened by the grants."""

from __future__ import annotations

from . import signature as s
from .errnos import Errno as E
from .signature import Call, Param, Result
from .types import Rights as R

_NOTSOCK = {
    E.NOTSOCK: "the descriptor is no socket",
    E.NOTCAPABLE: "the descriptor lacks the right (strict rights)",
}
_NOTCONN = {E.NOTCONN: "the socket is not connected (any more)"}

CALLS = (
    Call(
        "sock_accept", "sock", 42, (Param("fd", s.FD_ARGUMENT, R.SOCK_ACCEPT), Param("flags", s.FDFLAGS)),
        (Result("result_fd", s.FD_RESULT),),
        "Take the next connection of a listening socket, as accept4(2); waits unless the listening socket is "
        "non-blocking. The flags (only nonblock) are the new socket's.",
        "writes u32 at result.result_fd",
        {
            **_NOTSOCK,
            E.INVAL: "the socket does not listen, or an undefined flag",
            E.NOTSUP: "a flag other than nonblock",
            E.AGAIN: "nobody waits to be accepted and the listening socket is non-blocking",
            E.MFILE: "the grant's limit of open descriptors is reached",
        },
    ),
    Call(
        "sock_recv", "sock", 43,
        (Param("fd", s.FD_ARGUMENT, R.FD_READ), Param("ri_data", s.IOVEC_ARRAY), Param("ri_flags", s.RIFLAGS)),
        (Result("ro_datalen", s.SIZE), Result("ro_flags", s.ROFLAGS)),
        "Receive from a connected socket, as recvmsg(2); 0 bytes mean that the peer has shut down.",
        """
    reads ri_data_len x 8 bytes at ri_data, a list of buffers:
        0       4       8
        |ptr u32|len u32| ...
    writes the bytes received into them in order, u32 at result.ro_datalen, u16 at result.ro_flags""",
        {**_NOTSOCK, **_NOTCONN, E.INVAL: "an undefined flag, more than 1024 buffers",
         E.AGAIN: "the socket is non-blocking and nothing has arrived"},
    ),
    Call(
        "sock_send", "sock", 44,
        (Param("fd", s.FD_ARGUMENT, R.FD_WRITE), Param("si_data", s.CIOVEC_ARRAY), Param("si_flags", s.SIFLAGS)),
        (Result("so_datalen", s.SIZE),),
        "Send on a connected socket, as sendmsg(2).",
        """
    reads si_data_len x 8 bytes at si_data, and the bytes of each buffer:
        0       4       8
        |ptr u32|len u32| ...
    writes u32 at result.so_datalen""",
        {**_NOTSOCK, **_NOTCONN, E.INVAL: "a flag, more than 1024 buffers", E.PIPE: "the peer has closed",
         E.AGAIN: "the socket is non-blocking and its buffers are full",
         E.NOSPC: "the limit of bytes written is used up"},
    ),
    Call(
        "sock_shutdown", "sock", 45, (Param("fd", s.FD_ARGUMENT, R.SOCK_SHUTDOWN), Param("how", s.SDFLAGS)), (),
        "Close the receiving side, the sending side or both, as shutdown(2).",
        "",
        {**_NOTSOCK, **_NOTCONN, E.INVAL: "an undefined flag, or none"},
    ),
)  # fmt: skip
