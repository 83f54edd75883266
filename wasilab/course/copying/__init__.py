"""A student's copy of the course: `pulling.py` makes it and keeps it up to date, `jupyter.py` opens it."""
