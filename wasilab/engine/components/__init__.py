"""Components run without Wasmtime's component API: taken apart, their core modules linked by our own canonical ABI."""
