"""What a call of WASI 0.2 costs a component: wasilab traced and untraced, and Wasmtime's own host.

`python -m tests.bench.components` prints the table. The guest measures itself with its monotonic clock: of the
batches of a round the quickest counts, over rounds in which the hosts take turns. A write costs what the operating
system takes for it and what we add, so the table has sinks without a system call, and the system call alone. Nothing
here asserts a time.
"""

from __future__ import annotations

import os
import sys
import tempfile
import timeit
from collections.abc import Callable
from functools import partial
from pathlib import Path

import wasmtime
from wasmtime import component as wasmtime_component

from wasilab.capabilities.host.hostdir import HostDir
from wasilab.capabilities.memory.memdir import MemDir
from wasilab.capabilities.protocols import Directory
from wasilab.capabilities.streams import CollectedOutput
from wasilab.engine.output import Output
from wasilab.trace.record.recorder import Recorder

from ..components.running import Running

BATCH, BATCHES, WIDTH = 1000, 30, 34
SHORT = 3
"""Batches of output, which is kept: each byte is new memory."""
_ERRORS = (
    "access would-block already bad-descriptor busy deadlock quota exist file-too-large illegal-byte-sequence "
    "in-progress interrupted invalid io is-directory loop too-many-links message-size name-too-long no-device no-entry "
    "no-lock insufficient-memory insufficient-space not-directory not-empty not-recoverable unsupported no-tty "
    "no-such-device overflow not-permitted pipe read-only invalid-seek text-file-busy cross-device"
)
_TYPES = "unknown block-device character-device directory fifo symbolic-link regular-file socket"


def _words(text: str) -> str:
    return " ".join(f'"{word}"' for word in text.split())


CALLS = {
    # name: (export, the guest's lines)
    "monotonic-clock.now": ("now", "(drop (call $now))"),
    "descriptor.get-type (borrow)": ("get-type", "(call $get-type (local.get $file) (i32.const 64))"),
    "descriptor.stat": ("stat", "(call $stat (local.get $file) (i32.const 64))"),
    "descriptor.read, 64 bytes": ("read", "(call $read (local.get $file) (i64.const 64) (i64.const 0) (i32.const 64))"),
    "descriptor.read, 4 KiB": (
        "read-4k", "(call $read (local.get $file) (i64.const 4096) (i64.const 0) (i32.const 64))",
    ),
    "descriptor.write, 4 KiB": (
        "write", "(call $write (local.get $file) (i32.const 4096) (i32.const 4096) (i64.const 0) (i32.const 64))",
    ),
    "write 4 KiB to collected stdout": ("print", "(call $print (local.get $out) (i32.const 4096) (i32.const 4096) "
        "(i32.const 64))",
    ),
    "open-at and drop": (
        "open",
        "(call $open-at (local.get $dir) (i32.const 1) (i32.const 32) (i32.const 4) (i32.const 0) (i32.const 1) "
        "(i32.const 64)) (call $drop (i32.load (i32.const 68)))",
    ),
}  # fmt: skip

