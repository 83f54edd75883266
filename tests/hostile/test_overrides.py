"""The user's own Python between guest and host: overrides and capability classes that misbehave in every way.

They may raise anything, return garbage, keep the buffers that they were given, and call back into wasilab or the
instance that calls them. The guest gets EIO (or the errno of an `OSError`), the trace says whose fault it was, and the
process survives.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

import wasilab
from wasilab import Limits
from wasilab.capabilities.protocols import BaseFile, Buffers, FileType, OpenHow, Stat
from wasilab.capabilities.refusal import DeniedBy, Refused
from wasilab.module.module import from_wat
from wasilab.trace.record.recorder import Flag

from .conftest import PYTHON_HERE, Yard
from .guests import ALL, CREAT, OUT, READ, Guest, program
from .test_memory import BUFFER, IOVECS, SUBS

RAW = pytest.mark.parametrize("raw", [True, False], ids=["raw", "public"])
LIMITS = Limits(seconds=20)


class Strange(Exception):
    """An exception whose own text fails."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


RAISED: dict[str, BaseException] = {
    "ZeroDivisionError": ZeroDivisionError("x"),
    "KeyError": KeyError("missing"),
    "RecursionError": RecursionError(),
    "AssertionError": AssertionError(),
    "StopIteration": StopIteration(),
    "NotImplementedError": NotImplementedError(),
    "text with escapes": RuntimeError("\x1b[31m</script><script>\u202e"),
    "text that fails": Strange(),
    "long text": RuntimeError("x" * 1_000_000),
    "a group": ExceptionGroup("g", [ValueError(), OSError()]),
    "AttributeError": AttributeError("x"),
    "TypeError": TypeError(),
    "UnicodeDecodeError": UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    "MemoryError": MemoryError(),
    "OverflowError": OverflowError(),
}


@pytest.mark.parametrize("kind", RAISED)
@RAW
def test_an_override_that_raises_is_eio(kind: str, raw: bool) -> None:
    def broken(original: Any, buffer: memoryview) -> None:
        raise RAISED[kind]

    grants = wasilab.Grants(overrides={"random_get": broken}, limits=LIMITS)
    run = Guest(grants=grants, raw=raw).call("random_get", BUFFER, 8).call("sched_yield").run()
    run.assert_answered("IO", "SUCCESS").assert_refused(DeniedBy.POLICY, "the override of random_get failed", call=0)
    assert run[0].flags & Flag.OVERRIDE
    assert len(run[0].reason or "") < 1000
    assert run.run.outcome.warnings
    assert "\x1b" not in run.run.outcome.warnings[0] + repr(run.run) + run.run.trace.text()


REFUSALS = [
    (OSError(13, "no"), "ACCES"),
    (OSError("odd"), "IO"),
    (OSError(99999, "odd"), "IO"),
    (Refused(1, "not today", DeniedBy.POLICY), "PERM"),
    (FileNotFoundError(2, "x"), "NOENT"),
]


@pytest.mark.parametrize(("error", "errno"), REFUSALS)
def test_a_refusal_by_an_override_reaches_the_guest(error: OSError, errno: str) -> None:
    def refusing(original: Any, *arguments: Any) -> None:
        raise error

    run = Guest(grants=wasilab.Grants(overrides={"random_get": refusing})).call("random_get", BUFFER, 8).run()
    run.assert_answered(errno)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()], ids=lambda e: type(e).__name__)
@RAW
def test_an_override_that_exits_ends_only_the_run(error: BaseException, raw: bool) -> None:
    def leaving(original: Any, *arguments: Any) -> None:
        raise error

    grants = wasilab.Grants(overrides={"random_get": leaving}, limits=LIMITS)
    module = from_wat(Guest().call("random_get", BUFFER, 8).call("sched_yield").wat())
    run = wasilab.run(module, (), grants, raw=raw)
    assert run.outcome.kind in ("exit", "error", "interrupt"), run.outcome
    assert "Traceback" not in run.outcome.message
    assert wasilab.run(from_wat(program("", ""))).exit_code == 0


GARBAGE: dict[str, Any] = {
    "None": None, "text": "x", "a float": 1.5, "negative": -1, "huge": 1 << 70, "a list": [1], "a tuple": (1, 2, 3),
    "nan": float("nan"), "a class": int, "an ellipsis": ..., "bytes": b"12345678", "a true": True, "a dict": {},
    "itself": lambda: None, "2**64": 1 << 64, "a long tuple": tuple(range(1000)),
    "a lie": type("Lie", (), {"__index__": lambda s: 1 << 99})(),
}  # fmt: skip


