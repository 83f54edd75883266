"""The source of the trampolines: every call has one in every variant, and it can be read."""

from __future__ import annotations

import ast
import itertools
from pathlib import Path

import pytest

import wasilab
from wasilab.engine.calls.codegen import code, source
from wasilab.engine.calls.trampoline import Variant
from wasilab.wasi.preview1.spec import MODULES

CALLS = [call for module in MODULES.values() for call in module.values()]
PREVIEW1 = MODULES["wasi_snapshot_preview1"]
VARIANTS = [Variant(*flags) for flags in itertools.product([True, False], repeat=5)]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_call_has_a_trampoline_in_every_variant(variant: Variant) -> None:
    for call in CALLS:
        text = source(call, variant)
        function = ast.parse(text).body[0]
        assert isinstance(function, ast.FunctionDef)
        expected = 4 if variant.raw else 1 + len(call.signature)
        assert len(function.args.args) == expected
        last = function.body[-1]
        assert isinstance(last, ast.Try), "every line that can fail stands inside the try"
        assert isinstance(last.handlers[0].type, ast.Name)
        assert last.handlers[0].type.id == "BaseException"


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_trampoline_has_names_that_can_be_read(variant: Variant) -> None:
    for call in CALLS:
        names = code(call, variant)
        short = [name for name in (*names.co_varnames, *names.co_names) if len(name) == 1]
        assert set(short) <= {"i", "n"}, f"{call.name}: {short}"


def test_the_whole_trampoline_of_a_traced_fd_write() -> None:
    """The way of one call, as the README follows it: fd_write of a traced run."""
    golden = Path(__file__).with_name("fd_write.txt").read_text()
    assert source(PREVIEW1["fd_write"], Variant()) == golden


def test_the_whole_trampoline_of_an_untraced_call_through_the_public_interface() -> None:
    text = source(PREVIEW1["fd_seek"], Variant(raw=False, traced=False))
    assert text == (
        "def fd_seek(caller, fd, offset, whence, newoffset_pointer):\n"
        "    descriptor = None\n"
        "    fd &= 0xffffffff\n"
        "    offset_low = offset & 0xffffffff\n"
        "    offset_high = offset >> 32 & 0xffffffff\n"
        "    whence &= 0xffffffff\n"
        "    newoffset_pointer &= 0xffffffff\n"
        "    try:\n"
        "        descriptor = DESCRIPTOR(fd)\n"
        "        if descriptor is None:\n"
        "            raise BADF(fd)\n"
        "        if 32 & ~descriptor.allowed:  # FD_TELL\n"
        "            CHECK(descriptor, 32)\n"
        "        offset = offset_low | offset_high << 32\n"
        "        if offset >= 0x8000000000000000:\n"
        "            offset -= 0x10000000000000000\n"
        "        if newoffset_pointer & 7 or newoffset_pointer + 8 > MEMORY.size:\n"
        "            MEMORY.check(CALLER(caller), newoffset_pointer, 8, 8, 'fd_seek', 'result.newoffset')\n"
        "        newoffset = PERFORM_fd_seek(HOST, descriptor, offset, whence)\n"
        "        MEMORY.u64[newoffset_pointer >> 3] = newoffset\n"
        "        return 0\n"
        "    except BaseException as error:\n"
        "        errno = FAIL(error, CALL_fd_seek, caller, 0, descriptor, None, "
        "(fd, offset_low, offset_high, whence, newoffset_pointer))\n"
        "        if errno < 0:\n"
        "            raise STOP\n"
        "        return errno\n"
    )


def test_code_is_made_once() -> None:
    call = PREVIEW1["fd_write"]
    assert code(call, Variant()) is code(call, Variant())
    assert code(call, Variant()) is not code(call, Variant(traced=False))


def test_equal_structs_are_kept_once_and_read_back_for_every_call(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    wat = """(module
      (import "wasi_snapshot_preview1" "path_filestat_get" (func $stat (param i32 i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1) (data (i32.const 64) "a")
      (func (export "_start") (local $i i32) (local.set $i (i32.const 1000))
        (loop $again
          (drop (call $stat (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))
          (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))))"""
    grants = wasilab.Grants(dirs={"/d": wasilab.HostDir(str(tmp_path))})
    run = wasilab.run(wasilab.compile(wat, "wat"), grants=grants)
    recorder = run._prepared.recorder
    assert recorder is not None
    assert len(recorder.chunk.arena) < 200
    assert {event.result["filestat"].size for event in run.trace} == {5}
    assert len(run.trace) == 1000
    path = run.trace.filter("path=*a").save(tmp_path / "t.wtrace")
    assert {event.result["filestat"].size for event in wasilab.Trace.load(path)} == {5}
