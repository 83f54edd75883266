"""Copies of host folders in memory: made, and their changes applied to the folder."""