@pytest.mark.parametrize("kind", GARBAGE)
def test_an_override_that_answers_garbage_writes_none_of_it(kind: str) -> None:
    """In every call that has results, with a result that is no number of its size."""

    def answer(original: Any, *arguments: Any) -> Any:
        return GARBAGE[kind]

    calls = {
        "clock_time_get": (1, 0, OUT), "fd_fdstat_get": (1, OUT), "fd_filestat_get": (1, OUT),
        "args_sizes_get": (OUT, OUT + 8), "args_get": (0, BUFFER), "environ_get": (0, BUFFER),
        "fd_prestat_get": (1, OUT), "fd_write": (1, IOVECS, 1, OUT), "fd_read": (0, IOVECS, 1, OUT),
        "fd_readdir": (3, BUFFER, 64, 0, OUT), "poll_oneoff": (SUBS, BUFFER, 1, OUT), "fd_seek": (3, 0, 0, OUT),
        "path_open": (3, 0, BUFFER, 4, 0, 2, 0, 0, OUT), "path_readlink": (3, BUFFER, 4, BUFFER, 64, OUT),
    }  # fmt: skip
    grants = wasilab.Grants(dirs={"/m": wasilab.MemDir()}, overrides=dict.fromkeys(calls, answer), limits=LIMITS)
    guest = Guest(grants=grants).iovec(IOVECS, (BUFFER, 8)).put(BUFFER, b"name")
    for name, arguments in calls.items():
        guest.call(name, *arguments)
    run = guest.run()
    assert len(run.run.trace) == len(calls)
    assert set(run.errnos()) <= {"IO", "SUCCESS", "INVAL", "NOTCAPABLE", "NOTDIR", "BADF"}, run.run.trace.text()
    assert run.run.trace.text()
    assert repr(run.run)


@pytest.mark.parametrize("count", [-1, 9, 1 << 31, (1 << 32) - 1, 1 << 32])
@RAW
def test_an_override_that_claims_more_than_the_buffers_size(count: int, raw: bool) -> None:
    """nread beyond the buffers: the guest's own to believe, but the host must read nothing beyond them."""
    names = ("fd_read", "fd_write", "fd_readdir", "path_readlink", "fd_pread")
    grants = wasilab.Grants(
        dirs={"/m": wasilab.MemDir({"f": "x"})},
        overrides={name: lambda original, *given: count for name in names},
        limits=LIMITS,
    )
    guest = Guest(grants=grants, raw=raw).iovec(IOVECS, (BUFFER, 8)).put(BUFFER, b"f").open("f")
    guest.call("fd_read", 4, IOVECS, 1, OUT).call("fd_write", 1, IOVECS, 1, OUT).call(
        "fd_readdir", 3, BUFFER, 8, 0, OUT
    )
    guest.call("path_readlink", 3, BUFFER, 1, BUFFER, 8, OUT).call("fd_pread", 4, IOVECS, 1, 0, OUT)
    for snaplen in (64, None, 0):
        run = wasilab.run(from_wat(guest.wat()), (), grants, raw=raw, snaplen=snaplen)
        assert run.outcome.kind == "exit", run.outcome
        assert all(len(event.data or b"") <= 8 for event in run.trace)
        assert run.trace.text()


def test_an_override_that_polls_more_events_than_were_asked() -> None:
    from wasilab.wasi.types import Event

    grants = wasilab.Grants(overrides={"poll_oneoff": lambda original, subs: [Event(1, 0, 0)] * 50})
    guest = Guest(grants=grants, pages=1).call("poll_oneoff", SUBS, 65536 - 32, 1, OUT)
    run = guest.run()
    assert run.errnos()[0] in ("IO", "INVAL")


@pytest.mark.parametrize("way", ["run", "compile", "instantiate", "gc", "thread"])
@RAW
def test_an_override_that_calls_back_into_wasilab(way: str, raw: bool) -> None:
    inner = from_wat(program("random_get", "(drop (call $random_get (i32.const 0) (i32.const 4)))"))
    said: list[Any] = []

    def nested(original: Any, buffer: memoryview) -> None:
        import gc

        if way == "run":
            said.append(wasilab.run(inner, (), wasilab.Grants()).exit_code)
        elif way == "compile":
            said.append(len(wasilab.compile("(module)", "wat").bytes) and 0)
        elif way == "instantiate":
            with wasilab.instantiate(inner) as instance:
                said.append(len(instance.trace))
        elif way == "gc":
            said.append(gc.collect() * 0)
        else:
            thread = threading.Thread(target=lambda: said.append(wasilab.run(inner).exit_code))
            thread.start()
            thread.join()
        original(buffer)

    grants = wasilab.Grants(overrides={"random_get": nested}, limits=LIMITS)
    Guest(grants=grants, raw=raw).call("random_get", BUFFER, 8).run().assert_answered("SUCCESS")
    assert said == [0]


