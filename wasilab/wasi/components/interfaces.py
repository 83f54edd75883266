"""Declares the functions of WASI 0.2 and 0.3: interfaces, types, and the decorator `function`.

An `Interface` groups functions; `@interface.function(...)` above each function gives its name and its type in WIT. All
other code uses these declarations: the engine links them and checks that a component has the same types, the trace
names functions and arguments by them, and `operation` classifies a function in the same way for all WASI versions.

A function gets the `Host` and the lifted arguments (their form is in `engine/components/abi/emitter.py`), and returns
the result, for a type `result<T, E>` the T. It raises an error that `Host.explain` knows, or `ResultError` for an error
code that it chooses itself. Not here: the list of all interfaces (`catalogue.py`).

Source: the WIT packages of WASI 0.2.12 and 0.3.0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from ..errnos import WasiError
from ..operations import Operation
from .waits import Value

F = TypeVar("F", bound=Callable[..., object])
Errors = Callable[[WasiError], Value]
"""Maps a failure to the interface's own error code: the payload of `error`."""


class ResultError(Exception):
    """The `error` of a result, chosen by the function itself. `cause` is the underlying failure, for the trace."""

    def __init__(self, value: Value, cause: WasiError | None = None) -> None:
        super().__init__(value)
        self.value = value
        self.cause = cause


@dataclass(frozen=True, slots=True)
class WasiFunction:
    """One function of WASI 0.2 or 0.3."""

    interface: Interface
    name: str
    """As a component imports it: `[method]descriptor.open-at`."""
    type: str
    """Its parameters and result as WIT writes them, without the word func."""
    operation: Operation
    call: Callable[..., Value]
    """call(host, *arguments)."""
    errors: Errors | None
    """None for a function whose result has no error: a failure then ends the guest, with the reason."""
    is_async: bool = False

    @property
    def full_name(self) -> str:
        """`wasi:filesystem/types#[method]descriptor.open-at`."""
        return f"{self.interface.name}#{self.name}"

    @property
    def family(self) -> str:
        """The package: "filesystem", "io", ..."""
        return self.interface.name.partition(":")[2].partition("/")[0]


@dataclass(slots=True)
class Interface:
    """An interface: its name without the version, the version ("0.2" or "0.3"), and the types that it defines.

    `types` maps names to WIT types; a name that another interface defines is mapped to "use INTERFACE" (or "use
    INTERFACE as NAME" with its name there). `resources` maps the names of resources to the functions that drop them.
    """

    name: str
    version: str
    types: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, Callable[[Value, Value], object]] = field(default_factory=dict)
    functions: dict[str, WasiFunction] = field(default_factory=dict)

    def function(
        self, name: str, operation: Operation, type_: str, *, errors: Errors | None = None
    ) -> Callable[[F], F]:
        """Declare the function below. `type_`: "(self: borrow<error>) -> string", or "async (...) -> ...".

        One Python function may be declared for several interfaces.
        """

        def declare(call: F) -> F:
            if name in self.functions:
                raise ValueError(f"{self.name}#{name} is declared twice")
            is_async = type_.startswith("async ")
            self.functions[name] = WasiFunction(
                self, name, type_.removeprefix("async "), operation, call, errors, is_async
            )
            return call

        return declare


def parts(name: str) -> tuple[str, str]:
    """The name of an imported interface without its version, and the version that is served.

    `wasi:io/streams@0.2.6` is ("wasi:io/streams", "0.2"). Only the first two numbers count: 0.2.x are compatible with
    each other, and so are 0.3.x. A pre-release (`0.3.0-rc`) is another interface.
    """
    bare, _, version = name.partition("@")
    numbers = version.split(".")
    served = ".".join(numbers[:2]) if len(numbers) == 3 and numbers[2].isdigit() else version
    return bare, served
