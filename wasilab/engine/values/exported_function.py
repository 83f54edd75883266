"""An export of an instance as a Python function, with its signature and help by WebAssembly's types."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from ...module.binary import FuncType

ExportValue: TypeAlias = Any
"""What an export takes or returns: a number, `V128`, an object, a reference, None; a list of several results."""
_PYTHON = {"i32": int, "i64": int, "f32": float, "f64": float, "externref": object}
"""The Python type of a value, for annotations; others are told by WebAssembly's name."""


class ExportedFunction:
    """Call it with the export's values; `call_async` does the same and leaves the event loop free meanwhile."""

    def __init__(
        self,
        name: str,
        call: Callable[..., ExportValue],
        call_async: Callable[..., Awaitable[ExportValue]],
        type_: FuncType | None,
    ) -> None:
        self.__name__ = self.__qualname__ = name
        self.__doc__ = f"{name} of the module, as WebAssembly has it." if type_ is None else f"{name}{type_}"
        self.type = type_
        """Its type as WebAssembly has it; None for an export of a component."""
        self._call = call
        self._call_async = call_async

    def __call__(self, *arguments: ExportValue) -> ExportValue:
        return self._call(*arguments)

    async def call_async(self, *arguments: ExportValue) -> ExportValue:
        """The same without blocking the event loop: other tasks and widgets go on. Raises as the call does.

        Cancelling it interrupts the guest at once, and ends the instance.
        """
        return await self._call_async(*arguments)

    @property
    def __signature__(self) -> ExportValue:
        """Parameters by position, with Python's types for WebAssembly's."""
        import inspect  # when somebody asks for help: not at every start

        if self.type is None:
            return inspect.Signature([inspect.Parameter("arguments", inspect.Parameter.VAR_POSITIONAL)])
        kind = inspect.Parameter.POSITIONAL_ONLY
        params = [
            inspect.Parameter(f"{type_}_{at}", kind, annotation=_PYTHON.get(type_, type_))
            for at, type_ in enumerate(self.type.params)
        ]
        results = self.type.results
        found: ExportValue = None if not results else _PYTHON.get(results[0], results[0]) if len(results) == 1 else list
        return inspect.Signature(params, return_annotation=found)

    def __repr__(self) -> str:
        return f"<export {self.__doc__}>" if self.type is not None else f"<export {self.__name__}>"