def test_an_override_that_enters_the_instance_that_calls_it() -> None:
    module = from_wat(
        program(
            "random_get",
            "",
            extra='(func (export "again") (result i32) (call $random_get (i32.const 0) (i32.const 4)))',
        )
    )
    held: list[wasilab.Instance] = []
    tried: list[str] = []

    def reentrant(original: Any, buffer: memoryview) -> None:
        for act in (lambda: held[0].exports.again(), lambda: held[0].memory.read(0, 4), lambda: held[0].trace.text()):
            try:
                act()
                tried.append("done")
            except RuntimeError as error:
                tried.append(str(error))
        original(buffer)

    with wasilab.instantiate(module, wasilab.Grants(overrides={"random_get": reentrant}, limits=LIMITS)) as instance:
        held.append(instance)
        assert instance.exports.again() == 0
        assert "one call at a time" in tried[0]
        assert instance.exports.again() == 0
    held.clear()


def test_an_override_that_closes_the_instance_that_calls_it() -> None:
    module = from_wat(
        program(
            "random_get",
            "",
            extra='(func (export "again") (result i32) (call $random_get (i32.const 0) (i32.const 4)))',
        )
    )
    held: list[Any] = []
    outcome: list[str] = []

    def closing(original: Any, buffer: memoryview) -> None:
        thread = threading.Thread(target=held[0].close, daemon=True)
        thread.start()
        thread.join(0.3)
        original(buffer)

    instance = wasilab.instantiate(module, wasilab.Grants(overrides={"random_get": closing}, limits=LIMITS))
    held.append(instance)
    try:
        outcome.append(str(instance.exports.again()))
    except Exception as error:  # noqa: BLE001  whatever it is, the process must outlive it
        outcome.append(type(error).__name__)
    assert outcome
    instance.close()
    held.clear()


KEEPING = """
    import gc, sys
    import wasilab
    from wasilab.module.module import from_wat
    kept, descriptors, originals = [], [], []
    def keep(original, descriptor, buffers):
        kept.extend(buffers); descriptors.append(descriptor); originals.append(original)
        return original(descriptor, buffers)
    def keep_buffer(original, buffer):
        kept.append(buffer); originals.append(original)
        original(buffer)
    text = '''(module (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "random_get" (func $r (param i32 i32) (result i32)))
      (memory (export "memory") 1 200) (data (i32.const 16) "kept")
      (data (i32.const 0) "\\\\10\\\\00\\\\00\\\\00\\\\04\\\\00\\\\00\\\\00")
      (func (export "_start") (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (drop (call $r (i32.const 0) (i32.const 65536))) (drop (memory.grow (i32.const 100)))))'''
    module = from_wat(text)
    for raw in (True, False):
        for _ in range(5):
            grants = wasilab.Grants(overrides={"fd_write": keep, "random_get": keep_buffer})
            run = wasilab.run(module, (), grants, raw=raw)
            assert run.exit_code == 0, run.outcome
            del run, grants
            gc.collect()
    from wasilab.engine.compiling import engines
    engines.clear()
    gc.collect()
    for view in kept:
        view[: min(4, len(view))] = b"late"[: len(view)]
        assert len(bytes(view)) == len(view)
    for original in originals:
        try:
            original(*([descriptors[0], kept[:1]] if original.__closure__ else []))
        except Exception as error:
            pass
    print("alive", len(kept), repr(descriptors[0])[:12])
    kept.clear(); gc.collect()
    print("gone")
"""


def test_memoryviews_kept_after_the_run_do_not_crash(tmp_path: Path) -> None:
    """Read and written after the store is gone, in a process of its own, which must end by itself."""
    script = tmp_path / "keeping.py"
    script.write_text(textwrap.dedent(KEEPING))
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", str(script)], capture_output=True, text=True, timeout=120, check=False,
        env=PYTHON_HERE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith("alive 20 <Descriptor ")
    assert done.stdout.endswith("gone\n")


