"""The record of a run as it is written: layout, recorder, packing."""
