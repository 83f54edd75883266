"""Least privilege from observed calls: the smallest grants under which the same calls would succeed again.

    >>> print(advise(run))                              # doctest: +SKIP
    --dir data::/data --no-stderr --random none
    ...

`advise` reads runs or traces (`evidence.py`), keeps the part of each grant that the successful calls needed, and names
the calls behind every line. Refused requests are listed separately as missing, and added only on request. A trace is a
lower bound: another input may need more; the text always says so.
"""

from __future__ import annotations

import os
import posixpath
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ...capabilities.clocks import Clocks
from ...capabilities.host.features import DEFAULT_MODE, Mode
from ...capabilities.host.hostdir import HostDir
from ...capabilities.protocols import Directory
from ...capabilities.random import Random
from ...engine.limits import Limits
from ...text.escape import visible
from ...text.numbers import counted, listed
from ...text.shell import join
from ...trace.trace import Trace
from ..forms.flags import dir_flags, to_flags
from ..forms.python import from_python, to_python
from ..forms.toml import to_toml
from ..grants import Grants
from ..live.ask import Asked
from ..remedy import Remedy
from ..value import GivenStdin, GrantError
from .evidence import Evidence, Use, only_looks, read, reads
from .missing import MissingGrant, missing_grants
from .recorded import Recorded, grants_of, trace_of
from .together import merged

MOST_PARTS = 8
"""The most folders that a directory is split into when advice is narrowed."""
LOWER_BOUND = "a trace is a lower bound: with other input the program may need more than it did here"
FAILED = "the program failed, so the standard streams stay; what it would have needed later is not known"
STREAM_KEPT = "not used, but the program failed: what it would have written is not known"


@dataclass(frozen=True)
class Line:
    """One grant of the advice and the reason for it."""

    flag: str
    """The grant as a flag, "" if the default gives it without one."""
    name: str
    """What is granted: a guest path, "stdin", "clocks", ..."""
    verdict: str
    """"kept", "narrowed" or "dropped"."""
    why: str
    """The evidence in a sentence."""
    calls: Counter[str] = field(default_factory=Counter)
    """The successful calls behind it, by name."""
    first: int = -1
    """`seq` of the first of them, -1 for none."""


@dataclass(frozen=True, repr=False)
class GrantAdvice:
    """The smallest grants for what was seen, with the evidence. `print` it, or take `flags()`, `toml()`, `python()`."""

    grants: Grants
    lines: tuple[Line, ...]
    missing: tuple[MissingGrant, ...]
    """What was requested and refused; not part of `grants` unless `advise(..., include_missing=True)`."""
    evidence: Evidence
    program: tuple[str, ...] = ()
    """The words of a command line after the flags: the program and its arguments, if a run was given."""
    failed: bool = False
    """Whether a run failed: what the program would have needed later is not known."""
    wider: GrantAdvice | None = None
    """The advice that keeps the granted folders, if this one names folders inside them."""

    def flags(self) -> list[str]:
        """The grants as command-line flags, `--deny-all` first where that is shorter."""
        return smallest_flags(self.grants)

    def toml(self) -> str:
        """The grants as a policy file."""
        return "\n".join(f"# {line}" for line in self._remarks()) + "\n" + to_toml(self.grants)

    def python(self) -> str:
        """The grants as a Python expression."""
        return to_python(self.grants)

    def command(self) -> str:
        """The least-privilege command line, quoted for a shell."""
        return join(["wasilab", "run", *self.flags(), *(self.program or ("PROGRAM",))])

    def _command_or_python(self) -> str:
        try:
            return self.command()
        except GrantError:  # such as a user-defined capability
            return to_python(self.grants, contents=200)

    def _remarks(self) -> list[str]:
        seen = self.evidence
        remarks = [f"from {counted(seen.traces, 'run')} with {counted(seen.calls, 'call')}; {LOWER_BOUND}"]
        if self.failed:
            remarks.append(FAILED)
        if seen.dropped:
            remarks.append(f"{counted(seen.dropped, 'call')} were dropped from the trace: what they used is not known")
        return remarks

    def __str__(self) -> str:
        lines = [self._command_or_python(), ""]
        shown = [(each.flag or visible(each.name), each) for each in self.lines]
        width = max((len(head) for head, _ in shown), default=0)
        lines += [f"  {head:{width}}  {each.verdict}: {visible(each.why)}" for head, each in shown]
        if self.missing:
            lines += ["", "asked for, and missing:"]
            lines += [f"  {each.text or '(no grant allows it)'}  {visible(each.why)}" for each in self.missing]
        seen = self.evidence
        lines += [
            "",
            f"observed: {counted(seen.fds, 'descriptor')} open at once, {counted(seen.written, 'byte')} written, "
            f"{counted(seen.largest, 'byte')} in one call, {seen.seconds:.3g} s",
            *self._remarks(),
        ]
        if self.wider is not None:
            lines += ["", f"or, with whole folders: {self.wider._command_or_python()}"]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)


