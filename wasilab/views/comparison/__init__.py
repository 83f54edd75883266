"""Two runs on one axis: their lanes aligned, the differences marked."""
