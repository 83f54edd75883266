"""The canonical ABI: value types, their layout in memory, and the code that lifts and lowers them."""