GUEST = f"""(component
  (import "wasi:io/error@0.2.0" (instance $errors (export "error" (type (sub resource)))))
  (alias export $errors "error" (type $io-error))
  (import "wasi:io/streams@0.2.0" (instance $io
    (export "output-stream" (type $out (sub resource)))
    (alias outer 1 $io-error (type $e0)) (export "error" (type $e (eq $e0)))
    (type $s0 (variant (case "last-operation-failed" (own $e)) (case "closed")))
    (export "stream-error" (type $s (eq $s0)))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $out)) (param "contents" (list u8)) (result (result (error $s)))))))
  (alias export $io "output-stream" (type $output-stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $output-stream (type $o0)) (export "output-stream" (type $o (eq $o0)))
    (export "get-stdout" (func (result (own $o))))))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock (export "now" (func (result u64)))))
  (import "wasi:clocks/wall-clock@0.2.0" (instance $wall
    (type $d (record (field "seconds" u64) (field "nanoseconds" u32))) (export "datetime" (type (eq $d)))))
  (alias export $wall "datetime" (type $datetime))
  (import "wasi:filesystem/types@0.2.0" (instance $fs
    (alias outer 1 $datetime (type $t0)) (export "datetime" (type $time (eq $t0)))
    (export "descriptor" (type $d (sub resource)))
    (type $e0 (enum {_words(_ERRORS)})) (export "error-code" (type $e (eq $e0)))
    (type $k0 (enum {_words(_TYPES)})) (export "descriptor-type" (type $kind (eq $k0)))
    (type $p0 (flags "symlink-follow")) (export "path-flags" (type $p (eq $p0)))
    (type $o0 (flags "create" "directory" "exclusive" "truncate")) (export "open-flags" (type $o (eq $o0)))
    (type $f0 (flags "read" "write" "file-integrity-sync" "data-integrity-sync" "requested-write-sync"
      "mutate-directory")) (export "descriptor-flags" (type $f (eq $f0)))
    (type $s0 (record (field "type" $kind) (field "link-count" u64) (field "size" u64)
      (field "data-access-timestamp" (option $time)) (field "data-modification-timestamp" (option $time))
      (field "status-change-timestamp" (option $time)))) (export "descriptor-stat" (type $s (eq $s0)))
    (export "[method]descriptor.get-type" (func (param "self" (borrow $d)) (result (result $kind (error $e)))))
    (export "[method]descriptor.stat" (func (param "self" (borrow $d)) (result (result $s (error $e)))))
    (export "[method]descriptor.read" (func (param "self" (borrow $d)) (param "length" u64) (param "offset" u64)
      (result (result (tuple (list u8) bool) (error $e)))))
    (export "[method]descriptor.write" (func (param "self" (borrow $d)) (param "buffer" (list u8))
      (param "offset" u64) (result (result u64 (error $e)))))
    (export "[method]descriptor.open-at" (func (param "self" (borrow $d)) (param "path-flags" $p)
      (param "path" string) (param "open-flags" $o) (param "flags" $f) (result (result (own $d) (error $e)))))))
  (alias export $fs "descriptor" (type $descriptor))
  (import "wasi:filesystem/preopens@0.2.0" (instance $pre
    (alias outer 1 $descriptor (type $d0)) (export "descriptor" (type $d (eq $d0)))
    (export "get-directories" (func (result (list (tuple (own $d) string)))))))
  (core module $memory
    (memory (export "memory") 2)
    (data (i32.const 32) "file")
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (select (i32.const 32768) (i32.const 16384) (i32.eq (local.get 2) (i32.const 1)))))
  (core instance $m (instantiate $memory))
  (alias core export $m "memory" (core memory $mem))
  (alias core export $m "realloc" (core func $realloc))
  (core func $now (canon lower (func $clock "now")))
  (core func $dirs (canon lower (func $pre "get-directories") (memory $mem) (realloc $realloc)))
  (core func $get-type (canon lower (func $fs "[method]descriptor.get-type") (memory $mem)))
  (core func $stat (canon lower (func $fs "[method]descriptor.stat") (memory $mem)))
  (core func $read (canon lower (func $fs "[method]descriptor.read") (memory $mem) (realloc $realloc)))
  (core func $write (canon lower (func $fs "[method]descriptor.write") (memory $mem)))
  (core func $open-at (canon lower (func $fs "[method]descriptor.open-at") (memory $mem)))
  (core func $drop (canon resource.drop $descriptor))
  (core func $get-stdout (canon lower (func $stdout "get-stdout")))
  (core func $print (canon lower (func $io "[method]output-stream.blocking-write-and-flush") (memory $mem)))
  (core module $main
    (import "m" "memory" (memory 1))
    (import "" "now" (func $now (result i64)))
    (import "" "dirs" (func $dirs (param i32)))
    (import "" "get-type" (func $get-type (param i32 i32)))
    (import "" "stat" (func $stat (param i32 i32)))
    (import "" "read" (func $read (param i32 i64 i64 i32)))
    (import "" "write" (func $write (param i32 i32 i32 i64 i32)))
    (import "" "open-at" (func $open-at (param i32 i32 i32 i32 i32 i32 i32)))
    (import "" "drop" (func $drop (param i32)))
    (import "" "get-stdout" (func $get-stdout (result i32)))
    (import "" "print" (func $print (param i32 i32 i32 i32)))
    (global $dir (mut i32) (i32.const 0)) (global $file (mut i32) (i32.const 0))
    (global $out (mut i32) (i32.const 0))
    (func (export "start")
      (call $dirs (i32.const 64))
      (global.set $dir (i32.load (i32.load (i32.const 64))))
      (call $open-at (global.get $dir) (i32.const 1) (i32.const 32) (i32.const 4) (i32.const 0) (i32.const 3)
        (i32.const 64))
      (if (i32.load8_u (i32.const 64)) (then unreachable))
      (global.set $file (i32.load (i32.const 68))))
    (func (export "get-out") (global.set $out (call $get-stdout)))
    {
    "".join(
        f'''(func (export "{export}") (result i64)
      (local $i i32) (local $n i32) (local $t i64) (local $best i64) (local $file i32) (local $dir i32) (local $out i32)
      (local.set $out (global.get $out))
      (local.set $file (global.get $file)) (local.set $dir (global.get $dir)) (local.set $best (i64.const -1))
      (loop $batches
        (local.set $t (call $now)) (local.set $i (i32.const 0))
        (loop $calls {body}
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $calls (i32.lt_u (local.get $i) (i32.const {BATCH}))))
        (local.set $t (i64.sub (call $now) (local.get $t)))
        (if (i64.lt_u (local.get $t) (local.get $best)) (then (local.set $best (local.get $t))))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $batches (i32.lt_u (local.get $n) (i32.const {SHORT if export == "print" else BATCHES}))))
      (if (i32.load8_u (i32.const 64)) (then unreachable))
      (local.get $best))
    '''
        for export, body in CALLS.values()
    )
})
  (core instance $i (instantiate $main (with "m" (instance $m)) (with "" (instance
    (export "now" (func $now)) (export "dirs" (func $dirs)) (export "get-type" (func $get-type))
    (export "stat" (func $stat)) (export "read" (func $read)) (export "write" (func $write))
    (export "open-at" (func $open-at)) (export "drop" (func $drop))
    (export "get-stdout" (func $get-stdout)) (export "print" (func $print))))))
  (func (export "start") (canon lift (core func $i "start")))
  (func (export "get-out") (canon lift (core func $i "get-out")))
  {"".join(f'(func (export "{e}") (result u64) (canon lift (core func $i "{e}")))' for e, _ in CALLS.values())})"""

