"""What `inspect` says about a module's imports: what it can never do, and how grants would answer."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator

from ...grants.advice.foresight import Foresight, differing, foresee
from ...grants.forms.flags import add_options, from_options
from ...grants.grants import Grants
from ...module.module import Module
from ...text.escape import shorten, visible
from ...text.numbers import counted
from ..line.parser import Parser
from ..line.usage import UsageProblem
from ..line.words import Values

NAMES_SHOWN = 60


def grants_under(flags: str) -> Grants:
    """The grants given by flags of `run` in one text. Raises `UsageProblem`, `GrantError`."""
    parser = Parser("--under", Values())
    add_options(parser)
    try:
        words = shlex.split(flags)
    except ValueError as error:
        raise UsageProblem(f"--under {flags!r}: {error}") from None
    options, rest = parser.expanding().parse_known_args(words, argparse.Namespace())
    if rest:
        raise UsageProblem(f"--under: {rest[0]!r} is not a grant: write flags of run: --under '--dir . --env A=1'")
    return from_options(options, Grants())


def never_lines(module: Module) -> Iterator[str]:
    """What it can never do; empty for a module that touches nothing, which is reported elsewhere."""
    if not module.wasi_imports:
        return
    found = foresee(module, Grants())
    if found.never:
        yield "it can never" + (", by itself," if found.elsewhere else "")
        for sentence in found.never:
            words, _, why = sentence.removeprefix("cannot ").partition(": ")
            yield f"  {words} ({why})"
    if found.unknown:
        names = ", ".join(shorten(visible(name), NAMES_SHOWN) for name in found.unknown[:10])
        yield f"WASI does not define {names}: a call of {'one' if len(found.unknown) > 1 else 'it'} answers ENOSYS"


def answer_lines(found: Foresight) -> Iterator[str]:
    """Each import: what it could do, and how the grants would answer."""
    refused = sum(one.refused for one in found.imports)
    yield f"under these grants ({counted(refused, 'import')} of {len(found.imports)} would be refused)"
    for one in found.imports:
        mark = "no " if one.refused else "yes"
        yield f"  {mark} {shorten(visible(one.name), NAMES_SHOWN):26} {one.words}"
        yield f"      {visible(one.answer)}"


def comparison_lines(first: Module, second: Module) -> Iterator[str]:
    """What two modules ask for, side by side."""
    mine, theirs, both = differing(first, second)
    for name, calls in ((first.name, mine), (second.name, theirs)):
        yield f"only {visible(name)} imports: {', '.join(map(visible, calls)) if calls else 'nothing'}"
    yield f"both import: {', '.join(map(visible, both)) if both else 'nothing'}"
    one, two = set(foresee(first, Grants()).never), set(foresee(second, Grants()).never)
    for module, other, sentences in ((first, second, one - two), (second, first, two - one)):
        for sentence in sorted(sentences):
            words = sentence.partition(":")[0]
            yield f"{visible(module.name)} {words}, and {visible(other.name)} could"
