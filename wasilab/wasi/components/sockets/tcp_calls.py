"""The functions of `wasi:sockets/tcp` and `tcp-create-socket` 0.2, and those of `tcp-socket` in 0.3."""

from __future__ import annotations

import contextlib
from functools import partial

from ...errnos import Errno, WasiError
from ...host import Host
from ...operations import Operation as Op
from ..interfaces import Interface, ResultError
from ..resources import PIECE, Closed, InputStream, OutputStream, Pollable, wait_for
from ..waits import HostWait, Incoming, Pending, Promise, Source, Value
from .socket_common import (
    TYPES3,
    USED2,
    NoNetwork,
    both_versions,
    code2,
    code3,
    in_version,
    invalid_state,
    socket_address,
)  # fmt: skip
from .tcp_socket import OPTIONS, TcpSocket, set_option

TCP2 = Interface(
    "wasi:sockets/tcp", "0.2", types={**USED2, "shutdown-type": "enum { receive, send, both }"},
    resources={"tcp-socket": lambda host, made: made.close(host)},
)  # fmt: skip
TCP_CREATE2 = Interface("wasi:sockets/tcp-create-socket", "0.2", types={**USED2, "tcp-socket": "use wasi:sockets/tcp"})
_both_versions = partial(both_versions, TCP2, "tcp-socket")


@TCP_CREATE2.function(
    "create-tcp-socket", Op.OPEN, "(address-family: ip-address-family) -> result<own<tcp-socket>, error-code>",
    errors=code2,
)  # fmt: skip
@TYPES3.function(
    "[static]tcp-socket.create", Op.OPEN,
    "(address-family: ip-address-family) -> result<own<tcp-socket>, error-code>", errors=code3,
)  # fmt: skip
def create_tcp_socket(host: Host, family: str) -> TcpSocket:
    """Create a socket that is not connected."""
    return TcpSocket(host, ipv6=family == "ipv6")


@TCP2.function(
    "[method]tcp-socket.start-bind", Op.CONFIGURE,
    "(self: borrow<tcp-socket>, network: borrow<network>, local-address: ip-socket-address) -> result<_, error-code>",
    errors=code2,
)  # fmt: skip
def start_bind(host: Host, made: TcpSocket, network: NoNetwork, address: Value) -> None:
    """Bind to a local address."""
    made.bind(host, *socket_address(address))
    made.options["bind"] = 1


@TCP2.function(
    "[method]tcp-socket.finish-bind", Op.CONFIGURE, "(self: borrow<tcp-socket>) -> result<_, error-code>",
    errors=code2,
)  # fmt: skip
def finish_bind(host: Host, made: TcpSocket) -> None:
    """Finish binding."""
    if not made.options.pop("bind", 0):
        raise ResultError("not-in-progress")


@TCP2.function(
    "[method]tcp-socket.start-connect", Op.CONNECT,
    "(self: borrow<tcp-socket>, network: borrow<network>, remote-address: ip-socket-address) -> result<_, error-code>",
    errors=code2,
)  # fmt: skip
def start_connect(host: Host, made: TcpSocket, network: NoNetwork, address: Value) -> None:
    """Start connecting."""
    made.begin(host, *socket_address(address))


@TCP2.function(
    "[method]tcp-socket.finish-connect", Op.CONNECT,
    "(self: borrow<tcp-socket>) -> result<tuple<own<input-stream>, own<output-stream>>, error-code>", errors=code2,
)  # fmt: skip
def finish_connect(host: Host, made: TcpSocket) -> tuple[InputStream, OutputStream]:
    """The streams of the connection; would-block until it is established."""
    if made.state != "connecting" or made.socket is None:
        raise ResultError("not-in-progress")
    if not wait_for(host, [Pollable(writer=made.socket.fileno)], block=False):
        raise WasiError(Errno.AGAIN)
    made.finish(host)
    d = made.connected()
    return InputStream(d), OutputStream(d)


@TCP2.function(
    "[method]tcp-socket.start-listen", Op.CONFIGURE, "(self: borrow<tcp-socket>) -> result<_, error-code>",
    errors=code2,
)  # fmt: skip
def start_listen(host: Host, made: TcpSocket) -> None:
    """Start listening."""
    if made.state != "bound":
        raise invalid_state("the socket is not bound")
    made.listen(host)
    made.options["listen"] = 1


