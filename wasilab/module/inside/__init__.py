"""A look inside a module that is not run: sections, functions, the function table, the layout of its memory."""
