"""`python -m wasilab`: the command line, for when the `wasilab` script is not on PATH."""

import sys

from .cli import main

sys.exit(main())
