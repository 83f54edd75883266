"""With stepped clocks, seeded randomness and memory a run is the same, bit for bit, every time."""

from __future__ import annotations

import hashlib
import time

from wasilab import Clocks, Grants, MemDir, Random, Run, run

from .guests import READ, SCRATCH, WRITE, Guest

GUEST = (
    Guest()
    .call("clock_time_get", f"(i32.const 0) (i64.const 0) (i32.const {SCRATCH})")
    .call("random_get", f"(i32.const {SCRATCH}) (i32.const 32)")
    .open("a.txt")
    .read()
    .open("new", rights=READ | WRITE, oflags=1)
    .write("made")
    .call("clock_time_get", f"(i32.const 1) (i64.const 0) (i32.const {SCRATCH})")
)


def digest(finished: Run) -> str:
    """Everything that the trace holds but when things happened."""
    records = finished.trace.records.copy()
    for name in ("t_start", "dur", "stack"):
        records[name] = 0
    found = hashlib.sha256(records.tobytes())
    for part in finished.trace.store.parts:
        found.update(bytes(part.arena))
        found.update(b"\0".join(part.paths))
    return found.hexdigest()


def virtual() -> Grants:
    files = MemDir({"a.txt": "text", "sub": {"b": "c"}})
    return Grants(dirs={"/d": files}, clocks=Clocks.stepped(1000, 10**18), random=Random.seeded(42))


def test_two_runs_have_one_digest() -> None:
    first = run(GUEST.module(), (), virtual())
    time.sleep(0.01)
    second = run(GUEST.module(), (), virtual())
    assert first.exit_code == second.exit_code == 0
    assert digest(first) == digest(second)


def test_another_seed_is_another_digest() -> None:
    first = run(GUEST.module(), (), virtual())
    other = run(GUEST.module(), (), virtual().with_(random=Random.seeded(43)))
    assert digest(first) != digest(other)
