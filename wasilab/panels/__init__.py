"""The grants panel."""
