"""WASI: its types, its calls and their semantics.

- `types.py`, `errnos.py`: the values and their memory layout; `operations.py`: the kinds of calls, named alike for all
  versions of WASI share.
- `host.py`: the state of one run, and the enforcement of rights; `fdtable.py`: its descriptors; `rights.py`: the model.
- `preview1/`: the calls, each declared above its function, and the table of all calls.

It uses a guest's objects only through `capabilities/`, and imports neither the engine nor the trace.
"""
