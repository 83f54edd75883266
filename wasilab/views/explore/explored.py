"""What is known of an unknown module: its imports, a first run without grants, and the least policy to go on with.

Nothing here draws or runs anything: `runs/experiments/exploring.py` makes an `Explored`, `exploration_html.py` and
`exploration_text.py` tell of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from ...engine import components
from ...grants.advice.advise import GrantAdvice, smallest_flags
from ...grants.advice.compare import asked_by_family
from ...grants.advice.evidence import Use
from ...grants.advice.foresight import foresee
from ...grants.forms.toml import to_toml
from ...grants.grants import Grants
from ...grants.guest_paths import ROOTS
from ...grants.value import GrantError
from ...module.binary import WasmFormatError
from ...module.module import Module
from ...module.module_words import FAMILY_WORDS
from ...text.escape import shorten, visible
from ...text.numbers import counted, listed, size
from ...text.shell import join
from ...trace.maps.file_tree import FileUse
from ...wasi.library import LIBRARY_LOOKUP
from ...wasi.operations import Operation
from ..subject import Subject, trace_of

_COMPONENT_NEVER = (
    ("args", "see its arguments"), ("environ", "see environment variables"), ("clock", "read a clock"),
    ("random", "get random bytes"), ("path", "name, open, make or delete a file"), ("poll", "wait, or sleep"),
    ("sock", "use the network"),
)  # fmt: skip
"""What a component cannot do that imports no function of a family."""
MOST_FOLDERS, MOST_PATHS = 12, 200


@dataclass(frozen=True, slots=True)
class AskedFamily:
    """One family of calls that the module imports."""

    family: str
    words: str
    """What such calls are for."""
    names: tuple[str, ...]
    used: int
    """Calls of the family in the first run."""
    refused: int


@dataclass(frozen=True, slots=True)
class WantedFolder:
    """A folder that the module looked for or used, as an option of `run` to be completed by the user."""

    guest: str
    """The guest path that would hold what it looked for."""
    changes: bool
    """Whether it was to make or change something there."""
    paths: tuple[str, ...]

    @property
    def flag(self) -> tuple[str, str]:
        """The option and its value; the host's folder is a guess, the folder of that name beside the module."""
        mode = ":rw" if self.changes else ""
        if self.guest == ".":
            return "--dir", f".::.{mode}" if mode else "."
        return "--dir", f"{self.guest.lstrip('/')}::{self.guest}{mode}"


