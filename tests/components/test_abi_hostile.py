"""Hostile core words: every check of the canonical ABI ends the guest, and what is at the very border does not."""

from __future__ import annotations

import random
from typing import Any

import pytest
import wasmtime

from wasilab.engine.components.component_binary import parse
from wasilab.engine.stop import LinkError
from wasilab.module.binary import WasmFormatError
from wasilab.wasi.types import Trap

from .running import Running

CLOCK = "wasi:clocks/monotonic-clock@0.2.0"
END = 0x10000  # the memory has one page


def giving(type_: str, data: bytes = b"", word: str = "i32.const 0", *, options: str = "") -> str:
    """A component whose `f` gives a value of a type: its core function returns `word`, and at 0 lies `data`."""
    text = "".join(f"\\{byte:02x}" for byte in data)
    named = type_.startswith(("(enum", "(variant"))
    definition = f'(type $d {type_}) (export $t "t" (type $d))' if named else ""
    return f"""(component
      (core module $m
        (memory (export "memory") 1)
        (data (i32.const 16) "ok\\c3\\a9\\ff\\00")
        (data (i32.const 0) "{text}")
        (data (i32.const 65534) "yz")
        (func (export "fine") (result i32) i32.const 1)
        (func (export "f") (result {word[:3]}) {word}))
      (core instance $i (instantiate $m))
      (alias core export $i "memory" (core memory $memory))
      {definition}
      (func (export "fine") (result u32) (canon lift (core func $i "fine")))
      (func (export "f") (result {"$t" if named else type_})
        (canon lift (core func $i "f") (memory $memory) {options})))"""


def at(pointer: int, length: int) -> bytes:
    return pointer.to_bytes(4, "little") + length.to_bytes(4, "little")


UTF16 = "string-encoding=utf16"
LATIN = "string-encoding=latin1+utf16"
TRAPS: dict[str, tuple[str, str]] = {
    "a string outside": (giving("string", at(END, 1)), "out-of-bounds"),
    "a string that runs over the end": (giving("string", at(END - 1, 2)), "out-of-bounds"),
    "a string whose end wraps around": (giving("string", at(0xFFFFFFFF, 2)), "out-of-bounds"),
    "a string of 4 GiB": (giving("string", at(0, 0xFFFFFFFF)), "too long"),
    "an empty string outside": (giving("string", at(END + 1, 0)), "out-of-bounds"),
    "a string that is not UTF-8": (giving("string", at(20, 1)), "not UTF-8"),
    "a string that ends within a character": (giving("string", at(18, 1)), "not UTF-8"),
    "a surrogate in UTF-8": (giving("string", at(8, 3) + b"\xed\xa0\x80"), "not UTF-8"),
    "an overlong form": (giving("string", at(8, 2) + b"\xc0\x80"), "not UTF-8"),
    "a character beyond Unicode": (giving("string", at(8, 4) + b"\xf4\x90\x80\x80"), "not UTF-8"),
    "UTF-16 that is not aligned": (giving("string", at(9, 1), options=UTF16), "unaligned"),
    "UTF-16 outside": (giving("string", at(END - 2, 2), options=UTF16), "out-of-bounds"),
    "a lone surrogate": (giving("string", at(8, 1) + b"\x00\xd8", options=UTF16), "not UTF-16"),
    "a surrogate pair the wrong way": (giving("string", at(8, 2) + b"\x00\xdc\x00\xd8", options=UTF16), "not UTF-16"),
    "Latin-1 that is not aligned": (giving("string", at(9, 1), options=LATIN), "unaligned"),
    "tagged UTF-16 outside": (giving("string", at(END - 2, 0x80000002), options=LATIN), "out-of-bounds"),
    "a list outside": (giving("(list u8)", at(END - 1, 2)), "outside"),
    "a list that is not aligned": (giving("(list u32)", at(9, 1)), "not aligned"),
    "a list whose size overflows": (giving("(list u64)", at(8, 0x20000001)), "too long"),
    "an empty list that is not aligned": (giving("(list u64)", at(4, 0)), "not aligned"),
    "a list of strings, one outside": (giving("(list string)", at(8, 2) + at(16, 0) + at(END, 4)), "out-of-bounds"),
    "a surrogate as a char": (giving("char", word="i32.const 0xd800"), "scalar value"),
    "the last surrogate as a char": (giving("char", word="i32.const 0xdfff"), "scalar value"),
    "a char beyond Unicode": (giving("char", word="i32.const 0x110000"), "scalar value"),
    "a negative char": (giving("char", word="i32.const -1"), "scalar value"),
    "a list of chars, one a surrogate": (
        giving("(list char)", at(8, 2) + at(65, 0xD9AB)), "scalar value",
    ),
    "an enum's discriminant": (giving('(enum "a" "b" "c")', word="i32.const 3"), "discriminant"),
    "an enum's discriminant, negative": (giving('(enum "a" "b" "c")', word="i32.const -1"), "discriminant"),
    "an option's discriminant in memory": (giving("(option u32)", b"\2"), "discriminant"),
    "a result's discriminant": (giving("(result)", word="i32.const 2"), "discriminant"),
    "a variant's discriminant in memory": (
        giving('(variant (case "a" u64) (case "b") (case "c" string))', b"\3"), "discriminant",
    ),
    "the text of a case outside": (
        giving('(variant (case "a" u64) (case "c" string))', b"\1" + bytes(7) + at(END, 1)), "out-of-bounds",
    ),
    "a result place that is not aligned": (giving("string", word="i32.const 2"), "not aligned"),
    "a result place outside": (giving("string", word="i32.const 65532"), "outside"),
    "a result place at the end of the address space": (giving("string", word="i32.const -4"), "outside"),
    "a nested list outside": (giving("(list (list u8))", at(8, 1) + at(END - 3, 4)), "outside"),
}  # fmt: skip


