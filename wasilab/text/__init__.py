"""Words for people: escaping, numbers with units, nearest names."""
