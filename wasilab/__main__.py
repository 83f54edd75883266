"""`wasilab` and `python -m wasilab`: the command line as a process of its own.

The garbage collector is off while modules are imported, because none of them is garbage; that is a tenth of the start.
"""

import gc
import sys

gc.disable()

from . import cli  # noqa: E402


def main() -> int:
    """Carry out the process's command line; returns the exit status."""
    return cli.main(ready=_collect_from_now_on)


def _collect_from_now_on() -> None:
    gc.freeze()  # what is imported stays: no later collection looks at it
    gc.enable()


if __name__ == "__main__":
    sys.exit(main())
