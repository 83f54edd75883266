"""Grants of a running guest: switches, updates, questions."""
