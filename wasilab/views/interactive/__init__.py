"""The timeline that moves: a widget, what it asks the kernel, and its JavaScript."""
