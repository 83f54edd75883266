"""Text for people: escaping, numbers with units, nearest words."""
