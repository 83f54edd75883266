"""Capabilities, the objects that a guest can hold: directories, files, clocks, randomness, streams, sockets."""
