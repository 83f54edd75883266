"""Faults to inject into a run, in the syntax of `strace --inject` where it applies.

    fd_write:error=ENOSPC:when=3+          every fd_write from the third on fails
    fd_read,fd_pread:short=1               every read gets one byte
    path_*:delay=50ms:path=*.db            each call on such a path takes 50 ms longer
    operation=open,make:error=EACCES       no file is opened, no folder made
    fd_read:data=flip:p=0.1:seed=7         one read in ten has a bit flipped, the same ones in every run

`Fault` is the value, its `rule` the text; grants accept both. `injections` converts them for a run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from ..capabilities.waiting import Interrupt
from ..engine.calls.injection import FaultRule, Injection
from ..text.nearest import did_you_mean
from ..text.numbers import parse_duration
from ..wasi.errnos import Errno
from ..wasi.operations import OPERATION
from ..wasi.preview1.spec import SNAPSHOT1

_ERRNOS = {code.symbol: code for code in Errno if code}
_SHORTENED = frozenset(
    ("fd_read", "fd_pread", "fd_write", "fd_pwrite", "fd_readdir", "path_readlink", "sock_recv", "sock_send")
)
"""Calls that may transfer fewer bytes than requested."""
_WITH_DATA = _SHORTENED | {"random_get"}
_CALLS = tuple(name for name, call in SNAPSHOT1.items() if call.returns)
_WHEN = re.compile(r"([0-9]{1,15})(?:\.\.([0-9]{1,15}))?(\+([0-9]{0,15}))?", re.ASCII)
_OPTIONS = ("error", "short", "delay", "data", "when", "path", "p", "seed")
LONGEST_DELAY = 3600.0


class FaultError(ValueError):
    """A fault that cannot be injected; the message names the part and says what to write."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault: which calls it affects, what it does, and when.

    `calls`: names, patterns and families of WASI calls, comma-separated, or operations, as in "operation=open,read".
    At least one effect: `error` (an errno's name), `short` (the most bytes transferred), `delay` (seconds, or text such
    as "50ms"), `data` ("flip": flip a bit). `when` counts the matching calls, from 1: 3 is only the third, "3+" all
    from the third on, "3+2" every second one from the third on, "2..5" a range. `path` is a pattern of the guest's
    path. `p` is the probability, drawn from `seed`. Raises `FaultError` (a ValueError).
    """

    calls: str
    error: str | Errno | None = None
    short: int | None = None
    delay: float | str | None = None
    data: Literal["flip"] | None = None
    when: int | str | None = None
    path: str | None = None
    p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "error", None if self.error is None else _errno(self.error).symbol)
        set_(self, "delay", None if self.delay is None else _seconds(self.delay))
        if isinstance(self.calls, str) and ":" in self.calls:
            raise FaultError(f"{self.calls!r:.200} is a whole fault: write Fault.parse(...), or name its parts")
        names = self.names
        if self.error is None and self.short is None and self.delay is None and self.data is None:
            raise FaultError(f"{self.calls}: no fault given; write error=EIO, short=1, delay=50ms or data=flip")
        if self.error is not None and (self.short is not None or self.data is not None):
            raise FaultError(f"{self.calls}: a call that fails transfers no bytes: omit short= and data=, or error=")
        for what, wanted, may in (("short", self.short, _SHORTENED), ("data", self.data, _WITH_DATA)):
            if wanted is not None and not may & set(names):
                raise FaultError(f"{self.calls}: {what}= is for {', '.join(sorted(may))}")
        if self.short is not None and (type(self.short) is not int or not 0 <= self.short < 1 << 32):
            raise FaultError(f"short={self.short!r}: write a number of bytes")
        if self.data not in (None, "flip"):
            raise FaultError(f"data={self.data!r}: write data=flip")
        if not isinstance(self.p, int | float) or isinstance(self.p, bool) or not 0 < self.p <= 1:
            raise FaultError(f"p={self.p!r}: write a probability above 0 and up to 1")
        if type(self.seed) is not int or not 0 <= self.seed < 1 << 63:
            raise FaultError(f"seed={self.seed!r}: write a whole number")
        if self.path is not None and (not self.path or ":" in self.path or len(self.path) > 4096):
            raise FaultError(f"path={self.path!r:.80}: write a pattern such as *.db, with ? where the path has a colon")
        _when(self.when)

    @classmethod
    def parse(cls, text: str) -> Fault:
        """The fault that a text describes. Raises `FaultError`."""
        calls, *parts = text.split(":")
        found: dict[str, Any] = {}
        for part in parts:
            name, equals, value = part.partition("=")
            if not equals or name not in _OPTIONS:
                close = did_you_mean(name, _OPTIONS, f"; write one of {', '.join(f'{o}=' for o in _OPTIONS)}")
                raise FaultError(f"{text!r:.200}: there is no {part!r:.80}{close}")
            if name in found:
                raise FaultError(f"{text!r:.200}: {name}= is given twice")
            found[name] = _number(name, value) if name in ("short", "seed", "p") else value
        return cls(calls, **found)

    @property
    def names(self) -> list[str]:
        """The calls that it affects."""
        found: list[str] = []
        text = str(self.calls)
        if text.startswith(OPERATION):
            return _of_operations(text.removeprefix(OPERATION))
        for word in text.split(","):
            word = word.strip()
            matching = [n for n in _CALLS if fnmatchcase(n, word) or n.partition("_")[0] == word]
            if not matching:
                known = dict.fromkeys((*_CALLS, *(n.partition("_")[0] for n in _CALLS)))
                close = did_you_mean(word, known, "; write a call of WASI preview 1, or a pattern such as fd_*")
                raise FaultError(f"{word!r:.80} is not a call that can have a fault{close}")
            found += matching
        return list(dict.fromkeys(found))

    @property
    def rule(self) -> str:
        """The text that `parse` reads back."""
        parts = [str(self.calls)]
        parts += [f"{n}={v}" for n in ("error", "short") if (v := getattr(self, n)) is not None]
        if self.delay is not None:
            parts.append(f"delay={self.delay:g}s")
        parts += [f"{n}={v}" for n in ("data", "when", "path") if (v := getattr(self, n)) is not None]
        parts += [f"p={self.p:g}"] * (self.p != 1) + [f"seed={self.seed}"] * (self.seed != 0)
        return ":".join(parts)

    def __str__(self) -> str:
        return self.rule

    def begin(self) -> FaultRule:
        """The fault in one run; it counts from the start of the run."""
        first, last, step = _when(self.when)
        errno = None if self.error is None else _errno(self.error)
        return FaultRule(
            self.rule, errno, self.short, float(self.delay or 0), self.data == "flip", first, last, step, self.path,
            float(self.p), self.seed,
        )  # fmt: skip


def _of_operations(words: str) -> list[str]:
    """The calls that do these operations, comma-separated names and patterns. Raises `FaultError`."""
    kinds = {name: str(SNAPSHOT1[name].operation) for name in _CALLS}
    found: list[str] = []
    for word in map(str.strip, words.split(",")):
        matching = [name for name, kind in kinds.items() if fnmatchcase(kind, word)]
        if not matching:
            known = sorted(set(kinds.values()))
            close = did_you_mean(word, known, f"; operations of such calls are: {', '.join(known)}")
            raise FaultError(f"{word!r:.80} is not an operation of a call that can have a fault{close}")
        found += matching
    return list(dict.fromkeys(found))


def _errno(word: str | Errno) -> Errno:
    if isinstance(word, Errno):
        return word
    name = str(word).upper()
    found = _ERRNOS.get(name if name.startswith("E") and name in _ERRNOS else f"E{name}")
    if found is None:
        close = did_you_mean(name, _ERRNOS, "; write one such as EIO or ENOSPC")
        raise FaultError(f"error={word!r:.80}: there is no such errno{close}")
    return found


def _seconds(given: float | str) -> float:
    try:
        seconds = parse_duration(given) / 1e9 if isinstance(given, str) else float(given)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 < seconds <= LONGEST_DELAY:
        raise FaultError(f"delay={given!r:.80}: write a time of up to an hour, such as 50ms or 2s")
    return seconds


def _when(given: int | str | None) -> tuple[int, int, int]:
    """(first, last, step) of the calls that match, from 1."""
    last = 1 << 62
    if given is None:
        return 1, last, 1
    found = _WHEN.fullmatch(str(given).strip())
    first = int(found[1]) if found else 0
    if found is None or first < 1 or (found[2] and int(found[2]) < first) or found[4] == "0":
        raise FaultError(f"when={given!r:.80}: write 3 (the third), 3+ (from there on), 3+2 (every second), or 2..5")
    if found[2]:
        last = int(found[2])
    elif not found[3]:
        last = first
    return first, last, int(found[4] or 1)


def _number(name: str, text: str) -> float:
    try:
        number = float(text) if name == "p" else int(text)
    except ValueError:
        raise FaultError(f"{name}={text!r:.80}: write a number") from None
    return number


def injections(
    faults: Sequence[str], overrides: Mapping[str, Callable[..., object]], interrupt: Interrupt,
    begun: dict[str, FaultRule] | None = None,
) -> dict[str, Callable[..., object]]:  # fmt: skip
    """`overrides`, preceded by the faults of one run: call -> function.

    `begun`: the faults that the run has already, by their texts, which go on counting; the others are added to it.
    """
    found = dict(overrides)
    rules: dict[str, list[FaultRule]] = {}
    for text in faults:
        fault = Fault.parse(text)
        rule = fault.begin() if begun is None else begun.setdefault(text, fault.begin())
        for name in fault.names:
            rules.setdefault(name, []).append(rule)
    for name, its in rules.items():
        found[name] = Injection(SNAPSHOT1[name], its, interrupt, overrides.get(name))
    return found


def read_fault_file(text: str) -> list[str]:
    """The faults of a TOML file: `[[fault]]` tables with the fields of `Fault`, or a list `inject` of texts.

    Raises `FaultError`.
    """
    import tomllib  # imported only when a file is read

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FaultError(f"it is not TOML: {error}") from None
    except RecursionError:
        raise FaultError("its arrays or tables are nested too deeply") from None
    strange = sorted(document.keys() - {"fault", "inject"})
    if strange or not document:
        raise FaultError(f"it has {strange[0] if strange else 'nothing'!r}; write [[fault]] tables, or inject = [...]")
    tables, texts = document.get("fault", []), document.get("inject", [])
    if not isinstance(tables, list) or not isinstance(texts, list) or not all(isinstance(t, str) for t in texts):
        raise FaultError("write [[fault]] for each fault, or inject = [\"fd_write:error=EIO\"]")
    found = [Fault.parse(each).rule for each in texts]
    for table in tables:
        if not isinstance(table, dict) or "calls" not in table:
            raise FaultError("a [[fault]] names its calls: calls = \"fd_write\"")
        unknown = sorted(table.keys() - {"calls", *_OPTIONS})
        if unknown:
            raise FaultError(f"a fault has no {unknown[0]!r}{did_you_mean(unknown[0], ('calls', *_OPTIONS))}")
        found.append(Fault(**table).rule)
    return found
