"""A trace as strace text."""
