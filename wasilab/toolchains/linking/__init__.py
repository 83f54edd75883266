"""Objects linked into programs in addition to their own."""
