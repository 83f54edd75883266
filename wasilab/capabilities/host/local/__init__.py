"""Connections between two programs of this process: pipes and channels."""
