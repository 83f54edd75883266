"""WASI preview1: every call declared above its function, one file per family.

- `signature.py`: the vocabulary of the declarations; `spec.py`: the table of all calls, and `wasi_unstable`'s.
- `proc.py`: arguments, environment, clocks, randomness, exit; `fd.py`: bytes and descriptors; `fdstat.py`: the
  attributes of descriptors; `path.py`: names beneath a directory; `poll.py`: waiting; `sock.py`: connections.

A function gets the host and its decoded arguments, and returns values or raises. It never accesses guest memory by
address: the engine reads and writes it according to the declaration.
"""
