"""`wasi:http/types` 0.2 and 0.3: the types, header fields, and the options of a request.

Source: the WIT packages of wasi:http 0.2.12 and 0.3.0; RFC 9110 for valid names and values.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ...errnos import Errno, WasiError
from ...host import Host
from ...operations import Operation as Op
from ...types import Trap
from ..interfaces import Interface, ResultError
from ..resources import IoError
from ..waits import Value
from .byte_queue import BodyFailed, Trailers

MAX_FIELD_BYTES = 128 << 10
"""Maximum bytes of the names and values of one set of fields."""
FORBIDDEN = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "transfer-encoding",
    "upgrade", "http2-settings", "host",
})  # fmt: skip
"""Fields that only the transport may set."""
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_CASES = (
    "DNS-timeout, DNS-error(DNS-error-payload), destination-not-found, destination-unavailable, "
    "destination-IP-prohibited, destination-IP-unroutable, connection-refused, connection-terminated, "
    "connection-timeout, connection-read-timeout, connection-write-timeout, connection-limit-reached, "
    "TLS-protocol-error, TLS-certificate-error, TLS-alert-received(TLS-alert-received-payload), HTTP-request-denied, "
    "HTTP-request-length-required, HTTP-request-body-size(option<u64>), HTTP-request-method-invalid, "
    "HTTP-request-URI-invalid, HTTP-request-URI-too-long, HTTP-request-header-section-size(option<u32>), "
    "HTTP-request-header-size(option<field-size-payload>), HTTP-request-trailer-section-size(option<u32>), "
    "HTTP-request-trailer-size(field-size-payload), HTTP-response-incomplete, "
    "HTTP-response-header-section-size(option<u32>), HTTP-response-header-size(field-size-payload), "
    "HTTP-response-body-size(option<u64>), HTTP-response-trailer-section-size(option<u32>), "
    "HTTP-response-trailer-size(field-size-payload), HTTP-response-transfer-coding(option<string>), "
    "HTTP-response-content-coding(option<string>), HTTP-response-timeout, HTTP-upgrade-failed, HTTP-protocol-error, "
    "loop-detected, configuration-error, internal-error(option<string>)"
)
_COMMON = {
    "method": "variant { get, head, post, put, delete, connect, options, trace, patch, other(string) }",
    "scheme": "variant { HTTP, HTTPS, other(string) }",
    "DNS-error-payload": "record { rcode: option<string>, info-code: option<u16> }",
    "TLS-alert-received-payload": "record { alert-id: option<u8>, alert-message: option<string> }",
    "field-size-payload": "record { field-name: option<string>, field-size: option<u32> }",
    "error-code": f"variant {{ {_CASES} }}",
    "field-value": "list<u8>",
    "status-code": "u16",
}


def _nothing(host: Host, thing: object) -> None:
    """Dropping it does nothing."""


def _close(host: Host, thing: Value) -> None:
    thing.close()


TYPES2 = Interface(
    "wasi:http/types",
    "0.2",
    types={
        "duration": "use wasi:clocks/monotonic-clock",
        "input-stream": "use wasi:io/streams",
        "output-stream": "use wasi:io/streams",
        "io-error": "use wasi:io/error as error",
        "pollable": "use wasi:io/poll",
        **_COMMON,
        "header-error": "variant { invalid-syntax, forbidden, immutable }",
        "field-key": "string",
        "field-name": "field-key",
        "headers": "fields",
        "trailers": "fields",
    },
    resources={
        "fields": _nothing, "incoming-request": _close, "outgoing-request": _close, "request-options": _nothing,
        "response-outparam": _nothing, "incoming-response": _close, "incoming-body": _close,
        "future-trailers": _close, "outgoing-response": _close, "outgoing-body": _close,
        "future-incoming-response": lambda host, sent: sent.drop(),
    },
)  # fmt: skip
TYPES3 = Interface(
    "wasi:http/types",
    "0.3",
    types={
        "duration": "use wasi:clocks/types",
        **_COMMON,
        "header-error": "variant { invalid-syntax, forbidden, immutable, size-exceeded, other(option<string>) }",
        "request-options-error": "variant { not-supported, immutable, other(option<string>) }",
        "field-name": "string",
        "headers": "fields",
        "trailers": "fields",
    },
    resources={"fields": _nothing, "request": _close, "request-options": _nothing, "response": _close},
)

_NO_PAYLOAD: dict[str, Value] = {
    "DNS-error": (None, None), "TLS-alert-received": (None, None), "HTTP-request-trailer-size": (None, None),
    "HTTP-response-header-size": (None, None), "HTTP-response-trailer-size": (None, None),
}  # fmt: skip


class HttpError(WasiError):
    """A failure with a name of its own in `wasi:http`."""

    def __init__(self, code: str, reason: str = "") -> None:
        super().__init__(Errno.IO, reason)
        self.code = code

    @property
    def value(self) -> Value:
        """The error code for the component."""
        return code_value(self.code, self.reason)


def code_value(code: str, reason: str = "") -> Value:
    """An `error-code`, with a payload if the case has one."""
    return (code, reason or None) if code == "internal-error" else (code, _NO_PAYLOAD.get(code))


def error_code(failure: WasiError) -> Value:
    """A failure as an `error-code`."""
    if isinstance(failure, HttpError):
        return failure.value
    if failure.denied_by:
        return code_value("HTTP-request-denied")
    return code_value("internal-error", failure.reason or failure.errno.text)


def http_result(error: HttpError | BodyFailed) -> ResultError:
    """The error of a function that returns an `error-code`."""
    cause = error if isinstance(error, HttpError) else HttpError(error.code, error.reason)
    return ResultError(cause.value, cause)


# -- fields ------------------------------------------------------------------------------------------------------------


class HttpFields:
    """Header fields or trailers: names in lower case, in order."""

    path = ""

    def __init__(self, entries: Trailers | None = None, *, mutable: bool = True) -> None:
        self.entries: Trailers = list(entries or ())
        self.mutable = mutable
        self.size = sum(len(name) + len(value) for name, value in self.entries)

    def fixed(self) -> HttpFields:
        """An immutable copy."""
        return HttpFields(self.entries, mutable=False)

    def values(self, name: str) -> list[bytes]:
        """The values of a name."""
        lower = name.lower()
        return [value for known, value in self.entries if known == lower]

    def check(self, name: str, values: list[Value] | tuple[Value, ...] = ()) -> str:
        """The name in lower case. Raises the `header-error` of an invalid change."""
        if not self.mutable:
            raise ResultError(("immutable", None))
        if not TOKEN.fullmatch(name) or any(not _VALUE.fullmatch(bytes(value)) for value in values):
            raise ResultError(("invalid-syntax", None))
        if name.lower() in FORBIDDEN:
            raise ResultError(("forbidden", None))
        return name.lower()

    def add(self, name: str, values: list[Value], *, sized: bool) -> None:
        """Add values. `sized`: the version has a `header-error` for too many; otherwise the guest is ended."""
        lower = self.check(name, values)
        more = sum(len(lower) + len(value) for value in values)
        if self.size + more > MAX_FIELD_BYTES:
            if sized:
                raise ResultError(("size-exceeded", None))
            raise Trap(f"the fields of a message have more than {MAX_FIELD_BYTES:,} bytes")
        self.size += more
        self.entries += [(lower, bytes(value)) for value in values]

    def remove(self, name: str) -> list[bytes]:
        """Remove a name; returns its values."""
        lower = self.check(name)
        found = self.values(lower)
        self.entries = [entry for entry in self.entries if entry[0] != lower]
        self.size -= sum(len(lower) + len(value) for value in found)
        return found


def _both(name: str, type_: str) -> Callable[[Callable[..., object]], Callable[..., object]]:
    def declare(call: Callable[..., object]) -> Callable[..., object]:
        TYPES2.function(name, Op.DESCRIBE, type_)(call)
        TYPES3.function(name, Op.DESCRIBE, type_)(call)
        return call

    return declare


@_both("[constructor]fields", "() -> own<fields>")
def new_fields(host: Host) -> HttpFields:
    """Create empty fields."""
    return HttpFields()


@_both("[method]fields.get", "(self: borrow<fields>, name: field-name) -> list<field-value>")
def get_field(host: Host, fields: HttpFields, name: str) -> list[bytes]:
    """The values of a name."""
    return fields.values(name)


@_both("[method]fields.has", "(self: borrow<fields>, name: field-name) -> bool")
def has_field(host: Host, fields: HttpFields, name: str) -> bool:
    """Whether the name exists."""
    return bool(fields.values(name))


@_both("[method]fields.clone", "(self: borrow<fields>) -> own<fields>")
def clone_fields(host: Host, fields: HttpFields) -> HttpFields:
    """A mutable copy."""
    return HttpFields(fields.entries)


def entries_of(host: Host, fields: HttpFields) -> list[Value]:
    """All names and values."""
    return list(fields.entries)


_LIST = "list<tuple<field-name, field-value>>"
TYPES2.function("[method]fields.entries", Op.DESCRIBE, f"(self: borrow<fields>) -> {_LIST}")(entries_of)
TYPES3.function("[method]fields.copy-all", Op.DESCRIBE, f"(self: borrow<fields>) -> {_LIST}")(entries_of)


@_both("[method]fields.delete", "(self: borrow<fields>, name: field-name) -> result<_, header-error>")
def delete_field(host: Host, fields: HttpFields, name: str) -> None:
    """Remove a name."""
    fields.remove(name)


@TYPES3.function(
    "[method]fields.get-and-delete", Op.DESCRIBE,
    "(self: borrow<fields>, name: field-name) -> result<list<field-value>, header-error>",
)  # fmt: skip
def get_and_delete_field(host: Host, fields: HttpFields, name: str) -> list[bytes]:
    """Remove a name and return its values."""
    return fields.remove(name)


def _declare_changes(interface: Interface, *, sized: bool) -> None:
    def from_list(host: Host, entries: list[tuple[str, Value]]) -> HttpFields:
        made = HttpFields()
        for name, value in entries:
            made.add(name, [value], sized=sized)
        return made

    def set_field(host: Host, fields: HttpFields, name: str, values: list[Value]) -> None:
        fields.check(name, values)
        fields.remove(name)
        fields.add(name, values, sized=sized)

    def append(host: Host, fields: HttpFields, name: str, value: Value) -> None:
        fields.add(name, [value], sized=sized)

    from_list.__doc__, set_field.__doc__ = "Create fields.", "Replace the values of a name."
    append.__doc__ = "Add a value."
    error = "header-error>"
    interface.function("[static]fields.from-list", Op.DESCRIBE, f"(entries: {_LIST}) -> result<own<fields>, {error}")(
        from_list
    )
    head = "(self: borrow<fields>, name: field-name, value: "
    interface.function("[method]fields.set", Op.DESCRIBE, f"{head}list<field-value>) -> result<_, {error}")(set_field)
    interface.function("[method]fields.append", Op.DESCRIBE, f"{head}field-value) -> result<_, {error}")(append)


_declare_changes(TYPES2, sized=False)
_declare_changes(TYPES3, sized=True)


@TYPES2.function("http-error-code", Op.DESCRIBE, "(err: borrow<io-error>) -> option<error-code>")
def http_error_code(host: Host, error: IoError) -> Value:
    """The HTTP error of a stream's failure, if it has one."""
    return error.failure.value if isinstance(error.failure, HttpError) else None


