"""The files and the capabilities of a run as pictures."""
