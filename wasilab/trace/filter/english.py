"""Describes a filter in English, for users who do not know the filter language.

For: the claims of a check (`course/`): "call=path_open errno=0 path=*etc*" is a "path_open call that succeeds and acts
on a path that matches *etc*". Not for: choosing calls (`query.py`).
"""

from __future__ import annotations

from ...capabilities.refusal import DeniedBy
from ...text.escape import visible
from .expressions import And, Bare, Comparison, Not, Or, Part, parsed
from .terms import TEXT_COLUMNS, WORDS

_WORDS = {
    "refused": ("be", "refused"), "denied": ("be", "refused"), "failed": ("fail", ""), "ok": ("succeed", ""),
    "noted": ("have", "a note"), "unreturned": ("fail", "to return"),
    "truncated": ("have", "data that was not kept whole"), "injected": ("have", "a fault"),
    "asked": ("be", "asked about"), "nosys": ("be", "not provided by the host"),
    "overridden": ("be", "answered by a Python function"), "unstable": ("be", "of wasi_unstable"),
}  # fmt: skip
_DENIED_BY = {
    DeniedBy.GRANT: "for lack of a grant", DeniedBy.RIGHT: "for lack of a right",
    DeniedBy.PATH: "because its path leaves the granted folder", DeniedBy.HOST: "by the operating system",
    DeniedBy.REVOKED: "because the grant was taken back", DeniedBy.QUOTA: "by a limit", DeniedBy.POLICY: "by a rule",
    DeniedBy.ASK: "by the user, who was asked",
}  # fmt: skip
_THAN = {">": "more than ", "<": "less than ", ">=": "at least ", "<=": "at most "}
_VERBS = {
    "dur": ("take", ""), "bytes": ("move", ""), "nbytes": ("move", ""), "result": ("return", ""),
    "fd": ("act", "on descriptor "), "handle": ("act", "on handle "), "line": ("come", "from line "),
    "tid": ("come", "from thread "), "instance": ("come", "from instance "), "generation": ("have", "the generation "),
    "seq": ("have", "the number "), "t": ("start", "at "), "t_start": ("start", "at "), "t_end": ("end", "at "),
    "gap": ("start", "after a gap of "),
}  # fmt: skip


def in_english(expression: str, *, plural: bool = False) -> str:
    """The calls that an expression selects, as a noun phrase without an article: "fd_write call that fails".

    `plural`: "fd_write calls that fail". Raises QueryError for an expression that cannot be read; whether its names
    exist is only known when it is evaluated. An empty expression means any call.
    """
    noun = "calls" if plural else "call"
    if not expression.strip():
        return noun
    part = parsed(expression)
    parts: list[Part] = list(part.parts) if isinstance(part, And) else [part]
    head = next((each for each in parts if _head(each) is not None), None)
    if head is not None:
        parts.remove(head)
        noun = f"{_head(head)} {noun}"
    if not parts:
        return noun
    return f"{noun} that {' and '.join(_clause(each, plural, False, inner=len(parts) > 1) for each in parts)}"


def _head(part: Part) -> str | None:
    """What stands before the noun: the names of calls that a term gives; None if it gives none."""
    match part:
        case Bare(name) if name not in WORDS and not _is_errno(name):
            return _either(name)
        case Comparison("call" | "operation", "=" | "==", value):
            return _either(value)
        case Comparison("family", "=" | "==", value):
            return f"{_either(value)} family"
    return None


def _either(value: str) -> str:
    names = [visible(each.strip()) for each in value.split(",") if each.strip()]
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _is_errno(name: str) -> bool:
    return name[:1] == "E" and name.isupper()


def _clause(part: Part, plural: bool, negative: bool, inner: bool = False) -> str:
    """What a call does if the part holds of it: "fails", "do not fail"."""
    match part:
        case Not(negated):
            return _clause(negated, plural, not negative, inner)
        case And(parts) | Or(parts):
            word = "and" if isinstance(part, And) != negative else "or"
            text = f" {word} ".join(_clause(each, plural, negative, True) for each in parts)
            return f"({text})" if inner else text
        case Bare(name) if name in WORDS:
            verb, rest = _WORDS[name]
        case Bare(name):
            verb, rest = ("end", f"with {visible(name)}") if _is_errno(name) else ("be", f"of {_either(name)}")
        case Comparison():
            verb, rest, opposite = _comparison(part)
            negative = negative != opposite
    return _conjugated(verb, rest, plural, negative)


def _conjugated(verb: str, rest: str, plural: bool, negative: bool) -> str:
    if verb == "be":
        verb = ("are" if plural else "is") + (" not" if negative else "")
    elif negative:
        verb = f"{'do' if plural else 'does'} not {verb}"
    elif not plural:
        verb = "has" if verb == "have" else f"{verb}s"
    return f"{verb} {rest}".rstrip()


def _comparison(part: Comparison) -> tuple[str, str, bool]:
    """(verb, what follows it, whether it is negated) of a comparison."""
    column, relation = part.column, part.operator
    opposite = relation.startswith("!")
    value = _either(part.value)
    matches = "~" in relation or any(char in part.value for char in "*?[")
    if column == "errno":
        if part.value.upper() in ("0", "OK", "SUCCESS"):
            return ("fail", "", False) if opposite else ("succeed", "", False)
        return "end", f"with {value}", opposite
    if column == "denied_by":
        names = [each.strip().upper() for each in part.value.split(",")]
        words = [_DENIED_BY.get(DeniedBy[name], name.lower()) if name in DeniedBy.__members__ else name.lower()
                 for name in names]  # fmt: skip
        return "be", f"refused {' or '.join(visible(word) for word in words)}", opposite
    if column == "path":
        return "act", f"on a path that matches {value}" if matches else f"on {value}", opposite
    if column == "function":
        return "come", f"from a function that matches {value}" if matches else f"from {value}()", opposite
    if column in TEXT_COLUMNS:
        return "be", f"of {value}", opposite
    verb, before = _VERBS.get(column, ("have", f"{visible(column)} "))
    unit = " bytes" if column in ("bytes", "nbytes") and part.value.isdecimal() else ""
    return verb, f"{before}{_THAN.get(relation, '')}{value}{unit}", opposite
