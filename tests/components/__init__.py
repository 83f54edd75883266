"""Components: the canonical ABI, WASI 0.2 and 0.3, and how a run of a component is shown."""
