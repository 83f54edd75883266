"""What WASI is and how each call behaves.

- `types.py`, `errnos.py`: the values and their layout in memory; `operations.py`: what calls are for, in words that all
  versions of WASI share.
- `host.py`: what one run holds, and where rights are enforced; `fdtable.py`: its descriptors; `rights.py`: the model.
- `preview1/`: the calls, each declared above the function that does it, and the table of all of them.

It sees the things that a guest holds only through `capabilities/`, and knows neither the engine nor the trace.
"""