Calls = Callable[[str], int]


def ours(folder: Directory, *, traced: bool) -> Calls:
    """Under wasilab, over a folder with `file`."""
    recorder = Recorder(budget_bytes=64 << 20) if traced else None
    outputs: list[Output] = []
    stdout = CollectedOutput(lambda data: outputs[-1].keep(1, data))
    running = Running(GUEST, recorder=recorder, preopens={"/": folder}, stdout=stdout)
    running.call("start")
    running.call("get-out")

    def call(name: str) -> int:
        outputs[:] = [Output(1 << 30)]
        return int(running.call(name))

    return call


def wasmtimes(folder: Path) -> Calls:
    """Under the WASI 0.2 that comes with wasmtime-py. Its stdout is /dev/null."""
    config = wasmtime.Config()
    config.wasm_component_model = True
    engine = wasmtime.Engine(config)
    linker = wasmtime_component.Linker(engine)
    linker.add_wasip2()
    store = wasmtime.Store(engine)
    wasi = wasmtime.WasiConfig()
    wasi.preopen_dir(str(folder), "/")
    wasi.stdout_file = os.devnull
    store.set_wasi(wasi)
    instance = linker.instantiate(store, wasmtime_component.Component(engine, wasmtime.wat2wasm(GUEST)))

    def call(name: str) -> int:
        function = instance.get_func(store, name)
        assert function is not None
        found = function(store)
        return int(found or 0)

    call("start")
    call("get-out")
    return call


def system_call(folder: Path) -> float:
    """ns of an `os.pwrite` of 4 KiB to the same file, called by Python and by nothing else."""
    fd = os.open(folder / "file", os.O_RDWR)
    try:
        return min(timeit.repeat(partial(os.pwrite, fd, b"x" * 4096, 0), number=BATCH, repeat=BATCHES)) / BATCH * 1e9
    finally:
        os.close(fd)


def table(rounds: int = 5) -> list[str]:
    """The lines of the table: ns per call, and the ratio to Wasmtime's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "file").write_bytes(b"x" * 8192)
        disk, memory = (
            {"traced": ours(make(), traced=True), "untraced": ours(make(), traced=False)}
            for make in (lambda: HostDir(name, mode="rw"), lambda: MemDir({"file": b"x" * 8192}))
        )
        hosts = {**disk, "Wasmtime": wasmtimes(folder)}
        lines = [f"{'ns per call':<{WIDTH}}" + "".join(f"{host:>10}" for host in hosts) + "  traced/Wasmtime's"]
        for title, (export, _) in CALLS.items():
            lines.append(_line(title, _best(hosts, export, rounds)))
            if export == "write":
                lines.append(_line("  the same into memory (MemDir)", _best(memory, export, rounds)))
                alone = min(system_call(folder) for _ in range(rounds))
                lines.append(_line("  os.pwrite of 4 KiB alone", {"untraced": alone}))
    return lines


def _best(hosts: dict[str, Calls], export: str, rounds: int) -> dict[str, float]:
    """The quickest ns per call under each host."""
    found: dict[str, list[float]] = {host: [] for host in hosts}
    for _ in range(rounds):
        for host, call in hosts.items():
            found[host].append(call(export) / BATCH)
    return {host: min(times) for host, times in found.items()}


def _line(title: str, found: dict[str, float]) -> str:
    cells = (f"{found[host]:>10,.0f}" if host in found else f"{'':>10}" for host in ("traced", "untraced", "Wasmtime"))
    ratio = f"{found['traced'] / found['Wasmtime']:>10.2f}" if "Wasmtime" in found else ""
    return f"{title:<{WIDTH}}" + "".join(cells) + ratio


if __name__ == "__main__":
    print("\n".join(table(int(sys.argv[1]) if len(sys.argv) > 1 else 5)))
