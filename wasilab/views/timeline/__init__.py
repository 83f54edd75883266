"""The timeline: static pictures and the interactive widget."""
