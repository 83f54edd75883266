"""From source to a .wasm module: one file per language family (floor 1)."""