@pytest.mark.parametrize("case", TRAPS)
def test_it_ends_the_guest(case: str) -> None:
    text, words = TRAPS[case]
    running = Running(text)
    with pytest.raises(Trap, match=words):
        running.call("f")
    with pytest.raises(Trap):  # and nobody enters it again
        running.call("fine")
    running.close()


FINE: dict[str, tuple[str, Any]] = {
    "a string that ends at the end": (giving("string", at(END - 2, 2)), "yz"),
    "an empty string at the end": (giving("string", at(END, 0)), ""),
    "two bytes of UTF-8": (giving("string", at(16, 4)), "oké"),
    "a list that ends at the end": (giving("(list u8)", at(END - 2, 2)), b"yz"),
    "an empty list at the end": (giving("(list u64)", at(END, 0)), []),
    "the last char": (giving("char", word="i32.const 0x10ffff"), "\U0010ffff"),
    "the char before the surrogates": (giving("char", word="i32.const 0xd7ff"), "\ud7ff"),
    "a bool of any number but 0": (giving("bool", word="i32.const 0x100"), True),
    "a u8 with more bits": (giving("u8", word="i32.const 0x1ff"), 0xFF),
    "an s8 with more bits": (giving("s8", word="i32.const 0x180"), -128),
    "a u16 with more bits": (giving("u16", word="i32.const -1"), 0xFFFF),
    "a u32": (giving("u32", word="i32.const -1"), 0xFFFFFFFF),
    "a u64": (giving("u64", word="i64.const -1"), 0xFFFFFFFFFFFFFFFF),
    "an s64": (giving("s64", word="i64.const -1"), -1),
}


@pytest.mark.parametrize("case", FINE)
def test_it_is_right_at_the_border(case: str) -> None:
    text, expected = FINE[case]
    running = Running(text)
    assert running.call("f") == expected
    running.close()