def advise(
    *runs: Recorded,
    narrow: bool = False,
    limits: bool = False,
    include_missing: bool = False,
    base: Grants | None = None,
    keep_copies: bool = True,
) -> GrantAdvice:
    """The smallest grants under which the successful calls of `runs` (`Run`s or `Trace`s) would succeed again.

    narrow: replace a directory by those below it that hold all that was used, each read-only unless it was changed,
        under the guest paths that they had all along (`/data` becomes `/data/in`): smaller, but other preopens than
        before, so it is never done unasked.
    limits: set descriptors and bytes to the observed peaks, rounded up to a power of two.
    include_missing: add what was refused, with the smallest grant that allows it.
    base: the grants of the traced runs; needed only for traces that do not record them.
    keep_copies: a directory that was granted as a `copy` and changed stays a copy; False makes it `rw`.

    The standard streams stay after a failed run (a trap, a limit, a status other than 0): a program that stopped early
    may not have reported its error. Raises `GrantError` if a trace does not record its grants and `base` is not given.
    """
    if not runs:
        raise GrantError("advise() needs at least one run or trace")
    traces = [trace_of(run) for run in runs]
    evidence = read(*traces)
    granted = base
    if granted is None:
        granted = merged(_grants_of(run, trace) for run, trace in zip(runs, traces, strict=True))
    failed = any(_failed(trace) for trace in traces)
    work = _Work(granted, evidence, narrow, keep_copies, keep_streams=failed)
    grants = work.grants()
    for line, remedy in allowed(runs):  # in ask mode, what the user allowed is what the calls needed
        grants = remedy.apply(grants)
        work.lines.append(line)
    missing = tuple(missing_grants(runs))
    if include_missing:
        for each in missing:
            if each.remedy is not None and each.complete:
                grants = each.remedy.apply(grants)
    if limits:
        grants = grants.with_(limits=_peaks(granted.limits, evidence))
    return GrantAdvice(grants, tuple(work.lines), missing, evidence, _program(runs[0]), failed)


def _failed(trace: Trace) -> bool:
    """Whether the run of a trace failed, as far as the trace says."""
    outcome = trace.meta.get("outcome")
    return outcome is not None and (outcome != "exit" or trace.meta.get("exit_code") != 0)


def allowed(runs: Iterable[Recorded]) -> list[tuple[Line, Remedy]]:
    """What was requested and allowed in runs with `ask`, each as a line of advice and as the grant that replaces it."""
    remedies: dict[Remedy, list[Asked]] = {}
    for run in runs:
        for asked in () if isinstance(run, Trace) else run.asked:
            if asked.answer is not None and asked.answer.allows:
                remedies.setdefault(asked.question.remedy, []).append(asked)
    found = []
    for remedy, same in sorted(remedies.items(), key=lambda item: item[0].flag):
        wants = ", ".join(dict.fromkeys(asked.question.wants for asked in same[:3]))
        line = Line(remedy.flag, same[0].question.subject, "kept", f"you allowed it to {wants}", first=same[0].seq)
        found.append((line, remedy))
    return sorted(found, key=lambda item: item[1].mode == "rw")  # of two grants of one folder the wider one counts


