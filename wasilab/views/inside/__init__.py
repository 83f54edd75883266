"""A look inside a program: its sections, its memory, the code of one function."""
