"""What Wasmtime made of a module: its machine code."""
