"""How a guest's WASI call reaches the host and returns."""
