"""The record of a run as it is read: parts, columns, decoding."""
