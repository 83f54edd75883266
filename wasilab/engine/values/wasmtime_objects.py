"""The type of what wasmtime-py and its bindings hand out: stores, functions, slots. They have no types of their own."""

from __future__ import annotations

from typing import Any, TypeAlias

WasmtimeObject: TypeAlias = Any
