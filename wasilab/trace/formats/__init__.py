"""The file formats of a trace, one file each."""
