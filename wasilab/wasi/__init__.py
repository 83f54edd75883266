"""What WASI is and how each call behaves (floor 1)."""