def taking(type_: str, realloc: str) -> str:
    """A component whose `f` takes a value, with the body of its realloc (old, old size, alignment, size)."""
    return f"""(component
      (core module $m
        (memory (export "memory") 1)
        (global $calls (mut i32) (i32.const 0))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
          (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
          {realloc})
        (func (export "f") (param i32 i32) (result i32) (global.get $calls)))
      (core instance $i (instantiate $m))
      (alias core export $i "memory" (core memory $memory))
      (alias core export $i "realloc" (core func $realloc))
      (func (export "f") (param "x" {type_}) (result u32)
        (canon lift (core func $i "f") (memory $memory) (realloc $realloc))))"""


@pytest.mark.parametrize(
    ("type_", "value", "realloc", "words"),
    [
        ("string", "text", "i32.const 65533", "realloc return: beyond end of memory"),
        ("string", "text", "i32.const -1", "realloc return: beyond end of memory"),
        ("(list u32)", [1], "i32.const 2", "realloc return: result not aligned"),
        ("(list u64)", [1, 2], "i32.const 65528", "realloc return: beyond end of memory"),
        ("(list u8)", b"12", "i32.const 65535", "realloc return: beyond end of memory"),
        ("(list string)", ["a", "b"], "i32.const 65528", "realloc return: beyond end of memory"),
        ("string", "text", "unreachable", "unreachable"),
    ],
)
def test_what_realloc_returns_is_checked(type_: str, value: Any, realloc: str, words: str) -> None:
    running = Running(taking(type_, realloc))
    with pytest.raises((Trap, wasmtime.Trap), match=words):
        running.call("f", value)
    running.close()


def test_realloc_may_grow_the_memory() -> None:
    running = Running(taking("string", "(drop (memory.grow (i32.const 1))) (i32.const 65536)"))
    assert running.call("f", "a text") == 1
    running.close()


LEAVES = """(component
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $c (export "now" (func (result u64)))))
  (core func $now (canon lower (func $c "now")))
  (core module $m
    (import "" "now" (func $now (result i64)))
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (drop (call $now)) (i32.const 0))
    (func (export "post") (param i32) (drop (call $now)))
    (func (export "f") (param i32 i32))
    (func (export "g") (result i32) (i32.const 1)))
  (core instance $i (instantiate $m (with "" (instance (export "now" (func $now))))))
  (alias core export $i "memory" (core memory $memory))
  (alias core export $i "realloc" (core func $realloc))
  (alias core export $i "post" (core func $post))
  (func (export "f") (param "x" string) (canon lift (core func $i "f") (memory $memory) (realloc $realloc)))
  (func (export "g") (result u32) (canon lift (core func $i "g") (post-return $post))))"""


@pytest.mark.parametrize(("name", "arguments"), [("f", ("text",)), ("g", ())])
def test_realloc_and_post_return_may_not_call_out(name: str, arguments: tuple[Any, ...]) -> None:
    running = Running(LEAVES)
    with pytest.raises(Trap, match="cannot leave component instance"):
        running.call(name, *arguments)
    running.close()


HANDLES = """(component
  (import "wasi:io/error@0.2.0" (instance $e (export "error" (type (sub resource)))))
  (alias export $e "error" (type $error))
  (import "wasi:io/poll@0.2.0" (instance $p
    (export "pollable" (type $t (sub resource)))
    (export "[method]pollable.ready" (func (param "self" (borrow $t)) (result bool)))
    (export "poll" (func (param "in" (list (borrow $t))) (result (list u32))))))
  (alias export $p "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $c
    (alias outer 1 $pollable (type $outer)) (export "pollable" (type $t (eq $outer)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $t))))))
  (core func $ready (canon lower (func $p "[method]pollable.ready")))
  (core func $make (canon lower (func $c "subscribe-duration")))
  (core func $drop (canon resource.drop $pollable))
  (core func $drop-error (canon resource.drop $error))
  (core module $m
    (import "" "ready" (func $ready (param i32) (result i32)))
    (import "" "make" (func $make (param i64) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (import "" "drop-error" (func $drop-error (param i32)))
    (func (export "ready") (param i32) (result i32) (call $ready (local.get 0)))
    (func (export "make") (result i32) (call $make (i64.const 1)))
    (func (export "drop") (param i32) (call $drop (local.get 0)))
    (func (export "drop-error") (param i32) (call $drop-error (local.get 0))))
  (core instance $i (instantiate $m (with "" (instance
    (export "ready" (func $ready)) (export "make" (func $make)) (export "drop" (func $drop))
    (export "drop-error" (func $drop-error))))))
  (func (export "ready") (param "x" u32) (result u32) (canon lift (core func $i "ready")))
  (func (export "make") (result u32) (canon lift (core func $i "make")))
  (func (export "drop") (param "x" u32) (canon lift (core func $i "drop")))
  (func (export "drop-error") (param "x" u32) (canon lift (core func $i "drop-error"))))"""


