"""Writes the record of a run: layout, recorder, packing."""
