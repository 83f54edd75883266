"""How a WASI call of the guest reaches the host and returns."""
