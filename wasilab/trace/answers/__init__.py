"""Analyses of a trace: summary, descriptors, refusals, differences."""
