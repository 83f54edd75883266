"""Formats of profilers: the guest's stacks with what their calls cost."""
