"""One run from end to end: prepare, run, hold the result."""
