"""`wasilab` and `python -m wasilab`: the command line as a process of its own.

The garbage collector is off during imports, which create no garbage; that saves a tenth of the start-up time.
"""

import gc
import sys

gc.disable()

try:
    from . import cli
except KeyboardInterrupt:  # Ctrl-C within the first tenth of a second
    sys.exit(130)


def main() -> int:
    """Execute the process's command line; returns the exit status."""
    return cli.main(ready=_collect_from_now_on)


def _collect_from_now_on() -> None:
    gc.freeze()  # imported modules stay: exclude them from later collections
    gc.enable()


if __name__ == "__main__":
    sys.exit(main())
