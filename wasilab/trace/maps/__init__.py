"""What a run touched and where it came from: the tree of its files, and the origins of its descriptors."""
