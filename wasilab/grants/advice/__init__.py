"""The least grants that a trace needs, with the evidence."""