class Evil(BaseFile):
    """A file whose every method does what its table says."""

    filetype = FileType.REGULAR_FILE

    def __init__(self, act: Any) -> None:
        self.act = act

    def read(self, buffers: Buffers) -> int:
        return self.act(buffers)  # type: ignore[no-any-return]

    write = read

    def stat(self) -> Stat:
        return self.act(None)  # type: ignore[no-any-return]

    def close(self) -> None:
        self.act(None)


def explode(buffers: Any) -> int:
    raise ZeroDivisionError("evil")


ACTS: dict[str, Any] = {
    "raises": explode,
    "an OSError without a number": lambda buffers: (_ for _ in ()).throw(OSError("odd")),
    "too many": lambda buffers: 1 << 40,
    "one too many": lambda buffers: 9,
    "negative": lambda buffers: -5,
    "None": lambda buffers: None,
    "text": lambda buffers: "many",
    "a float": lambda buffers: 2.5,
}


@pytest.mark.parametrize("kind", ACTS)
@RAW
def test_a_misbehaving_custom_file(kind: str, raw: bool) -> None:
    grants = wasilab.Grants(stdin=Evil(ACTS[kind]), limits=LIMITS)
    guest = Guest(grants=grants, raw=raw).iovec(IOVECS, (BUFFER, 8)).call("fd_read", 0, IOVECS, 1, OUT)
    guest.call("fd_filestat_get", 0, OUT).call("fd_close", 0).call("sched_yield")
    run = wasilab.run(from_wat(guest.wat()), (), grants, raw=raw)
    assert run.outcome.kind in ("exit", "error"), run.outcome
    assert "Traceback" not in run.outcome.message
    assert run.trace.text()
    assert set(run.trace["errno"].tolist()) <= set(range(77)) | {255}
    assert all(len(event.data or b"") <= 8 for event in run.trace)
    if "too many" not in kind:
        assert run.trace["errno"].tolist()[0] != 0
    assert wasilab.run(from_wat(program("", ""))).exit_code == 0


class EvilDirectory(wasilab.MemDir):
    """A directory in memory whose `open`, `list` and `readlink` do what they are told."""

    def __init__(self, act: Any) -> None:
        super().__init__({"file": "x"})
        self.act = act

    def fresh(self) -> EvilDirectory:
        return self

    def open(self, path: str, how: OpenHow) -> Any:
        return self.act(path)

    def list(self) -> Any:
        return self.act("list")

    def readlink(self, path: str) -> Any:
        return self.act(path)


ANSWERS: dict[str, Any] = {
    "raises": lambda path: 1 // 0,
    "None": lambda path: None,
    "text": lambda path: "\ud800" * 10,
    "a number": lambda path: 7,
    "entries of nonsense": lambda path: [("name", "inode", "type")],
    "entries that are too large": lambda path: [("n" * 100_000, 1 << 80, 4), ("\0", -1, 300)],
    "system exit": lambda path: sys.exit(3),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_misbehaving_custom_directory(kind: str) -> None:
    grants = wasilab.Grants(dirs={"/e": EvilDirectory(ANSWERS[kind])}, limits=LIMITS)
    guest = Guest(grants=grants).open("file", rights=READ).call("fd_readdir", 3, BUFFER, 4096, 0, OUT)
    guest.call("path_readlink", 3, "file", BUFFER, 100, OUT).open("new", oflags=CREAT, rights=ALL)
    run = wasilab.run(from_wat(guest.wat()), (), grants)
    assert run.outcome.kind in ("exit", "error"), run.outcome
    assert "Traceback" not in run.outcome.message
    assert run.trace.text()
    assert run.trace["errno"].tolist()[0] != 0
    assert wasilab.run(from_wat(program("", ""))).exit_code == 0


def test_an_override_that_does_not_return_is_given_up_with_the_run(yard: Yard) -> None:
    """A function that sleeps cannot be stopped, but the person who waits can go: a detached run says so at once."""
    release, reached = threading.Event(), threading.Event()

    def stuck(original: Any, buffer: memoryview) -> None:
        reached.set()
        release.wait(60)

    module = from_wat(program("random_get", "(drop (call $random_get (i32.const 0) (i32.const 4)))"))
    run = wasilab.run(module, (), wasilab.Grants(overrides={"random_get": stuck}), detach=True)
    assert reached.wait(60)
    run.stop(timeout=0.2)
    assert run.running
    release.set()
    run.wait(60)
    assert not run.running
