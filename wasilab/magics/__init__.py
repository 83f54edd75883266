"""The magics `%wasi`, `%%wasi` and `%%wasi_file`: thin adapters from IPython to `commands/`.

`wasi_magics.py` registers them. A line becomes words, the words a request, and the request is carried out by the same
function as on the command line. `cells/` holds what a cell needs and only a notebook has: output and progress, failures
without tracebacks, Tab, runs that outlive their cell. It is imported at the first magic, so that `%load_ext wasilab` is
quick; `preload.py` imports it in the background while the user types.
"""

from __future__ import annotations

from ..lazy import attach

__getattr__ = attach(__name__, {"load_ipython_extension": "wasi_magics:load_ipython_extension"})
