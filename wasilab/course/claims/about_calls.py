"""Claims about the calls of a run. `what` is an expression of the trace's filter language (`trace/filter/query.py`)."""

from __future__ import annotations

import posixpath

from ...text.numbers import counted, with_article
from ...trace.trace import Trace
from ..claim import Claim, CourseError, Finding, Judged, calls_found, evidence_of, quoted
from .filters import in_words

_DATA = "operation=read,write,send,receive"


def makes(what: str) -> Claim:
    """The program makes at least one such call: `makes("call=poll_oneoff dur>10ms")`."""
    return at_least(1, what)


def never(what: str) -> Claim:
    """The program makes no such call. It holds for a program that does nothing: see `check`."""
    words = in_words("never", what)

    def judge(run: Judged) -> Finding:
        found = run.trace.filter(what)
        evidence = evidence_of(found)
        return Finding(not found, calls_found(len(found), evidence) if found else "", evidence)

    return Claim(f"it makes no {words[0]}", judge, holds_for_nothing=True)


def exactly(count: int, what: str) -> Claim:
    """The program makes just so many of these calls."""
    return _counted("exactly", count, what, least=count, most=count)


def at_least(count: int, what: str) -> Claim:
    """The program makes so many of these calls, or more."""
    if count == 0:
        raise CourseError("at_least(0, ...) always holds: claim at least 1")
    return _counted("at_least", count, what, least=count, most=None)


def at_most(count: int, what: str = "") -> Claim:
    """The program makes so many of these calls (by default: of all calls), or fewer."""
    return _counted("at_most", count, what, least=0, most=count)


def _counted(name: str, count: int, what: str, least: int, most: int | None) -> Claim:
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise CourseError(f"{name}({count!r}, ...): write a number of calls, such as {name}(2, 'call=fd_write')")
    words = in_words(name, what)
    how = "at least" if most is None else "exactly" if least == most else "at most"
    number = f"{count:,} {words[count != 1]}"

    def judge(run: Judged) -> Finding:
        found = run.trace.filter(what)
        if least <= len(found) and (most is None or len(found) <= most):
            return Finding(True)
        evidence = evidence_of(found)
        return Finding(False, calls_found(len(found), evidence) + _by_name(found), evidence)

    a_call = with_article(words[0]) if (least, most) == (1, None) else f"{how} {number}"
    return Claim(f"it makes {a_call}", judge, holds_for_nothing=least == 0)


def _by_name(trace: Trace) -> str:
    """The counts of the names in a trace with several of them."""
    counts = trace.count("call")
    if len(counts) < 2:
        return ""
    shown = [f"{name} {times:,} times" if times > 1 else f"{name} once" for name, times in list(counts.items())[:4]]
    return f" ({', '.join(shown)}{', ...' if len(counts) > 4 else ''})"


def only_under(*folders: str) -> Claim:
    """Every path that the program names is one of these guest folders, or below one."""
    if not folders or not all(isinstance(each, str) and each for each in folders):
        raise CourseError("only_under() names guest folders: only_under('/data', 'out')")
    roots = [each.rstrip("/") or "/" for each in folders]

    def inside(path: str) -> bool:
        path = posixpath.normpath(path)
        return any(path == root or path.startswith(root.rstrip("/") + "/") for root in roots)

    def judge(run: Judged) -> Finding:
        calls = run.trace.filter("path_*")
        paths = calls.count("path")
        outside = [path for path in paths if path and not inside(path)]
        if not outside:
            return Finding(True)
        evidence = tuple(item for path in outside[:3] for item in evidence_of(calls.filter(path=path), 1))
        return Finding(False, f"it also names {', '.join(map(quoted, outside[:3]))}", evidence)

    where = " or ".join(map(quoted, folders))
    return Claim(f"every path that it names is under {where}", judge, holds_for_nothing=True)


def before(first: str, then: str) -> Claim:
    """All calls that `first` chooses come before any that `then` chooses, and there are some of both."""
    words = in_words("before", first), in_words("before", then)

    def judge(run: Judged) -> Finding:
        sides = run.trace.filter(first), run.trace.filter(then)
        for side, (word, _) in zip(sides, words, strict=True):
            if not side:
                return Finding(False, f"there is no {word}")
        if sides[0].seq.max() < sides[1].seq.min():
            return Finding(True)
        wrong = (*evidence_of(sides[1], 1), *evidence_of(sides[0][-1:], 1))
        return Finding(False, f"call {wrong[0].seq:,} comes before call {wrong[1].seq:,}", wrong)

    return Claim(f"it makes every {words[0][0]} before any {words[1][0]}", judge, holds_for_nothing=False)


def closes_all() -> Claim:
    """The program closes every descriptor that it opens. What was open from the start does not count."""

    def judge(run: Judged) -> Finding:
        leaked = run.trace.fds().leaked
        if not leaked:
            return Finding(True)
        openings = run.trace.filter(seq=[life.opened_by for life in leaked])
        which = ", ".join(f"{life.fd} ({quoted(life.path)})" for life in leaked[:3])
        more = f" and {len(leaked) - 3:,} more" if len(leaked) > 3 else ""
        noun = "descriptor" if len(leaked) == 1 else "descriptors"
        return Finding(False, f"it leaves the {noun} {which}{more} open", evidence_of(openings))

    return Claim("it closes every descriptor that it opens", judge, holds_for_nothing=True)


def moves_at_most(count: int, what: str = _DATA) -> Claim:
    """The calls that `what` chooses (all reads and writes) move at most so many bytes together."""
    _check_amount("moves_at_most", count)
    words = "" if what == _DATA else f" with every {in_words('moves_at_most', what)[0]}"

    def judge(run: Judged) -> Finding:
        calls = run.trace.filter(what)
        moved = int(calls.column("nbytes").sum())
        return Finding(moved <= count, "" if moved <= count else f"it moves {counted(moved, 'byte')}")

    return Claim(f"it moves at most {counted(count, 'byte')}{words}", judge, holds_for_nothing=True)


def _check_amount(name: str, count: object) -> None:
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise CourseError(f"{name}({count!r}): write a number of bytes, such as {name}(4096)")
