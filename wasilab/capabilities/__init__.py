"""The things that a guest can hold: directories, files, clocks, randomness, streams, sockets (floor 1)."""
