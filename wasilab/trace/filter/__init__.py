"""Selects calls by an expression or by conditions."""