@dataclass(frozen=True, eq=False)
class Explored:
    """What was found out about a module."""

    module: Module
    args: tuple[str, ...]
    run: Subject | None
    """The first run; None if it could not be run."""
    advice: GrantAdvice | None
    problem: str
    """Why it was not run, or why the run says little; "" for nothing."""
    file: str = "PROGRAM"
    """The module's name in the next command."""

    @property
    def ran(self) -> bool:
        """Whether it began to run; if not, only its imports are known."""
        return self.run is not None and self.run.outcome is not None and self.run.outcome.kind != "error"

    @cached_property
    def asked(self) -> list[AskedFamily]:
        """The families of calls that it imports; an upper bound of what it can ask for."""
        imported = asked_by_family(self.module)
        if not self.module.is_component:
            unknown = list(self.module.asks().get("unknown", ()))
            imported = {**imported, "unknown": unknown}
        used, refused = self._counts
        return [
            AskedFamily(family, FAMILY_WORDS.get(family, "other calls"), tuple(names), used[family], refused[family])
            for family, names in imported.items()
            if names
        ]

    @cached_property
    def _counts(self) -> tuple[Counter[str], Counter[str]]:
        used, refused = Counter[str](), Counter[str]()
        if self.run is not None:
            trace = trace_of(self.run)
            families = trace.functions.families
            for number, denied in zip(trace.column("call").tolist(), trace.column("denied_by").tolist(), strict=True):
                used[families[number]] += 1
                refused[families[number]] += denied != 0
        return used, refused

    @cached_property
    def never(self) -> list[str]:
        """What it can never do, in words, each with the reason in parentheses."""
        if self.module.is_component:
            have = {each.family for each in self.asked}
            return [words for family, words in _COMPONENT_NEVER if family not in have]
        if not self.module.wasi_imports:
            return ["touch anything: it imports no call of WASI"]
        found = []
        for sentence in foresee(self.module, Grants()).never:
            words, _, why = sentence.removeprefix("cannot ").partition(": ")
            found.append(f"{words} ({why})")
        return found

    @cached_property
    def elsewhere(self) -> list[str]:
        """Modules other than WASI that it imports from: they may act on its behalf."""
        if self.module.is_component:
            return []
        return [name for name in foresee(self.module, Grants()).elsewhere if name != LIBRARY_LOOKUP.module]

    @cached_property
    def unprovided(self) -> list[str]:
        """Interfaces that a component imports and that wasilab does not provide."""
        if not self.module.is_component:
            return []
        try:
            return components.world.unprovided(components.world.world_of(self.module))
        except WasmFormatError:
            return []

    # -- the first run ------------------------------------------------------------------------------------------------

    def use(self, name: str) -> Use:
        """How the first run used a grant: "argv", "env", "clocks", "random", a guest path."""
        return self.advice.evidence.of(name) if self.advice is not None else Use(name)

    @cached_property
    def paths(self) -> list[tuple[str, str]]:
        """(path, what was done to it) of what it looked for, the first `MOST_PATHS`."""
        if self.run is None:
            return []
        found = []
        for _, use in trace_of(self.run).files:
            if use.path in ROOTS or (use.children and not _own(use)):
                continue
            words = use.words.replace(f"{use.failed:,} failed", "not there") if use.failed else use.words
            found.append((use.path, words or "looked at"))
            if len(found) == MOST_PATHS:
                break
        return found

    @cached_property
    def folders(self) -> list[WantedFolder]:
        """The folders that would hold what it looked for: least first level folders, "." for bare names."""
        wanted: dict[str, tuple[bool, list[str]]] = {}
        for root in ROOTS:
            use = self.use(root)
            for path, changes in {**use.paths, **use.absent}.items():
                first, slash, _ = path.lstrip("/").partition("/")
                folder = f"/{first}" if slash else "."
                if not first:
                    continue
                known, paths = wanted.get(folder, (False, []))
                wanted[folder] = (known or changes, [*paths, path])
        return [WantedFolder(guest, changes, tuple(paths)) for guest, (changes, paths) in sorted(wanted.items())]

    def said(self) -> Iterator[tuple[str, str]]:
        """(subject, sentence) on arguments, environment, time, entropy and network: what it can do, and did."""
        have = {each.family: each for each in self.asked}
        yield "arguments", self._sentence(have, ("args",), "see its arguments", "argv", "read them")
        yield "environment", self._sentence(
            have, ("environ",), "see environment variables", "env", "read them; there were none"
        )
        slept = self._operations(Operation.SLEEP, Operation.POLL)
        clock = self._sentence(
            have, ("clock",), "read a clock", "clocks", "read a clock, which stood still but for 1 µs a call"
        )
        yield "time", clock + (f" It waited {counted(slept, 'time')}." if slept else "")
        drawn = f"took {self._entropy()}, the same in every such run"
        yield "entropy", self._sentence(have, ("random",), "get random bytes", "random", drawn)
        sock = have.get("sock")
        if sock is None:
            yield "network", "It can never use the network."
        elif not sock.used:
            yield "network", f"It can use the network ({_some(sock.names)}); it did not try."
        else:
            yield "network", f"It tried to use the network: {counted(sock.used, 'call')}, {sock.refused:,} refused."

    def _sentence(self, have: dict[str, AskedFamily], families: Sequence[str], what: str, grant: str, did: str) -> str:
        if not any(family in have for family in families):
            return f"It can never {what}."
        calls = sum(self.use(grant).calls.values())
        if self.run is None:
            return f"It can {what}."
        return f"It {did} ({counted(calls, 'call')})." if calls else f"It can {what}; it did not."

    def _operations(self, *wanted: Operation) -> int:
        if self.run is None:
            return 0
        trace = trace_of(self.run)
        operations = trace.functions.operations
        return sum(operations[number] in wanted for number in trace.column("call").tolist())

    def _entropy(self) -> str:
        if self.run is None:
            return "none"
        trace = trace_of(self.run)
        drawn = [trace.functions.families[number] == "random" for number in trace.column("call").tolist()]
        moved = sum(int(count) for count, mine in zip(trace.column("nbytes").tolist(), drawn, strict=True) if mine)
        return f"{size(moved)} of random bytes" if moved else "random bytes"

    # -- going on -----------------------------------------------------------------------------------------------------

    @cached_property
    def policy(self) -> Grants | None:
        """The smallest grants seen, without folders, which the user chooses. None if it cannot be run."""
        if self.advice is None or not self.ran:
            return None
        return self.advice.grants.with_(dirs={}, limits=Grants().limits, withheld={})

    def command(self) -> str:
        """A command line with the least grants."""
        flags = [] if self.policy is None else smallest_flags(self.policy)
        folders = [word for folder in self.folders[:MOST_FOLDERS] for word in folder.flag]
        return visible(join(["wasilab", "run", *flags, *folders, self.file, *self.args]))

    def toml(self) -> str:
        """The same as a policy file, with the folders as a comment to complete; "" for nothing known."""
        if self.policy is None:
            return ""
        try:
            text = to_toml(self.policy)
        except GrantError:
            return ""
        lines = [
            f"# {visible(' '.join(folder.flag))}  (looked for {_some(folder.paths)})"
            for folder in self.folders[:MOST_FOLDERS]
        ]
        return text + ("\n".join(["# folders that it looked for, as options of run:", *lines]) + "\n" if lines else "")


def _own(use: FileUse) -> bool:
    """Whether a folder itself was opened or changed, not only what lies in it."""
    below = sum(child.calls for child in use.children.values())
    return use.calls > below


def _some(names: Sequence[str], most: int = 3) -> str:
    return listed((shorten(visible(name), 60) for name in names), most)
