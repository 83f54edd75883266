"""Converts a trace to tables of other libraries (Arrow, pandas), and queries them with SQL."""
