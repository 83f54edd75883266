"""A server on the loopback for tests of wasi:http: it echoes what it is sent, or answers as it is told."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answer:
    """What a path is answered with. `chunks`: chunked, with trailers."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    chunks: list[bytes] | None = None
    trailers: dict[str, str] = field(default_factory=dict)
    echo: str = ""
    """"body" or "headers": what is sent back of the request."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answers: dict[tuple[str, str], Answer]

    def handle_one(self) -> None:
        body, trailers = self.body()
        answer = self.answers.get((self.command, self.path), Answer(404))
        headers = dict(answer.headers)
        if answer.echo == "headers":
            for name in dict.fromkeys(map(str.lower, self.headers)):
                headers[f"x-echo-{name}"] = ", ".join(self.headers.get_all(name) or ())
            headers |= {f"x-trailer-{name}": value for name, value in trailers.items()}
            headers |= {"x-request-method": self.command, "x-request-path": self.path}
        sent = body if answer.echo == "body" else answer.body
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        if answer.chunks is None:
            self.send_header("content-length", str(len(sent)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(sent)
            return
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for chunk in answer.chunks:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n" + b"".join(f"{n}: {v}\r\n".encode() for n, v in answer.trailers.items()) + b"\r\n")

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_HEAD = handle_one

    def body(self) -> tuple[bytes, dict[str, str]]:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0)), {}
        body, trailers = b"", {}
        while size := int(self.rfile.readline() or b"0", 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while line := self.rfile.readline().strip():
            name, _, value = line.decode().partition(":")
            trailers[name.strip().lower()] = value.strip()
        return body, trailers

    def log_message(self, *ignored: Any) -> None:
        pass


class Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *ignored: Any) -> None:
        pass  # a client that goes away is what is tested


@contextlib.contextmanager
def serving(answers: dict[tuple[str, str], Answer]) -> Iterator[str]:
    """The authority of a server with these answers: (method, path) -> answer."""
    kind = type("Answers", (Handler,), {"answers": answers})
    with Quiet(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


@contextlib.contextmanager
def speaking(answer: bytes | Callable[[Any], None]) -> Iterator[str]:
    """The authority of a server that answers one connection with these bytes, whatever it is sent."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def work() -> None:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    if callable(answer):
                        answer(connection)
                    else:
                        connection.sendall(answer)
                        connection.shutdown(socket.SHUT_WR)
                        while connection.recv(65536):
                            pass

        threading.Thread(target=work, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
