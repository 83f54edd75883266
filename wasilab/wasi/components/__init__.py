"""WASI 0.2 and 0.3: the functions of their interfaces, over the same capabilities as preview 1."""
