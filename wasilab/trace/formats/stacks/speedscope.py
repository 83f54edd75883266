"""speedscope's JSON (https://www.speedscope.app): three profiles of the same stacks, by host time, bytes and calls."""

from __future__ import annotations

import json
from typing import IO

from ....text.escape import visible
from ...calls import Calls
from ...maps.call_tree import CallTree, Weight

_PROFILES: tuple[tuple[Weight, str, str], ...] = (
    ("time", "time in the host", "nanoseconds"), ("bytes", "bytes moved", "bytes"), ("calls", "calls", "none"),
)  # fmt: skip


def write(trace: Calls, file: IO[bytes]) -> None:
    """Write the stacks of a trace."""
    stacks = list(CallTree.from_calls(trace).stacks())
    frames: dict[tuple[str, str], int] = {}
    samples = [
        [frames.setdefault((visible(one.name), visible(one.place)), len(frames)) for one in [*above, leaf]]
        for above, leaf in stacks
    ]
    profiles = []
    for weight, words, unit in _PROFILES:
        weights = [int(getattr(leaf, weight)) for _, leaf in stacks]
        profiles.append({
            "type": "sampled", "name": words, "unit": unit, "startValue": 0, "endValue": sum(weights),
            "samples": samples, "weights": weights,
        })  # fmt: skip
    document = {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "name": visible(str(trace.meta.get("name") or "WASI calls")),
        "exporter": "wasilab",
        "shared": {"frames": [{"name": name, **({"file": place} if place else {})} for name, place in frames]},
        "profiles": profiles,
    }
    file.write(json.dumps(document, ensure_ascii=False).encode())
