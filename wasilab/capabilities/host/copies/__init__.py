"""Copies host folders to memory, and applies their changes to the folder."""
