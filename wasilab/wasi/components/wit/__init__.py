"""The notation in which WASI is declared (WIT): read, and written for compilers."""
