"""Grant and run again: the same program once more with one more grant, from a button of the timeline.

A remedy is the flag that the refusal names (`trace/refusals.py`). One that a person has to complete first (a host
folder, a number) is shown, but has no button. The new run is detached: it grows in the timeline and can be stopped.
"""

from __future__ import annotations

import argparse
import re
import shlex
from dataclasses import replace
from typing import NoReturn

import numpy as np

from ..grants.forms.flags import add_options, from_options
from ..grants.grants import GrantError, Grants
from ..wasi.preview1.spec import SNAPSHOT1
from .subject import Subject, trace_of
from .timeline.columns import Columns

_READS = [SNAPSHOT1[name].number for name in ("fd_read", "fd_pread")]
_TO_COMPLETE = re.compile(r"\b(HOST|BYTES|SECONDS|N|K=V)\b|\[")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise GrantError(message)


def can_rerun(run: Subject, remedy: str) -> bool:
    """Whether `run` can be repeated with that flag as it stands."""
    if not remedy or _TO_COMPLETE.search(remedy) or run.again is None or run.grants is None:
        return False
    return run.grants.stdin != "ask" or not _read_stdin(run)


def _read_stdin(run: Subject) -> bool:
    """Whether the program read its stdin, as far as the trace can tell: what a person typed cannot be repeated."""
    columns = Columns.of(run)
    stdin = [life.life for life in trace_of(run).store.lives.values() if life.fd == 0]
    return columns.dropped > 0 or bool((np.isin(columns.handle, stdin) & np.isin(columns.call, _READS)).any())


def with_remedy(grants: Grants, remedy: str) -> Grants:
    """`grants` and what the flag adds. Raises `GrantError` in words."""
    parser = _Parser(add_help=False, allow_abbrev=False)
    add_options(parser)
    return from_options(parser.parse_args(shlex.split(remedy)), grants)


def rerun(run: Subject, remedy: str) -> Subject:
    """Start the program of `run` again, with the same arguments and one more grant; returns the detached run.

    Asked only of a run for which `can_rerun` is true.
    """
    assert run.again is not None
    assert run.grants is not None
    grants = with_remedy(run.grants, remedy)
    if grants.stdin == "ask":
        grants = replace(grants, stdin=b"")  # nobody was asked the first time, and nobody is there to be asked now
    return run.again(grants)
