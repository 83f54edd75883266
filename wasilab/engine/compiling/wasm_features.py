"""The WebAssembly proposals that can be turned on and off, and which are on by default.

A rarely used proposal is attack surface in Wasmtime: most of its published vulnerabilities were in such parts. So the
newest proposals are off for modules that were not compiled here, and users turn them on by name. Wasmtime aborts the
process when an engine is made with an invalid combination, so combinations are checked here first.

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
    """The name that users write: "function-references"."""
    words: str
    """What it adds to WebAssembly, as a noun phrase."""
    foreign: bool = True
    """Whether it is on for a module that was not compiled here."""
    needs: tuple[str, ...] = ()
    """Features that this one needs: without them Wasmtime makes no engine, or no module can use it."""
    signs: str = ""
    """A regular expression for Wasmtime's error about a module that needs it while it is off."""

    @property
    def setting(self) -> str:
        """The name of its setting in Wasmtime's configuration."""
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
        Feature("threads", "atomic instructions and shared memories", signs="threads (?:support|must be enabled)"),
        Feature("wide-arithmetic", "128-bit sums and products of integers", signs="wide arithmetic"),
        Feature("custom-page-sizes", "memories whose pages have one byte", foreign=False,
                signs="custom page sizes"),
        Feature("compact-imports", "imports that share a module name", foreign=False, signs="compact.imports?"),
    )
}  # fmt: skip
"""All features by name."""

REFUSED: Mapping[str, str] = {
    "stack-switching": "Wasmtime 50 ends the whole process when a program resumes a continuation",
}
"""Features that Wasmtime has and that cannot be turned on here, and why."""

Features = tuple[tuple[str, bool], ...]
"""Whether each feature is on, by name."""


class FeatureError(ValueError):
    """Invalid feature switches; the message names them and the remedy."""


def read_feature(text: str) -> tuple[str, bool]:
    """Parse a switch, "gc", "gc=on" or "gc=off", into name and state. Raises `FeatureError`."""
    name, _, state = text.partition("=")
    if name in REFUSED:
        raise FeatureError(f"the WebAssembly feature {name} is always off: {REFUSED[name]}")
    if name not in FEATURES:
        raise FeatureError(f"unknown WebAssembly feature {name!r}{did_you_mean(name, FEATURES, _listed())}")
    if state not in ("", "on", "off") or text.endswith("="):
        raise FeatureError(f"{text!r}: write {name} to turn the feature on, or {name}=off")
    return name, state != "off"


def _listed() -> str:
    return f" (known: {', '.join(FEATURES)})"


def features(switches: Iterable[str], *, foreign: bool) -> Features:
    """Whether each feature is on: by the switches (the last one wins), else by where the module comes from.

    Turning a feature on turns on the features that it needs; turning one off turns off those that need it. Raises
    `FeatureError` if these conflict.
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
    """The feature that a module lacks according to Wasmtime's error; None for any other error."""
    for name, on in now:
        if not on and re.search(FEATURES[name].signs, said, re.IGNORECASE):
            return FEATURES[name]
    return None
