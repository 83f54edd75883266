"""The record of a run and what can be asked of it (floor 2)."""