@pytest.mark.parametrize(
    ("calls", "words"),
    [
        (["ready:0"], "unknown handle index 0"),
        (["ready:1"], "unknown handle index 1"),
        (["ready:4294967295"], "unknown handle index"),
        (["make", "drop:1", "ready:1"], "unknown handle index 1"),
        (["make", "drop:1", "drop:1"], "unknown handle index 1"),
        (["make", "drop-error:1"], "wrong type"),
        (["make", "ready:2"], "unknown handle index 2"),
    ],
)
def test_a_handle_is_checked_at_every_use(calls: list[str], words: str) -> None:
    running = Running(HANDLES)
    steps = [(name, [int(number)] if number else []) for name, _, number in (call.partition(":") for call in calls)]
    for name, arguments in steps[:-1]:
        running.call(name, *arguments)
    with pytest.raises(Trap, match=words):
        running.call(steps[-1][0], *steps[-1][1])
    running.close()


def test_numbers_of_handles_are_given_again() -> None:
    running = Running(HANDLES)
    assert [running.call("make"), running.call("make")] == [1, 2]
    running.call("drop", 1)
    assert [running.call("make"), running.call("ready", 2)] == [1, 1]
    running.close()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('(import "wasi:io/nothing@0.2.0" (instance))', "does not provide"),
        ('(import "wasi:io/poll@0.1.0" (instance))', "only 0.2"),
        ('(import "wasi:io/poll@0.2.0" (instance (export "poll" (func))))', "as .* and WASI has it as"),
        ('(import "wasi:io/poll@0.2.0" (instance (export "peel" (func))))', "no such function"),
        (f'(import "{CLOCK}" (instance (export "now" (func (result u32)))))', "WASI has it as"),
        (f'(import "{CLOCK}" (instance (export "now" (func (result s64)))))', "WASI has it as"),
        (f'(import "{CLOCK}" (instance (export "duration" (type (sub resource)))))', "resource"),
        ('(import "now" (func (result u64)))', "in no interface"),
    ],
)  # fmt: skip
def test_an_import_of_another_type_is_refused(text: str, words: str) -> None:
    with pytest.raises(LinkError, match=words):
        Running(f"(component {text})")


@pytest.mark.parametrize("text", [LEAVES, HANDLES, TRAPS["a list of strings, one outside"][0]])
def test_damaged_bytes_are_refused_in_words(text: str) -> None:
    data = bytes(wasmtime.wat2wasm(text))
    rng = random.Random(7)
    cut = [refusal(data[:length]) for length in range(len(data))]
    assert sum(words is not None for words in cut) > len(cut) * 0.9  # a cut between two sections leaves a component
    turned = []
    for _ in range(1000):
        damaged = bytearray(data)
        for _ in range(rng.randrange(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        turned.append(refusal(bytes(damaged)))
    assert 0 < turned.count(None) < 1000
    assert "" not in (*cut, *turned)


def refusal(data: bytes) -> str | None:
    """The sentence in which bytes are refused; None if they are a component."""
    try:
        parse(data)
    except WasmFormatError as error:
        return str(error)
    return None
