"""What WASI is and how each call behaves (floor 1).

- `types.py`, `errnos.py`: the values and how they lie in memory; `signature.py`, `spec.py`, `calls_*.py`: the table of
  all calls, from which everything else is derived.
- `host.py`: what one run holds, and where rights are enforced; `fdtable.py`: its descriptors; `rights.py`: the model.
- One file per family for what the calls do: `args.py clock.py environ.py fd.py path.py poll.py proc.py random.py
  sched.py sock.py`.

It sees the things that a guest holds only through `capabilities/`, and knows neither the engine nor the trace.
"""
