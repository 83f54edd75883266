"""Runs a program again with answers from a recording instead of a host."""