# -- options of a request ----------------------------------------------------------------------------------------------

TIMEOUTS = ("connect-timeout", "first-byte-timeout", "between-bytes-timeout")


class RequestOptions:
    """Timeouts in ns; None: the defaults."""

    path = ""

    def __init__(self, given: dict[str, int] | None = None, *, mutable: bool = True) -> None:
        self.given = dict(given or {})
        self.mutable = mutable

    def fixed(self) -> RequestOptions:
        """An immutable copy."""
        return RequestOptions(self.given, mutable=False)


@_both("[constructor]request-options", "() -> own<request-options>")
def new_options(host: Host) -> RequestOptions:
    """Create options with the default timeouts."""
    return RequestOptions()


@TYPES3.function(
    "[method]request-options.clone", Op.DESCRIBE, "(self: borrow<request-options>) -> own<request-options>"
)
def clone_options(host: Host, options: RequestOptions) -> RequestOptions:
    """A mutable copy."""
    return RequestOptions(options.given)


def _declare_timeouts() -> None:
    for name in TIMEOUTS:

        def get(host: Host, options: RequestOptions, name: str = name) -> int | None:
            return options.given.get(name)

        def put(host: Host, options: RequestOptions, value: int | None, name: str = name) -> None:
            if not options.mutable:
                raise ResultError(("immutable", None))
            if value is None:
                options.given.pop(name, None)
            else:
                options.given[name] = value

        get.__doc__, put.__doc__ = f"The {name}.", f"Set the {name}."
        self_ = "(self: borrow<request-options>"
        TYPES2.function(f"[method]request-options.{name}", Op.DESCRIBE, f"{self_}) -> option<duration>")(get)
        TYPES3.function(f"[method]request-options.get-{name}", Op.DESCRIBE, f"{self_}) -> option<duration>")(get)
        change = f"{self_}, duration: option<duration>) -> result"
        TYPES2.function(f"[method]request-options.set-{name}", Op.CONFIGURE, change)(put)
        TYPES3.function(
            f"[method]request-options.set-{name}", Op.CONFIGURE, f"{change}<_, request-options-error>"
        )(put)


_declare_timeouts()
