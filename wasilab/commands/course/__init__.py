"""Commands of the course: its programs, exercises, checks and notebooks."""
