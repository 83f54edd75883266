"""Commands that only a notebook has: list, grants, timeline, plot, and the `%%wasi` line."""
