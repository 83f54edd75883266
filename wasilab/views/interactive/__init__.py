"""The interactive timeline: a widget, the kernel's answers to it, and its JavaScript."""
