"""WIT, the language of WASI's declarations: parsing, and writing for compilers."""
