"""The state of a run at any of its calls, derived from the trace."""
