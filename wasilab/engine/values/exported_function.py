"""An export as a Python function, with signature and help from its WebAssembly types."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from ...module.binary import FuncType

ExportValue: TypeAlias = Any
"""The result of an export: a number, `V128`, an object, a reference, None; a list for several results. Only the user
knows which, so it is not checked."""
_PYTHON = {"i32": int, "i64": int, "f32": float, "f64": float, "externref": object}
"""The Python type of a value, for annotations; other types use WebAssembly's name."""


class ExportedFunction:
    """Call it with the export's values; `call_async` does the same without blocking the event loop."""

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
        """Its WebAssembly type; None for a component's export."""
        self._call = call
        self._call_async = call_async

    def __call__(self, *arguments: object) -> ExportValue:
        return self._call(*arguments)

    async def call_async(self, *arguments: object) -> ExportValue:
        """Call it without blocking the event loop: other tasks and widgets keep running. Raises as the call does.

        Cancelling it interrupts the guest at once, and ends the instance.
        """
        return await self._call_async(*arguments)

    @property
    def __signature__(self) -> object:
        """Positional parameters, with Python types."""
        import inspect  # imported only for help, not at every start

        if self.type is None:
            return inspect.Signature([inspect.Parameter("arguments", inspect.Parameter.VAR_POSITIONAL)])
        kind = inspect.Parameter.POSITIONAL_ONLY
        params = [
            inspect.Parameter(f"{type_}_{at}", kind, annotation=_PYTHON.get(type_, type_))
            for at, type_ in enumerate(self.type.params)
        ]
        results = self.type.results
        found: object = None if not results else _PYTHON.get(results[0], results[0]) if len(results) == 1 else list
        return inspect.Signature(params, return_annotation=found)

    def __repr__(self) -> str:
        return f"<export {self.__doc__}>" if self.type is not None else f"<export {self.__name__}>"
