"""What only a notebook has: list, grants, timeline, plot, and the line of a `%%wasi` cell."""
