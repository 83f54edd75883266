"""Runs a program again with the answers of a recording in place of a host."""
