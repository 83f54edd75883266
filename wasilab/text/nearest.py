"""The valid word nearest to a wrong one, for error messages: "unknown option '--starce'; did you mean '--strace'?"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

CUTOFF = 0.55
"""The minimum similarity (`difflib`'s ratio, 0 to 1) of a suggested word."""


def nearest(word: str, valid: Iterable[str], also: Mapping[str, str] | None = None) -> str | None:
    """The valid word most similar to `word`, or None if none is close. Case and leading dashes are ignored.

    `also` maps common synonyms, in lower case, to the word used here. A synonym is preferred, if its word is valid.

    >>> nearest("--starce", ["--strace", "--summary"]), nearest("x", ["--strace"])
    ('--strace', None)
    >>> nearest("golang", ["c", "go"], {"golang": "go"})
    'go'
    """
    import difflib  # only when something was misspelt: not at every start

    plain: dict[str, str] = {}
    for name in valid:
        plain.setdefault(_bare(name), name)
    known = (also or {}).get(_bare(word), "")
    if _bare(known) in plain:
        return plain[_bare(known)]
    close = difflib.get_close_matches(_bare(word), plain, 1, CUTOFF)
    return plain[close[0]] if close else None


def did_you_mean(word: str, valid: Iterable[str], otherwise: str = "", also: Mapping[str, str] | None = None) -> str:
    """`"; did you mean 'x'?"`, to follow "unknown thing 'y'" in a message, or `otherwise` when no valid word is close.

    >>> did_you_mean("frist", ["first", "second"])
    "; did you mean 'first'?"
    """
    close = nearest(word, valid, also)
    return otherwise if close is None else f"; did you mean {close!r}?"


def _bare(name: str) -> str:
    return name.lstrip("-").lower()
