"""Records the host calls of a component by type and value, and answers them from such a record without a host."""
