"""Claims about the module of a run, which hold before it runs."""

from __future__ import annotations

import fnmatch

from ...module.module import Module
from ...text.escape import visible
from ...text.numbers import listed, with_article
from ..claim import Claim, CourseError, Finding, Judged, quoted

_EVERY_PROGRAM = frozenset({"_start", "_initialize", "memory"})
"""What every module exports, also one that does nothing."""


def imports_none_of(*patterns: str) -> Claim:
    """The module imports no function whose name matches: `imports_none_of("path_*", "sock_*")`."""
    _check_patterns("imports_none_of", patterns)

    def judge(run: Judged) -> Finding:
        names = _imported(run.module)
        wrong = [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]
        return Finding(not wrong, f"it imports {_listed(wrong)}" if wrong else "")

    return Claim(f"its module imports none of {', '.join(patterns)}", judge, holds_for_nothing=True)


def imports_only(*patterns: str) -> Claim:
    """The module imports only functions whose names match one of the patterns."""
    _check_patterns("imports_only", patterns)

    def judge(run: Judged) -> Finding:
        names = _imported(run.module)
        wrong = [name for name in names if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]
        return Finding(not wrong, f"it also imports {_listed(wrong)}" if wrong else "")

    return Claim(f"its module imports only {', '.join(patterns)}", judge, holds_for_nothing=True)


def exports(name: str, type: str = "") -> Claim:
    """The module exports a function (or memory, ...) of this name; `type` is a function's type: "(i32) -> (i32)"."""
    if not isinstance(name, str) or not name:
        raise CourseError(f"exports({name!r}): write the name of an export, such as exports('tick')")
    wanted = "".join(type.split())

    def judge(run: Judged) -> Finding:
        found = next((each for each in run.module.exports if each.name == name), None)
        if found is None:
            return Finding(False, f"it exports {_listed([each.name for each in run.module.exports])}")
        if not wanted:
            return Finding(True)
        function = run.module.function_type(found.index) if found.kind == "func" else None
        if function is None:
            return Finding(False, f"{quoted(name)} is {with_article(found.kind)}")
        return Finding("".join(str(function).split()) == wanted, f"the type of {quoted(name)} is {function}")

    sentence = f"its module exports {quoted(name)}" + (f" of the type {type}" if type else "")
    return Claim(sentence, judge, holds_for_nothing=name in _EVERY_PROGRAM)


def _imported(module: Module) -> list[str]:
    """The names of a module's imports, without the one by which a program compiled here reports to wasilab."""
    own = {(each.module, each.name) for each in module.imports} if not module.reports_lookups else {
        (each.module, each.name) for each in module.imports if each in module.wasi_imports
    }  # fmt: skip
    return sorted({name for _, name in own})


def _listed(names: list[str]) -> str:
    return listed(map(visible, names), 6)


def _check_patterns(name: str, patterns: tuple[str, ...]) -> None:
    if not patterns or not all(isinstance(each, str) and each for each in patterns):
        raise CourseError(f"{name}() takes names or patterns: {name}('path_*')")
