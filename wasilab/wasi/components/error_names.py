"""Errors of components without an errno: their numbers in a trace, and the names of all errors.

A trace has one byte for the error of a call. An error with a WASI errno has its number; the others have numbers from
128 on. `name_of` gives the name of an error in the function's interface.
"""

from __future__ import annotations

from ..errnos import Errno
from .waits import Value

FIRST = 128
OTHERS = (
    "closed",
    # wasi:sockets, errors without an errno
    "unknown", "timeout", "concurrency-conflict", "not-in-progress", "invalid-state", "new-socket-limit",
    "address-not-bindable", "datagram-too-large", "name-unresolvable", "temporary-resolver-failure",
    "permanent-resolver-failure", "connection-broken",
    # wasi:http
    "DNS-timeout", "DNS-error", "destination-not-found", "destination-unavailable", "destination-IP-prohibited",
    "destination-IP-unroutable", "connection-refused", "connection-terminated", "connection-timeout",
    "connection-read-timeout", "connection-write-timeout", "connection-limit-reached", "TLS-protocol-error",
    "TLS-certificate-error", "TLS-alert-received", "HTTP-request-denied", "HTTP-request-length-required",
    "HTTP-request-body-size", "HTTP-request-method-invalid", "HTTP-request-URI-invalid", "HTTP-request-URI-too-long",
    "HTTP-request-header-section-size", "HTTP-request-header-size", "HTTP-request-trailer-section-size",
    "HTTP-request-trailer-size", "HTTP-response-incomplete", "HTTP-response-header-section-size",
    "HTTP-response-header-size", "HTTP-response-body-size", "HTTP-response-trailer-section-size",
    "HTTP-response-trailer-size", "HTTP-response-transfer-coding", "HTTP-response-content-coding",
    "HTTP-response-timeout", "HTTP-upgrade-failed", "HTTP-protocol-error", "loop-detected", "configuration-error",
    "internal-error",
    # wasi:http header errors, and anything else
    "invalid-syntax", "forbidden", "immutable", "size-exceeded", "not-supported", "other",
)  # fmt: skip
"""The errors, from number `FIRST` on. New ones are added at the end: the numbers are in trace files."""
_NUMBERS = {name: FIRST + number for number, name in enumerate(OTHERS)}


def number_of(error: Value) -> int:
    """The number of an error payload: an enum's name, or a variant's (name, value)."""
    name = error[0] if isinstance(error, tuple) and error else error
    return _NUMBERS.get(name, _NUMBERS["other"]) if isinstance(name, str) else _NUMBERS["other"]


def name_of(number: int) -> str:
    """The name of a number from `FIRST` on; "" for any other."""
    index = number - FIRST
    return OTHERS[index] if 0 <= index < len(OTHERS) else ""


_WORDS = {
    Errno.ACCES: "access", Errno.AGAIN: "would-block", Errno.ALREADY: "already", Errno.BADF: "bad-descriptor",
    Errno.BUSY: "busy", Errno.DEADLK: "deadlock", Errno.DQUOT: "quota", Errno.EXIST: "exist",
    Errno.FBIG: "file-too-large", Errno.ILSEQ: "illegal-byte-sequence", Errno.INPROGRESS: "in-progress",
    Errno.INTR: "interrupted", Errno.INVAL: "invalid", Errno.IO: "io", Errno.ISDIR: "is-directory",
    Errno.LOOP: "loop", Errno.MLINK: "too-many-links", Errno.MSGSIZE: "message-size",
    Errno.NAMETOOLONG: "name-too-long", Errno.NODEV: "no-device", Errno.NOENT: "no-entry", Errno.NOLCK: "no-lock",
    Errno.NOMEM: "insufficient-memory", Errno.NOSPC: "insufficient-space", Errno.NOTDIR: "not-directory",
    Errno.NOTEMPTY: "not-empty", Errno.NOTRECOVERABLE: "not-recoverable", Errno.NOTSUP: "unsupported",
    Errno.NOTTY: "no-tty", Errno.NXIO: "no-such-device", Errno.OVERFLOW: "overflow", Errno.PERM: "not-permitted",
    Errno.PIPE: "pipe", Errno.ROFS: "read-only", Errno.SPIPE: "invalid-seek", Errno.TXTBSY: "text-file-busy",
    Errno.XDEV: "cross-device",
    # What preview1 has and WASI 0.2 does not.
    Errno.NOTCAPABLE: "not-permitted", Errno.MFILE: "insufficient-memory", Errno.NFILE: "insufficient-memory",
    Errno.NOSYS: "unsupported",
}  # fmt: skip

_WORDS_BY_NUMBER = {int(errno): word for errno, word in _WORDS.items()}


def word_of(errno: Errno | int) -> str:
    """The name of an errno in WASI 0.2 and 0.3 (`wasi:filesystem` error-code); "io" if it has none."""
    return _WORDS_BY_NUMBER.get(int(errno), "io")


def shown(number: int) -> str:
    """The name of an error of a component's call in a trace: of an errno, or of a number from `FIRST` on."""
    return name_of(number) or word_of(number)
