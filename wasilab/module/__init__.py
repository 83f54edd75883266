"""A module looked at, not run."""
