"""The WebAssembly proposals that can be switched on and off, and which of them a module has without asking.

A proposal that few modules use is code of Wasmtime that a stranger's module can reach for nothing: most of the holes
that were published in it were in such parts. So the newest are off for modules that were not compiled here, and a
person turns them on by name. Wasmtime ends the whole process when an engine is made with a combination that it does not
allow, so combinations are checked here, before one is made.

Source: https://webassembly.org/features/ for the names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ...text.nearest import did_you_mean


@dataclass(frozen=True, slots=True)
class Feature:
    """One proposal."""

    name: str
    """What a person writes: "function-references"."""
    words: str
    """What it adds to WebAssembly, as a noun."""
    foreign: bool = True
    """Whether a module has it that was not compiled here."""
    needs: tuple[str, ...] = ()
    """Features without which Wasmtime makes no engine that has this one, or no module can use it."""
    signs: str = ""
    """A regular expression for what Wasmtime says of a module that needs it while it is off."""

    @property
    def setting(self) -> str:
        """The name of its switch in Wasmtime's configuration."""
        return "wasm_" + self.name.replace("-", "_")


FEATURES: Mapping[str, Feature] = {
    each.name: each
    for each in (
        Feature("bulk-memory", "copying and filling of memory", signs="bulk memory"),
        Feature("multi-value", "several results of a function or block", signs="multi-value"),
        Feature("multi-memory", "several memories in a module", signs="multi-memory|multiple memories"),
        Feature("memory64", "memories with 64-bit addresses", signs="memory64|64-bit memor"),
        Feature("simd", "128-bit vectors", signs="(?<!relaxed )SIMD support|(?<!relaxed-)simd (?:support|feature)"),
        Feature("relaxed-simd", "vector instructions with results that depend on the machine", needs=("simd",),
                signs="relaxed.simd"),
        Feature("tail-call", "calls that replace the caller's frame", signs="tail calls?"),
        Feature("reference-types", "references as values, and several tables", signs="reference.types?"),
        Feature("function-references", "typed references to functions", foreign=False, needs=("reference-types",),
                signs="function.references"),
        Feature("gc", "structs and arrays that are garbage-collected", foreign=False, needs=("function-references",),
                signs="gc (?:feature|support)|`gc` proposal"),
        Feature("exceptions", "exceptions that are thrown and caught", foreign=False, needs=("reference-types",),
                signs="exceptions? (?:proposal|handling|refs)"),
    )
}  # fmt: skip
"""Every feature by its name."""

Features = tuple[tuple[str, bool], ...]
"""Whether each feature is on, by its name."""


class FeatureError(ValueError):
    """Switches that cannot be; the message names them and says what to write instead."""


def read_feature(text: str) -> tuple[str, bool]:
    """The name and the state of a switch: "gc", "gc=on" or "gc=off". Raises `FeatureError`."""
    name, _, state = text.partition("=")
    if name not in FEATURES:
        raise FeatureError(f"unknown WebAssembly feature {name!r}{did_you_mean(name, FEATURES, _listed())}")
    if state not in ("", "on", "off") or text.endswith("="):
        raise FeatureError(f"{text!r}: write {name} to turn the feature on, or {name}=off")
    return name, state != "off"


def _listed() -> str:
    return f" (known: {', '.join(FEATURES)})"


def features(switches: Iterable[str], *, foreign: bool) -> Features:
    """Whether each feature is on: by the switches (the last one counts), else by where the module comes from.

    A feature that is turned on brings what it needs, one that is turned off takes along what needs it. Raises
    `FeatureError` where both were asked for.
    """
    asked = dict(map(read_feature, switches))
    found = {name: asked.get(name, each.foreign or not foreign) for name, each in FEATURES.items()}
    for name, on in asked.items():
        for other in _all(name, _needed_by if on else _needing):
            if asked.get(other, on) != on:
                first, second = (name, other) if on else (other, name)
                raise FeatureError(f"the WebAssembly feature {first} needs {second}, which is turned off")
            found[other] = on
    return tuple(found.items())


def _needed_by(name: str) -> Iterable[str]:
    return FEATURES[name].needs


def _needing(name: str) -> Iterable[str]:
    return [each.name for each in FEATURES.values() if name in each.needs]


def _all(name: str, following: object) -> list[str]:
    assert callable(following)
    found: list[str] = []
    pending = [name]
    while pending:
        for other in following(pending.pop()):
            if other not in found:
                found.append(other)
                pending.append(other)
    return found


def missing_feature(said: str, now: Features) -> Feature | None:
    """The feature that a module needs and does not have, by what Wasmtime says of it; None for any other error."""
    for name, on in now:
        if not on and re.search(FEATURES[name].signs, said, re.IGNORECASE):
            return FEATURES[name]
    return None