class _Work:
    """Decides grant by grant, and keeps the reasons."""

    def __init__(
        self, granted: Grants, evidence: Evidence, narrow: bool, keep_copies: bool, *, keep_streams: bool
    ) -> None:
        self.granted = granted
        self.evidence = evidence
        self.narrow = narrow
        self.keep_copies = keep_copies
        self.keep_streams = keep_streams
        self.lines: list[Line] = []

    def grants(self) -> Grants:
        had = self.granted
        dirs: dict[str, Directory] = {}
        withheld: dict[str, Iterable[str]] = {}
        for guest, directory in had.dirs.items():
            kept = self._directory(guest, directory)
            dirs.update(kept)
            withheld.update(dict.fromkeys(kept, had.withheld.get(guest, ())))
        stdin = self._stdin()
        return replace(
            had,
            ask=False,
            dirs=dirs,
            withheld=withheld,
            env=dict(had.env) if had.env and self._kept("env", self._env_flag(), "it is read as a whole") else {},
            args=had.args and self._kept("argv", "--argv", ""),
            stdin=stdin,
            stdout=had.stdout and self._kept("stdout", "--stdout", "", looking=True, stream=True),
            stderr=had.stderr and self._kept("stderr", "--stderr", "", looking=True, stream=True),
            clocks=had.clocks
            if had.clocks.spec != "none" and self._kept("clocks", f"--clock {had.clocks.spec}", "")
            else Clocks.nothing(),
            random=had.random
            if had.random.spec != "none" and self._kept("random", f"--random {had.random.spec}", "")
            else Random.nothing(),
            sockets=tuple(
                s for s in had.sockets if self._kept(f"listen {s.address}", f"--listen {s.address}", "", looking=True)
            ),
            connect=had.connect,
            resolve=had.resolve,
            http=had.http,
            features=had.features,
        )

    def _env_flag(self) -> str:
        return " ".join(join(["--env", f"{k}={v}"]) for k, v in self.granted.env.items())

    def _kept(self, name: str, flag: str, remark: str, *, looking: bool = False, stream: bool = False) -> bool:
        use = self.evidence.of(name)
        used = bool(use.used or (looking and use.looked))
        keep = used or (stream and self.keep_streams)
        why = _words(use.calls, use.first) if used else STREAM_KEPT if keep else "no successful call needed it"
        if keep and remark:
            why += f"; {remark}"
        self.lines.append(Line(flag if keep else "", name, "kept" if keep else "dropped", why, use.calls, use.first))
        return keep

    def _stdin(self) -> GivenStdin:
        had, use = self.granted.stdin, self.evidence.of("stdin")
        if had is None:
            return None
        read_calls = Counter({name: n for name, n in use.calls.items() if reads(name)})
        if read_calls and had != b"":
            self.lines.append(Line("", "stdin", "kept", _words(read_calls, use.first), use.calls, use.first))
            return had
        if sum(use.calls.values()):
            verdict = "kept" if had == b"" else "narrowed"
            why = "it was looked at, never read" if not read_calls else _words(read_calls, use.first)
            self.lines.append(Line("", "stdin", verdict, f"{why}; empty is enough", use.calls, use.first))
            return b""
        if self.keep_streams:
            self.lines.append(Line("", "stdin", "kept", STREAM_KEPT))
            return had
        self.lines.append(Line("", "stdin", "dropped", "no successful call needed it"))
        return None

    def _directory(self, guest: str, directory: Directory) -> dict[str, Directory]:
        use = self.evidence.of(guest)
        if not use.used:
            self.lines.append(Line("", guest, "dropped", "nothing in it was used"))
            return {}
        why = _words(use.calls, use.first)
        if use.changes:
            why += f"; changed by {_words(use.changes, use.first_change)}"
        below = parts(guest, directory, use.paths) if self.narrow and isinstance(directory, HostDir) else {}
        if below and isinstance(directory, HostDir):
            narrowed: dict[str, Directory] = {}
            for inner, changed in below.items():
                name = posixpath.normpath(posixpath.join(guest, inner))
                host = os.path.normpath(os.path.join(directory.path, inner))
                part = HostDir(host, mode=self._mode(directory, changed))
                narrowed[name] = part
                seen = {path: c for path, c in use.paths.items() if path == name or path.startswith(name + "/")}
                why_part = f"of {guest}, {_files(seen)} {'changed' if changed else 'read'}"
                self.lines.append(Line(_flag(name, part), name, "narrowed", why_part, use.calls, use.first))
            return narrowed
        smaller, verdict = self._attenuated(directory, use)
        if verdict == "narrowed":
            why += "; nothing was changed, so ro is enough"
        if use.paths:
            why += f"; all of it is granted, used: {_files(use.paths)}"
        self.lines.append(Line(_flag(guest, smaller), guest, verdict, why, use.calls, use.first))
        return {guest: smaller}

    def _mode(self, directory: HostDir, changed: bool) -> Mode:
        if not changed:
            return DEFAULT_MODE
        return "copy" if directory.mode == "copy" and self.keep_copies else "rw"

    def _attenuated(self, directory: Directory, use: Use) -> tuple[Directory, str]:
        if not isinstance(directory, HostDir):
            return directory, "kept"
        wanted = self._mode(directory, bool(use.changes))
        if wanted == directory.mode:
            return directory, "kept"
        return HostDir(directory.path, mode=wanted), "narrowed" if wanted == "ro" else "kept"


