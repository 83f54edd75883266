"""The smallest grants that a trace needs, with the evidence."""
