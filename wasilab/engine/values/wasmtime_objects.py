"""The type of objects from wasmtime-py and its bindings (stores, functions, slots), which are untyped."""

from __future__ import annotations

from typing import Any, TypeAlias

WasmtimeObject: TypeAlias = Any