@TCP2.function(
    "[method]tcp-socket.finish-listen", Op.CONFIGURE, "(self: borrow<tcp-socket>) -> result<_, error-code>",
    errors=code2,
)  # fmt: skip
def finish_listen(host: Host, made: TcpSocket) -> None:
    """Finish listening."""
    if not made.options.pop("listen", 0):
        raise ResultError("not-in-progress")


@TCP2.function(
    "[method]tcp-socket.accept", Op.ACCEPT,
    "(self: borrow<tcp-socket>) -> result<tuple<own<tcp-socket>, own<input-stream>, own<output-stream>>, error-code>",
    errors=code2,
)  # fmt: skip
def accept(host: Host, made: TcpSocket) -> tuple[TcpSocket, InputStream, OutputStream]:
    """The next connection; would-block while there is none."""
    if made.state != "listening":
        raise invalid_state("the socket does not listen")
    connection = made.accept(host)
    d = connection.connected()
    return connection, InputStream(d), OutputStream(d)


@_both_versions("local-address", "get-local-address", Op.DESCRIBE, ") -> result<ip-socket-address, error-code>")
def local_address(host: Host, made: TcpSocket) -> Value:
    """The local address."""
    return in_version(made.name, remote=False)


@_both_versions("remote-address", "get-remote-address", Op.DESCRIBE, ") -> result<ip-socket-address, error-code>")
def remote_address(host: Host, made: TcpSocket) -> Value:
    """The remote address."""
    return in_version(made.name, remote=True)


@_both_versions("is-listening", "get-is-listening", Op.DESCRIBE, ") -> bool", fallible=False)
def is_listening(host: Host, made: TcpSocket) -> bool:
    """Whether it accepts connections."""
    return made.state == "listening"


@_both_versions("address-family", "get-address-family", Op.DESCRIBE, ") -> ip-address-family", fallible=False)
def address_family(host: Host, made: TcpSocket) -> str:
    """The address family."""
    return "ipv6" if made.ipv6 else "ipv4"


@_both_versions(
    "set-listen-backlog-size", "set-listen-backlog-size", Op.CONFIGURE, ", value: u64) -> result<_, error-code>"
)
def set_listen_backlog_size(host: Host, made: TcpSocket, value: int) -> None:
    """A hint: how many connections may wait to be accepted."""
    if value == 0:
        raise WasiError(Errno.INVAL, "the backlog cannot be 0")
    made.options["backlog"] = min(value, 128)


def _options() -> None:
    """Declare the getter and the setter of every option. The getter returns the value that was set."""
    for name, (type_, default, _, _) in OPTIONS.items():

        def get(host: Host, made: TcpSocket, name: str = name, type_: str = type_, default: int = default) -> Value:
            value = made.options.get(name, default)
            return bool(value) if type_ == "bool" else value

        def put(host: Host, made: TcpSocket, value: int, name: str = name, type_: str = type_) -> None:
            if value == 0 and type_ != "bool":
                raise WasiError(Errno.INVAL, f"{name} cannot be 0")
            made.options[name] = int(value)
            if made.socket is not None:
                set_option(made.socket, name, int(value))

        get.__doc__, put.__doc__ = f"{name} of the socket.", f"Set {name}."
        _both_versions(name, f"get-{name}", Op.DESCRIBE, f") -> result<{type_}, error-code>")(get)
        _both_versions(f"set-{name}", f"set-{name}", Op.CONFIGURE, f", value: {type_}) -> result<_, error-code>")(put)


_options()


@TCP2.function("[method]tcp-socket.subscribe", Op.POLL, "(self: borrow<tcp-socket>) -> own<pollable>")
def tcp_subscribe(host: Host, made: TcpSocket) -> Pollable:
    """Ready when the connection is established, or when one can be accepted."""
    if made.state == "connecting" and made.socket is not None:
        return Pollable(writer=made.socket.fileno)
    if made.state == "listening":
        return Pollable(reader=made.fileno)
    return Pollable()


@TCP2.function(
    "[method]tcp-socket.shutdown", Op.SHUTDOWN,
    "(self: borrow<tcp-socket>, shutdown-type: shutdown-type) -> result<_, error-code>", errors=code2,
)  # fmt: skip
def shutdown(host: Host, made: TcpSocket, how: str) -> None:
    """Close one or both directions."""
    made.connected().object.shutdown(how != "send", how != "receive")


# ---- 0.3


