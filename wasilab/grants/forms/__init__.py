"""Grants as text: flags, TOML, Python."""
