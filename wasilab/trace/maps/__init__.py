"""The files that a run used, as a tree; the origins of its descriptors; its calls by function."""
