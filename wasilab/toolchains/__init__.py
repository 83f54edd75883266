"""Compiles source to a .wasm module; one file per language family."""
