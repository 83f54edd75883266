"""Reads the record of a run: parts, columns, decoding."""
