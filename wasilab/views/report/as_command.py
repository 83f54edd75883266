"""A run as the command line that repeats it."""

from __future__ import annotations

from collections.abc import Sequence

from ...grants.forms.python import to_python
from ...grants.grants import Grants
from ...module.module import Module
from ...text.shell import join


def command_line(grants: Grants, module: Module | None, args: Sequence[str] = ()) -> str:
    """`wasilab run` with flags for the grants; the grants as Python where no flag can say them."""
    program = module.name if module is not None else "PROGRAM"
    try:
        return join(["wasilab", "run", *grants.to_flags(), program, *args])
    except ValueError:
        return to_python(grants, contents=200)