@TYPES3.function(
    "[method]tcp-socket.bind", Op.CONFIGURE,
    "(self: borrow<tcp-socket>, local-address: ip-socket-address) -> result<_, error-code>", errors=code3,
)  # fmt: skip
def bind3(host: Host, made: TcpSocket, address: Value) -> None:
    """Bind to a local address."""
    in_version(made.bind, host, *socket_address(address))


@TYPES3.function(
    "[method]tcp-socket.connect", Op.CONNECT,
    "async (self: borrow<tcp-socket>, remote-address: ip-socket-address) -> result<_, error-code>", errors=code3,
)  # fmt: skip
def connect3(host: Host, made: TcpSocket, address: Value) -> Value:
    """Connect."""
    done = in_version(made.begin, host, *socket_address(address))
    assert made.socket is not None
    if done:
        made.finish(host)
        return None
    return Pending(HostWait(writers=(made.socket.fileno(),)), lambda: made.finish(host))


@TYPES3.function(
    "[method]tcp-socket.listen", Op.ACCEPT,
    "(self: borrow<tcp-socket>) -> result<stream<own<tcp-socket>>, error-code>", errors=code3,
)  # fmt: skip
def listen3(host: Host, made: TcpSocket) -> Source:
    """The stream of accepted connections."""
    in_version(made.listen, host)

    def pull(count: int) -> Value:
        try:
            return [made.accept(host)]
        except BlockingIOError:
            return HostWait(readers=(made.fileno(),))
        except OSError:
            return None

    return Source(pull)


@TYPES3.function(
    "[method]tcp-socket.receive",
    Op.RECEIVE,
    "(self: borrow<tcp-socket>) -> tuple<stream<u8>, future<result<_, error-code>>>",
)
def receive3(host: Host, made: TcpSocket) -> tuple[Source, Promise]:
    """The received bytes, and how the stream ended. Once per socket; dropping the stream shuts down receiving."""
    done = Promise()
    if made.descriptor is None or made.receiving:
        done.resolve(("error", code3(WasiError(Errno.NOTCONN))))
        return Source(lambda count: None), done
    made.receiving = True
    connection = made.descriptor
    stream = InputStream(connection)

    def pull(count: int) -> Value:
        try:
            if not stream.is_ready(host):
                fd = stream.fileno()
                return HostWait(readers=() if fd is None else (fd,))
            return bytes(stream.read(host, min(count, PIECE), block=True))
        except Exception as error:  # noqa: BLE001  end of stream, or an error
            done.resolve(("ok", None) if isinstance(error, Closed) else _answer(host, error))
            return None

    def close() -> None:
        with contextlib.suppress(OSError):  # the connection may already be closed
            connection.object.shutdown(True, False)
        done.resolve(("ok", None))

    return Source(pull, close), done


def _answer(host: Host, error: BaseException) -> tuple[str, Value]:
    failure = host.explain(error)
    if failure is None:
        raise error
    return ("error", code3(failure))


class SocketSink:
    """The receiver of the bytes that a guest writes to a stream of a connection."""

    def __init__(self, host: Host, made: TcpSocket, done: Promise) -> None:
        self._host = host
        self._made = made
        self._done = done

    def put(self, data: bytes) -> None:
        """Send them."""
        OutputStream(self._made.connected()).write(self._host, data)

    def room(self) -> HostWait | None:
        """None if the connection accepts more bytes, else what to wait for."""
        d = self._made.descriptor
        if d is None or wait_for(self._host, [Pollable(writer=d.object.fileno)], block=False):
            return None
        return HostWait(writers=(d.object.fileno(),))

    def end(self, error: BaseException | None) -> None:
        """Shut down sending, and report how it ended."""
        d = self._made.descriptor
        if error is None and d is not None:
            try:
                d.object.shutdown(False, True)
            except OSError as failed:
                error = failed
        self._done.resolve(("ok", None) if error is None else _answer(self._host, error))


@TYPES3.function(
    "[method]tcp-socket.send",
    Op.SEND,
    "(self: borrow<tcp-socket>, data: stream<u8>) -> future<result<_, error-code>>",
)
def send3(host: Host, made: TcpSocket, data: Incoming) -> Promise:
    """Send a stream of bytes; returns how it ended. Once per socket."""
    done = Promise()
    if made.descriptor is None or made.sending:
        data.drop()
        done.resolve(("error", code3(WasiError(Errno.NOTCONN))))
        return done
    made.sending = True
    data.consume(SocketSink(host, made, done))
    return done
