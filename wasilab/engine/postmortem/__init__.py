"""What is made of a guest's end: a core dump, a profile, what a trap means in words."""
