"""A guest's memory as a hexdump: of a kept instance, of a run at any call, from the command line; and bad requests."""

from __future__ import annotations

from pathlib import Path

import pytest

import wasilab
from wasilab import Grants, Lab
from wasilab.cli import main
from wasilab.engine.inside import memory_snapshots
from wasilab.module.module import Module, from_wat

WAT = """(module (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (global $__stack_pointer (mut i32) (i32.const 256)) (memory (export "memory") 1)
  (func (export "push") (param i32)
    (global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (i32.const 16)))
    (i32.store (global.get $__stack_pointer) (local.get 0)))
  (func (export "write") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
  START
  (data $.rodata (i32.const 256) "constant words"))"""
REACTOR = WAT.replace("START", "")
COMMAND = WAT.replace(
    "START",
    """(func (export "_start") (drop (call $yield)) (i32.store8 (i32.const 512) (i32.const 65))
      (global.set $__stack_pointer (i32.const 200)) (drop (call $yield))
      (i32.store8 (i32.const 512) (i32.const 66)) (drop (call $yield)))""",
)


@pytest.fixture(scope="module")
def module() -> Module:
    return from_wat(REACTOR, name="m.wasm")


def test_an_instance_now_with_its_regions_and_stack_pointer(module: Module) -> None:
    with wasilab.instantiate(module) as instance:
        assert instance.memory.stack_pointer == 256
        instance.exports.push(0x01020304)
        image = instance.memory_image()
        assert image.stack_pointer == instance.memory.stack_pointer == 240
        assert "stack pointer 0xf0 (16 B of the stack in use)" in image.heading
        assert [one.kind for one in image.regions] == ["stack", "data", "heap"]
        assert "000000f0 >04 03 02 01 00" in image.text()
        assert "00000100  63 6f 6e 73 74 61 6e 74 20 77 6f 72 64 73 " in image.text()
        assert image.read(256, 8) == b"constant"
        instance.exports.push(1)
        assert image.stack_pointer == 240, "an image is of its moment"
        assert [export.name for export in instance.module.exports] == ["memory", "push", "write"], "as it was given"
        assert list(instance.exports) == ["push", "write"]


def test_equal_rows_are_left_out_and_counted(module: Module) -> None:
    with wasilab.instantiate(module) as instance:
        instance.exports.write(0x1000, 255)
        said = instance.memory_image(0x800, 0x900).text()
        assert "127 more rows of the same bytes" in said
        assert "00001000  ff 00" in said
        assert instance.memory_image(0x1003, 3).text().splitlines()[-1].startswith("00001000           00 00 00 ")


def test_addresses_and_lengths_that_do_not_fit(module: Module) -> None:
    with wasilab.instantiate(module) as instance:
        for start, length in ((65536, 1), (-1, 1), (1 << 40, None)):
            with pytest.raises(IndexError, match="lies outside the memory of 65,536 bytes"):
                instance.memory_image(start, length)
        for length in (0, -5, 1 << 30):
            with pytest.raises(ValueError, match="cannot be shown: 1 to 1,048,576"):
                instance.memory_image(0, length)
        assert len(instance.memory_image(65530, 100).chunks[0][1]) == 6, "as far as there is memory"
        with pytest.raises(IndexError, match="are not in this image"):
            instance.memory_image(0, 16).read(32, 1)
    bare = wasilab.instantiate(from_wat('(module (func (export "f")))'))
    with bare, pytest.raises(ValueError, match="exports no memory"):
        bare.memory_image()


def test_a_recorded_run_at_any_call() -> None:
    run = wasilab.run(from_wat(COMMAND, name="c.wasm"), record=True)
    assert [run.memory_image(at, 512, 1).chunks[0][1] for at in range(3)] == [b"\0", b"A", b"B"]
    assert [run.memory_image(at, before=True).stack_pointer for at in range(3)] == [256, 200, 200]
    assert [run.memory_image(at).stack_pointer for at in (2, 0, 1)] == [200, 256, 200], "in any order"
    assert run.memory_image(start=512).read(512, 1) == b"B", "at the last call"
    silent = wasilab.run(from_wat(REACTOR), invoke="push", args=["1"])
    for of, call in ((run, 9), (silent, 0)):
        with pytest.raises(IndexError, match=f"there is no call {call}"):
            of.memory_image(call)


def test_an_instance_that_keeps_its_memory_at_any_call() -> None:
    works = from_wat(REACTOR.replace('(func (export "push")', """(func (export "work")
      (drop (call $yield)) (i32.store8 (i32.const 512) (i32.const 65))
      (global.set $__stack_pointer (i32.const 200)) (drop (call $yield)))
      (func (export "push")"""))  # fmt: skip
    with wasilab.instantiate(works, snapshots=True) as instance:
        instance.exports.work()
        instance.exports.write(512, 66)
        assert [instance.memory_image(512, 1, at=at).read(512, 1) for at in (0, 1)] == [b"\0", b"A"]
        assert [instance.memory_image(at=at).stack_pointer for at in (1, 0)] == [200, 256]
        assert instance.memory_image(at=1, before=True).stack_pointer == 200
        assert instance.memory_image(512, 1).read(512, 1) == b"B", "now"
        with pytest.raises(IndexError, match="at call 2 is not kept: it is kept at 2 calls, 0 to 1"):
            instance.memory_image(at=2)
    with wasilab.instantiate(works) as plain, pytest.raises(IndexError, match=r"instantiate with snapshots=True"):
        plain.memory_image(at=0)


def test_a_component_keeps_no_snapshots() -> None:
    with pytest.raises(ValueError, match="--snapshots is not for module, a component"):
        wasilab.instantiate(wasilab.load(b"\0asm\x0d\0\x01\0"), snapshots=True)


def test_snapshots_of_an_instance_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_snapshots, "MOST_BYTES", 20 * 4096)
    works = from_wat(REACTOR.replace('(func (export "push")', """(func (export "work") (param i32)
      (i32.store (i32.const 600) (local.get 0)) (drop (call $yield)))
      (func (export "push")"""))  # fmt: skip
    with wasilab.instantiate(works, snapshots=True) as instance:
        for n in range(50):
            instance.exports.work(n + 1)
        assert instance.memory_image(600, 4, at=49).read(600, 4) == b"\x32\0\0\0"
        with pytest.raises(IndexError, match="is not kept"):
            instance.memory_image(at=0)
        assert len(instance.trace) == 50


def test_a_member_of_a_lab(module: Module) -> None:
    with Lab() as lab:
        lab.add("one", module, Grants.nothing())
        lab["one"].exports.push(7)
        assert lab["one"].memory_image().stack_pointer == 240


def test_the_command_shows_a_recording_and_refuses_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, record = tmp_path / "c.wat", tmp_path / "r.wtrace"
    source.write_text(COMMAND)
    assert main(["run", "--record", str(record), str(source)]) == 0
    assert main(["memory", str(record), "--at", "1", "--from", "0x200", "--length", "4"]) == 0
    assert "00000200  41 00 00 00" in capsys.readouterr().out
    for words, said in (
        (["--at", "3"], "there is no call 3: the run made 3 calls, from 0"), (["--at", "x"], "is not a call number"),
        (["--from", "0x10000"], "lies outside"), (["--from", "-1"], "is not an address"), (["--length", "0"], "cannot"),
    ):  # fmt: skip
        assert main(["memory", str(record), *words]) == 2
        assert said in capsys.readouterr().err
    assert main(["run", "--trace", str(record), str(source)]) == 0
    capsys.readouterr()
    assert main(["memory", str(record)]) == 2
    assert "record" in capsys.readouterr().err
