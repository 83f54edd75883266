"""Claims about refusals, limits and grants."""

from __future__ import annotations

from ...capabilities.refusal import DeniedBy
from ...engine.limits import DEFAULTS
from ...grants.advice.evidence import read
from ...grants.excess import excess
from ...grants.grants import Grants
from ...text.nearest import did_you_mean
from ...text.numbers import counted, size, with_article
from ...trace.answers.refusals import Refusal
from ..claim import Claim, CourseError, Finding, Judged, ShownCall, quoted

_SHOWN = 3
"""Refusals that are shown."""


def refused(call: str = "", path: str = "", by: str = "") -> Claim:
    """A call is refused: one of this name, whose path contains `path`, refused `by` a part of the capability system.

    `by` is "grant", "right", "path", "host", "revoked", "quota", "policy" or "ask" (`capabilities/refusal.py`); each
    may be left out. What a program's own C library refuses counts, too (call "path_lookup").
    """
    known = [each.name.lower() for each in DeniedBy if each is not DeniedBy.NONE]
    if by and by not in known:
        hint = did_you_mean(by, known, f"; these refuse: {', '.join(known)}")
        raise CourseError(f"refused(by={by!r}): nothing of this name refuses{hint}")

    def fits(refusal: Refusal) -> bool:
        return (
            (not call or refusal.call == call)
            and (not path or path in refusal.asked)
            and (not by or refusal.denied_by.name.lower() == by)
        )

    def judge(run: Judged) -> Finding:
        entries = run.trace.denied.entries
        if any(fits(each) for each in entries):
            return Finding(True)
        if not entries:
            return Finding(False, "nothing is refused")
        return Finding(False, f"{counted(len(entries), 'other refusal')}", _shown(entries))

    who, of = f"{with_article(call)} call" if call else "a call", f" of {quoted(path)}" if path else ""
    return Claim(f"{who}{of} is refused{f' by {by}' if by else ''}", judge, holds_for_nothing=False)


def unrefused() -> Claim:
    """Nothing that the program asks for is refused."""

    def judge(run: Judged) -> Finding:
        entries = run.trace.denied.entries
        return Finding(not entries, f"{counted(len(entries), 'refusal')}" if entries else "", _shown(entries))

    return Claim("nothing is refused", judge, holds_for_nothing=True)


def _shown(entries: list[Refusal]) -> tuple[ShownCall, ...]:
    return tuple(
        ShownCall(each.seq, each.line, f"{each.sentence} (refused by {each.denied_by.name.lower()})")
        for each in entries[:_SHOWN]
    )


def holds_at_most(count: int) -> Claim:
    """The program never has more descriptors open at once. The standard streams and granted folders count."""
    _check_number("holds_at_most", count, "holds_at_most(8)")

    def judge(run: Judged) -> Finding:
        most = read(run.trace).fds
        return Finding(most <= count, "" if most <= count else f"it has {counted(most, 'descriptor')} open at once")

    return Claim(f"it has at most {counted(count, 'descriptor')} open at once", judge, holds_for_nothing=True)


def memory_at_most(limit: int) -> Claim:
    """The program gets by with at most `limit` bytes of memory.

    It is judged from what bounded the run: the limit of its grants (`Limits(memory=...)`, --max-memory) or the largest
    size that the module declares. How much a program used below that bound is not recorded.
    """
    _check_number("memory_at_most", limit, "memory_at_most(1 << 20)")

    def judge(run: Judged) -> Finding:
        declared = [each.max_bytes for each in run.module.memories]
        bounds = [run.grants.limits.memory]
        if len(declared) == 1 and declared[0] is not None:
            bounds.append(declared[0])
        if min(bounds) <= limit:
            return Finding(True)
        return Finding(
            False,
            f"this run could have used {size(min(bounds))}: run it with --max-memory {limit} "
            f"(Limits(memory={limit}))",
        )

    return Claim(f"it gets by with {size(limit)} of memory", judge, holds_for_nothing=True)


def fuel_at_most(limit: int) -> Claim:
    """The program executes at most `limit` WebAssembly instructions, as Wasmtime counts them.

    They are counted only in a run with a limit: `Limits(fuel=...)`, --fuel.
    """
    _check_number("fuel_at_most", limit, "fuel_at_most(1_000_000)")

    def judge(run: Judged) -> Finding:
        used = run.outcome.fuel_used
        if used is None:
            return Finding(False, "its instructions were not counted: run it with --fuel 1G (Limits(fuel=10**9))")
        return Finding(used <= limit, "" if used <= limit else f"it executes {counted(used, 'instruction')}")

    return Claim(f"it executes at most {counted(limit, 'instruction')}", judge, holds_for_nothing=True)


def granted_no_more_than(limit: Grants) -> Claim:
    """The run was granted nothing that `limit` does not give.

    Limits (`Limits`) count where `limit` has other ones than the defaults.
    """
    if not isinstance(limit, Grants):
        raise CourseError(f"granted_no_more_than() takes Grants, not {type(limit).__name__}")
    limits = {name: getattr(limit.limits, name) for name in DEFAULTS}
    strict = {name for name, value in limits.items() if value != DEFAULTS[name]}

    def judge(run: Judged) -> Finding:
        more = excess(run.grants, limit, limits=strict)
        return Finding(not more, f"it is also granted {', '.join(more)}" if more else "")

    return Claim("it is granted no more than it needs", judge, holds_for_nothing=True)


def _check_number(name: str, count: object, example: str) -> None:
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise CourseError(f"{name}({count!r}): write a number, such as {example}")
