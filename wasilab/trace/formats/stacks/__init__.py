"""Profiler formats: the guest's stacks with the cost of their calls."""
