"""Components for tests out of a core module in WAT and the interfaces that wasilab declares, made by wasm-tools."""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest
import wasmtime

from wasilab.toolchains.wasm_tools.adapt import INSTALL_TOOLS, adaptation
from wasilab.wasi.components.catalogue import INTERFACES
from wasilab.wasi.components.wit.wit_packages import command_wit

REALLOC = """
  (memory (export "memory") 4)
  (global $free (mut i32) (i32.const 65536))
  (func (export "cabi_realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32) (result i32)
    (global.set $free (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.get $free) (global.set $free (i32.add (global.get $free) (local.get $new))))
"""
"""A memory, and an allocator that gives nothing back."""


@cache
def command(core: str) -> bytes:
    """A command: `core` is the inside of its module, with the function `$run` (0: ok, 1: error); imports are named
    "wasi:random/random" without a version. Skips the test where there is no wasm-tools."""
    tools = adaptation().tools
    if tools is None:
        pytest.skip(INSTALL_TOOLS)
    text = core.replace('@V"', '@0.2.12"')
    module = f'(module {text} {REALLOC} (export "wasi:cli/run@0.2.12#run" (func $run)))'
    with tempfile.TemporaryDirectory() as folder:
        plain, wit, made = (Path(folder, name) for name in ("core.wasm", "world.wit", "made.wasm"))
        plain.write_bytes(bytes(wasmtime.wat2wasm(module)))
        wit.write_text(command_wit(INTERFACES))
        for arguments in (
            ["embed", str(wit), "--world", "command", str(plain), "-o", str(plain)],
            ["new", str(plain), "-o", str(made)],
        ):
            done = subprocess.run(
                [*tools.argv, "component", *arguments], capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
        return made.read_bytes()


CONNECTS = """
  (import "wasi:sockets/instance-network@V" "instance-network" (func $net (result i32)))
  (import "wasi:sockets/tcp-create-socket@V" "create-tcp-socket" (func $make (param i32 i32)))
  (import "wasi:sockets/tcp@V" "[method]tcp-socket.start-connect"
    (func $connect (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (func $run (result i32)
    (call $make (i32.const 0) (i32.const 16))
    (call $connect (i32.load (i32.const 20)) (call $net)
      (i32.const 0) (i32.const 9) (i32.const 127) (i32.const 0) (i32.const 0) (i32.const 1)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 32))
    (i32.and (i32.load8_u (i32.const 32)) (i32.eq (i32.load8_u (i32.const 33)) (i32.const 1))))
"""
"""Connects to 127.0.0.1:9; an error is that it may not."""

RESOLVES = """
  (import "wasi:sockets/instance-network@V" "instance-network" (func $net (result i32)))
  (import "wasi:sockets/ip-name-lookup@V" "resolve-addresses" (func $look (param i32 i32 i32 i32)))
  (data (i32.const 64) "localhost")
  (func $run (result i32)
    (call $look (call $net) (i32.const 64) (i32.const 9) (i32.const 16))
    (i32.load8_u (i32.const 16)))
"""
"""Looks localhost up; an error is that it may not."""


def requests(authority: str, *, scheme: int = 0, path: str = "/") -> str:
    """A program that sends one GET and copies the response's body to stdout; an error is a refusal or a failure."""
    return f"""
  (import "wasi:http/types@V" "[constructor]fields" (func $fields (result i32)))
  (import "wasi:http/types@V" "[constructor]outgoing-request" (func $request (param i32) (result i32)))
  (import "wasi:http/types@V" "[method]outgoing-request.set-authority"
    (func $authority (param i32 i32 i32 i32) (result i32)))
  (import "wasi:http/types@V" "[method]outgoing-request.set-path-with-query"
    (func $path (param i32 i32 i32 i32) (result i32)))
  (import "wasi:http/types@V" "[method]outgoing-request.set-scheme"
    (func $scheme (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi:http/outgoing-handler@V" "handle" (func $handle (param i32 i32 i32 i32)))
  (import "wasi:http/types@V" "[method]future-incoming-response.subscribe" (func $subscribe (param i32) (result i32)))
  (import "wasi:http/types@V" "[method]future-incoming-response.get" (func $get (param i32 i32)))
  (import "wasi:http/types@V" "[method]incoming-response.consume" (func $consume (param i32 i32)))
  (import "wasi:http/types@V" "[method]incoming-body.stream" (func $stream (param i32 i32)))
  (import "wasi:io/poll@V" "[method]pollable.block" (func $block (param i32)))
  (import "wasi:io/streams@V" "[method]output-stream.blocking-splice" (func $splice (param i32 i32 i64 i32)))
  (import "wasi:cli/stdout@V" "get-stdout" (func $stdout (result i32)))
  (data (i32.const 64) "{authority}") (data (i32.const 512) "{path}")
  (func $run (result i32) (local $request i32) (local $future i32) (local $out i32)
    (local.set $request (call $request (call $fields)))
    (drop (call $authority (local.get $request) (i32.const 1) (i32.const 64) (i32.const {len(authority)})))
    (drop (call $path (local.get $request) (i32.const 1) (i32.const 512) (i32.const {len(path)})))
    (drop (call $scheme (local.get $request) (i32.const 1) (i32.const {scheme}) (i32.const 0) (i32.const 0)))
    (call $handle (local.get $request) (i32.const 0) (i32.const 0) (i32.const 1024))
    (if (i32.load8_u (i32.const 1024)) (then (return (i32.const 1))))
    (local.set $future (i32.load (i32.const 1032)))
    (call $block (call $subscribe (local.get $future)))
    (call $get (local.get $future) (i32.const 2048))
    (if (i32.load8_u (i32.const 2064)) (then (return (i32.const 1))))
    (call $consume (i32.load (i32.const 2072)) (i32.const 16))
    (call $stream (i32.load (i32.const 20)) (i32.const 32))
    (local.set $out (call $stdout))
    (loop $more
      (call $splice (local.get $out) (i32.load (i32.const 36)) (i64.const 1000) (i32.const 48))
      (br_if $more (i32.eqz (i32.load8_u (i32.const 48)))))
    (i32.ne (i32.load8_u (i32.const 56)) (i32.const 1)))
"""
