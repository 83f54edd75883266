"""Confinement of a run in a separate process, and the messages between that process and ours."""
