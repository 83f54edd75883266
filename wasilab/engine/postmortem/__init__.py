"""What is taken from a guest for tools that look at it afterwards: a core dump, a profile."""
