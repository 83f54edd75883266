"""Everything that uses Wasmtime: linking, memory, the worker thread, limits."""
