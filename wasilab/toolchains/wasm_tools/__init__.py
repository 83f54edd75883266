"""What wasm-tools does here: components made of preview1 modules, and scripts (`.wast`) parsed."""
