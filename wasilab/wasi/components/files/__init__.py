"""`wasi:filesystem` 0.2 and 0.3."""
