"""Made at a guest's end: a core dump, a profile, an explanation of the trap."""
