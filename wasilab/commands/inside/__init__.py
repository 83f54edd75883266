"""Commands that look inside a program: the code of a function, the memory of a run."""
