"""`python -m tests.bench`: every figure that is stated about wasilab's speed, measured in one run."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import version

from .calls import bytes_per_event, table
from .cells import lines as cells
from .felt import lines as felt
from .start import lines as start


def main() -> None:
    """Print the figures."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    print(f"Python {platform.python_version()}, wasmtime-py {version('wasmtime')}, {platform.machine()}\n")
    print("\n".join(table(rounds)))
    print("\nbytes of memory per event: " + ", ".join(f"{c} {b:.0f}" for c, b in bytes_per_event().items()))
    print("\n" + "\n".join(start()))
    print("\n" + "\n".join(felt()))
    print("\n" + "\n".join(cells(min(rounds, 5))))


if __name__ == "__main__":
    main()
