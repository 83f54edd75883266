"""The only place that knows Wasmtime: linking, memory, the worker thread, limits (floor 3)."""
