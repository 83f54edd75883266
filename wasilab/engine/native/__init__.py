"""The native path: hot calls answered by a small C library, and every record of a run written by it."""