def parts(guest: str, directory: HostDir, paths: Mapping[str, bool]) -> dict[str, bool]:
    """The smallest folders below a directory that hold all `paths`, relative to it, and whether they were changed.

    Empty where the directory itself is needed: something directly in it was used, or more than `MOST_PARTS` would be.
    """
    root = posixpath.normpath(guest)
    found: dict[str, bool] = {}
    for path, changed in paths.items():
        below = posixpath.relpath(path, root)
        if below == ".." or below.startswith("../"):
            return {}
        # A file needs the folder that holds it; for an opened folder, the folder itself is enough.
        whole = not changed and os.path.isdir(os.path.join(directory.path, below))
        folder = below if whole else posixpath.dirname(below)
        if folder in ("", "."):
            return {}
        found[folder] = found.get(folder, False) or changed
    for folder in sorted(found, key=len, reverse=True):  # a folder inside another is merged into it
        outer = next((f for f in found if f != folder and folder.startswith(f + "/")), None)
        if outer is not None:
            found[outer] = found[outer] or found.pop(folder)
    return dict(sorted(found.items())) if len(found) <= MOST_PARTS else {}


def _flag(guest: str, directory: Directory) -> str:
    try:
        return join(dir_flags(guest, directory))
    except GrantError:
        return ""


def smallest_flags(grants: Grants) -> list[str]:
    """Flags for `grants`, starting from the default or from `--deny-all`, whichever is shorter."""
    return min(to_flags(grants), to_flags(grants, bare=True), key=len)


def _peaks(limits: Limits, evidence: Evidence) -> Limits:
    def above(number: int, least: int) -> int:
        return max(least, 1 << (number - 1).bit_length() if number > 1 else 1)

    return replace(limits, fds=above(evidence.fds, 8), bytes_written=above(evidence.written, 4096))


def _files(paths: Mapping[str, bool]) -> str:
    """A few of the paths, escaped, and how many more."""
    return listed(map(repr, sorted(paths)), 3)


def _words(calls: Counter[str], first: int) -> str:
    needed = Counter({name: count for name, count in calls.items() if not only_looks(name)})
    calls = needed or calls
    shown = [f"{name} {count:,}×" if count > 1 else name for name, count in calls.most_common(4)]
    more = f" and {len(calls) - 4} other calls" if len(calls) > 4 else ""
    return f"{', '.join(shown)}{more}" + (f" (first: call {first})" if first >= 0 else "")


def _program(run: Recorded) -> tuple[str, ...]:
    if not isinstance(run, Trace):
        return (run.module.name, *run.args)
    name, args = run.meta.get("module"), run.meta.get("args")
    return (str(name), *map(str, args if isinstance(args, list) else ())) if name else ()


def _grants_of(run: Recorded, trace: Trace) -> Grants:
    grants = grants_of(run)
    if grants is not None:
        return grants
    text = trace.meta.get("grants")
    if isinstance(text, str):
        return from_python(text, Grants)
    if any(life.preopen is not None for life in trace.store.lives.values()):
        raise GrantError("the trace does not say which host folders were granted: give advise(..., base=Grants(...))")
    return Grants()
