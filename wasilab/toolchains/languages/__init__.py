"""One file per language: compiles its source to a WASI module."""
