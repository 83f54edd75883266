"""Values that pass between a person and an export: read from text, written as text, handed over by their types."""
