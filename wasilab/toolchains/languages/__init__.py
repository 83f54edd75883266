"""One file a language: from its source to a WASI module."""
