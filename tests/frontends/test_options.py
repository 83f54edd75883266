"""Every option of the command line does what its help says: a run with it and one without it differ in just that.

Two lines for each option: with it, the answer (status, stdout, stderr, the files then in the folder) has a mark that it
lacks without it. An option without such a pair fails the first test.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from wasilab.cli import main
from wasilab.commands.catalog import command_names
from wasilab.commands.line.grammar import build
from wasilab.engine.session import why_not_native
from wasilab.toolchains.diagnostics import ToolchainMissing
from wasilab.toolchains.registry import toolchain_for
from wasilab.toolchains.wasm_tools.adapt import adaptation

from ..components import making
from . import programs


def errno_of(call: str, types: str, arguments: str) -> str:
    """A program whose exit status is the errno of one call."""
    return (
        f'(module (import "wasi_snapshot_preview1" "{call}" (func $call (param {types}) (result i32)))'
        ' (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32))) (memory (export "memory") 1)'
        f' (func (export "_start") (call $exit (call $call {arguments}))))'
    )


def value_of(call: str, types: str, arguments: str) -> str:
    """A program whose exit status is the byte that one call leaves at 64 (200: the call failed)."""
    found = "(if (call $call ARGUMENTS) (then (call $exit (i32.const 200)))) (call $exit (i32.load8_u (i32.const 64)))"
    whole = errno_of(call, types, arguments)
    return whole.replace(f"(call $exit (call $call {arguments}))", found.replace("ARGUMENTS", arguments))


WRITES = '(module (memory (export "memory") 1) (func (export "_start")))'
LOOPS, LOCALS = 400, 100
CHANGES = "".join(f"(local.set {n} (i32.add (local.get {n}) (local.get {(n + 1) % LOCALS})))" for n in range(LOCALS))
NESTED = (
    f'(module (memory (export "memory") 1) (func (export "_start") (local {"i32 " * LOCALS})'
    f' {"(loop " * LOOPS}{CHANGES}{" (br_if 0 (local.get 0)))" * LOOPS}))'
)
"""More than a moment to compile."""
PASSES = '(assert_invalid (module (func (result i32))) "no value")'
TAKES_GC = "(module (type (struct)))"
TWO = "(i32.const 64) (i32.const 80)"
FILES = {
    "hello.wat": programs.HELLO,
    "hello.txt": programs.HELLO,
    "a.ipynb": '{"cells": []}',
    "echo.wat": programs.ECHO,
    "open.wat": programs.OPEN_SECRET,
    "loop.wat": programs.LOOP,
    "lines.wat": programs.LINES_50000,
    "add.wat": programs.ADD,
    "grow.wat": '(module (memory (export "memory") 1) (func (export "grow") (result i32) (memory.grow (i32.const 1))))',
    "secret.txt": "told\n",
    "argc.wat": value_of("args_sizes_get", "i32 i32", TWO),
    "vars.wat": value_of("environ_sizes_get", "i32 i32", TWO),
    "clock.wat": value_of("clock_time_get", "i32 i64 i32", "(i32.const 0) (i64.const 0) (i32.const 64)"),
    "random.wat": value_of("random_get", "i32 i32", "(i32.const 64) (i32.const 0)"),
    "third.wat": errno_of("fd_fdstat_get", "i32 i32", "(i32.const 3) (i32.const 64)"),
    "mkdir.wat": errno_of("path_create_directory", "i32 i32 i32", "(i32.const 3) (i32.const 0) (i32.const 1)")
    .replace('(memory (export "memory") 1)', '(memory (export "memory") 1) (data (i32.const 0) "d")'),
    "big.wat": '(module (memory (export "memory") 32) (table 1000 funcref) (func (export "_start")))',
    "lib.wat": '(module (func (export "seven") (result i32) (i32.const 7)))',
    "links.wat": '(module (import "lib" "seven" (func $seven (result i32))) (func (export "go") (result i32)'
    " (call $seven)))",
    "trap.wat": programs.TRAP,
    "lost.wat": '(module (import "env" "f" (func)) (func (export "seven") (result i32) (i32.const 7)))',
    "argv0.wat": value_of("args_sizes_get", "i32 i32", "(i32.const 60) (i32.const 64)"),
    "nan.wat": '(module (func (export "nan") (param f64) (result f64) (f64.add (local.get 0) (f64.const 1))))',
    "deep.wat": '(module (func $down (export "down") (param i32) (result i32) (if (result i32) (local.get 0) (then'
    " (i32.add (i32.const 1) (call $down (i32.sub (local.get 0) (i32.const 1))))) (else (i32.const 0)))))",
    "faults.toml": "inject = ['fd_write:error=EIO']\n",
    "sweep.toml": "program = 'random.wat'\n[over]\nseed = [1, 2]\n",
    "nested.wat": NESTED,
    "structs.wat": '(module (type $pair (struct (field i32))) (memory (export "memory") 1) (func (export "_start")))',
    "writes.wat": WRITES,
    "writes.txt": WRITES,
    "policy.toml": '[env]\nCOLOUR = "red"\n',
    "warns.c": "int main(void) { int unused; return 0; }\n",
    "opens.c": '#include <stdio.h>\nint main(void) { return fopen("x", "r") != NULL; }\n',
    "add.c": '__attribute__((export_name("add"))) int add(int a, int b) { return a + b; }\n',
    "getpid.c": "#include <unistd.h>\nint main(void) { return getpid() > 0 ? 7 : 1; }\n",
}
TRACE = "run --dir . --stacks --trace t.wtrace open.wat; "
BENCH = "bench clock_time_get --rounds 1"
RECORDED = "run --record r.wtrace hello.wat >n; "
A_NOTEBOOK = "inspect a.ipynb >n; "  # so that the file is there
UNOPENED = "run --record r.wtrace open.wat >n; "
BOTH = "run --trace t.wtrace hello.wat; "
ECHOED = (
    "run --stdin-text one --trace t.wtrace echo.wat >n; run --stdin-text two --trace u.wtrace echo.wat >n; "
)
REFUSED = "run --trace t.wtrace open.wat; "
LISTENED = r"listening on 127\.0\.0\.1:\d+"

AFTER_5000_LINES = r"\A(a line\n)*+(.*\n){5000,}?0\.0000\d+ fd_write"
"""Times of 0.1 ms or less: each of 5,000 calls takes more than 20 ns, so that only relative times are so small."""
# command and option: (the line with it, the line without it, the mark; "!": what only the line without it has)
CASES = {
    "run --lang": ("run --lang wat hello.txt", "run hello.txt", "hello\n"),
    "run --dir": ("run --dir . open.wat", "run open.wat", "status 0"),
    "run --mem": ("run --mem /tmp third.wat", "run third.wat", "status 0"),
    "run --env": ("run --env A=1 --env B=2 vars.wat", "run vars.wat", "status 2"),
    "run --stdin": ("run --stdin secret.txt echo.wat", "run echo.wat", "told"),
    "run --stdin-text": ("run --stdin-text typed echo.wat", "run echo.wat", "typed"),
    "run --clock": ("run --clock frozen:7 clock.wat", "run --clock none clock.wat", "status 7"),
    "run --random": ("run --random seeded:1 random.wat", "run --random none random.wat", "status 0"),
    "run --listen": ("run --listen 127.0.0.1:0 third.wat", "run third.wat", f"(?s){LISTENED}.*status 0"),
    "run --connect": ("run --connect 127.0.0.1:9 connects.wasm", "run connects.wasm", "status 0"),
    "run --resolve": ("run --resolve localhost resolves.wasm", "run resolves.wasm", "status 0"),
    "run --http": (
        "run --explain --http http://127.0.0.1:1 asks.wasm", "run --explain asks.wasm", "!no request may be sent",
    ),
    "run --argv": ("run --deny-all --argv argc.wat x y", "run --deny-all argc.wat x y", "status 3"),
    "run --no-argv": ("run --no-argv argc.wat x y", "run argc.wat x y", "status 0"),
    "run --stdout": ("run --deny-all --stdout hello.wat", "run --deny-all hello.wat", "hello\n"),
    "run --no-stdout": ("run --no-stdout hello.wat", "run hello.wat", "!hello\n"),
    "run --stderr": ("run --deny-all --stderr hello.wat", "run --deny-all hello.wat", "oops"),
    "run --no-stderr": ("run --no-stderr hello.wat", "run hello.wat", "!oops"),
    "run --policy": ("run --policy policy.toml vars.wat", "run vars.wat", "status 1"),
    "run --deny-all": ("run --deny-all hello.wat", "run hello.wat", "!hello\n"),
    "run --rights": ("run --rights compat --dir . mkdir.wat", "run --dir . mkdir.wat", "!status 76"),
    "run --withhold": ("run --dir . --withhold .:path_open open.wat", "run --dir . open.wat", "status 76"),
    "run --ask": ("run --explain --ask open.wat", "run --explain open.wat", "cannot be asked"),
    "run --no-ask": ("run --explain --ask --no-ask open.wat", "run --explain --ask open.wat", "!cannot be asked"),
    "run --writable-code": ("run --dir .:rw --writable-code hello.wat", "run --dir .:rw hello.wat", "hello\n"),
    "run --no-writable-code": (
        "run --dir .:rw --writable-code --no-writable-code hello.wat",
        "run --dir .:rw --writable-code hello.wat",
        "status 2",
    ),
    "run --fuel": ("run --fuel 1000 loop.wat", "run hello.wat", "status 137"),
    "run --timeout": ("run --timeout 0.2 loop.wat", "run hello.wat", "status 137"),
    "run --max-memory": ("run --max-memory 1m big.wat", "run big.wat", "status 137"),
    "run --max-fds": ("run --max-fds 4 --mem /a --mem /b third.wat", "run --mem /a --mem /b third.wat", "status 2"),
    "run --max-names": (
        "run --dir deep:rw --max-names 0 mkdir.wat", "run --dir deep:rw mkdir.wat", "status 51",
    ),
    "run --max-written": ("run --max-written 3 hello.wat", "run hello.wat", "!hello\n"),
    "run --max-output": ("run --max-output 3 hello.wat", "run hello.wat", "!hello\n"),
    "run --max-trace": ("run --max-trace 1m -c lines.wat", "run -c lines.wat", "!50,000"),
    "run --max-io": ("run --max-io 3 hello.wat", "run hello.wat", "!hello\n"),
    "run --max-table": ("run --max-table 10 big.wat", "run big.wat", "!status 0"),
    "run --max-compile-time": ("run --no-cache --max-compile-time 0.01 nested.wat", "run hello.wat", "status 137"),
    "run --max-compile-memory": ("run --no-cache --max-compile-memory 1m nested.wat", "run hello.wat", "status 137"),
    "run --feature": ("run --feature gc structs.wat", "run structs.wat", "status 0"),
    "run --max-instances": (
        "run --max-instances 1 --link lib.wat --invoke go links.wat",
        "run --link lib.wat --invoke go links.wat",
        "!status 0",
    ),
    "run --invoke": ("run --invoke add add.wat 40 2", "run add.wat 40 2", "^42$"),
    "run --mapdir": ("run --mapdir /d::. third.wat", "run third.wat", "status 0"),
    "run --argv0": ("run --argv0 longer-than-before argv0.wat", "run argv0.wat", "status 19"),
    "run --unknown-imports": (
        "run --unknown-imports trap --invoke seven lost.wat", "run --invoke seven lost.wat", "7\n",
    ),
    "run -O": ("run -O size --time hello.wat", "run --time hello.wat", "optimised for size"),
    "run --debug-info": ("run --debug-info --time hello.wat", "run --time hello.wat", "with debug information"),
    "run --cache": ("run --no-cache --cache --time hello.wat", "run --no-cache --time hello.wat", "!not cached"),
    "run --no-cache": ("run --no-cache --time hello.wat", "run --time hello.wat", "not cached"),
    "run --nan-canonical": (
        "run --nan-canonical --invoke nan nan.wat nan:0x8000000001234", "run --invoke nan nan.wat nan:0x8000000001234",
        "^nan\n",
    ),
    "run --max-stack": (
        "run --max-stack 16k --invoke down deep.wat 9000", "run --invoke down deep.wat 9000", "stack is exhausted"
    ),
    "run --trap-on-grow-failure": (
        "run --trap-on-grow-failure --max-memory 64k --invoke grow grow.wat",
        "run --max-memory 64k --invoke grow grow.wat",
        "could not grow a memory",
    ),
    "run --coredump": ("run --coredump core.wasm trap.wat", "run trap.wat", r"files .*\bcore\.wasm"),
    "run --profile": ("run --profile guest=p.json hello.wat", "run hello.wat", r"files .*\bp\.json"),
    "settings --json": ("settings --json", "settings", '"optimize": {'),
    "run --preload": ("run --preload lib=lib.wat --invoke go links.wat", "run --invoke go links.wat", "7\n"),
    "run --link": ("run --link lib.wat --invoke go links.wat", "run --invoke go links.wat", "7\n"),
    "run --repeat": ("run --repeat 3 hello.wat", "run hello.wat", "3 runs"),
    "run --learn": ("run --learn open.wat", "run open.wat", r"--dir \."),
    "run --time": ("run --time hello.wat", "run hello.wat", "time: .* running"),
    "run --no-native": ("run --time --no-native lines.wat", "run --time lines.wat", "every call answered in Python"),
    "run --isolate": (
        "run --isolate --connect 127.0.0.1:9 connects.wasm", "run --connect 127.0.0.1:9 connects.wasm",
        "an isolated run has no network",
    ),
    "run --isolation": (
        "run --isolation strict --connect 127.0.0.1:9 connects.wasm", "run --connect 127.0.0.1:9 connects.wasm",
        "an isolated run has no network",
    ),
    "run --strace": ("run --strace hello.wat", "run hello.wat", "fd_write\\("),
    "run --strace-file": ("run --strace-file s.txt hello.wat", "run hello.wat", r"files .*\bs\.txt"),
    "run --trace": ("run --trace t.jsonl hello.wat", "run hello.wat", r"files .*\bt\.jsonl"),
    "run --no-trace": ("run --no-trace --repeat 2 hello.wat", "run --repeat 2 hello.wat", "calls 0 each"),
    "run --snaplen": ("run --snaplen 1 --strace hello.wat", "run --strace hello.wat", r'"h"\.\.\.'),
    "run --stacks": ("run --stacks --strace hello.wat", "run --strace hello.wat", r"> .*\n.*_start|hello\.wat.*func"),
    "run --no-stacks": (
        "run --stacks --no-stacks --strace hello.wat",
        "run --stacks --strace hello.wat",
        r"!> .*\n.*_start|hello\.wat.*func",
    ),
    "run -e": ("run -e path hello.wat", "run --strace hello.wat", "!fd_write\\("),
    "run --filter": ("run --filter fd=2 hello.wat", "run --strace hello.wat", "!fd=1"),
    "run -P": ("run -P '<stderr>' hello.wat", "run --strace hello.wat", "!fd=1"),
    "run -z": ("run -z open.wat", "run --strace open.wat", "!EBADF"),
    "run -Z": ("run -Z open.wat", "run --strace open.wat", "!proc_exit"),
    "run -r": ("run -r --strace lines.wat", "run --strace lines.wat", AFTER_5000_LINES),
    "run -c": ("run -c hello.wat", "run hello.wat", "% time"),
    "run --explain": ("run --explain open.wat", "run open.wat", "refused: .*\n  to allow it: --dir"),
    "run --no-explain": ("run --explain --no-explain open.wat", "run --explain open.wat", "!refused: "),
    "run --apply": ("run --apply --dir .:copy mkdir.wat", "run --dir .:copy mkdir.wat", r"files .*\bd\b"),
    "run --quiet": ("run --quiet warns.c", "run warns.c", "!unused"),
    "compile -o": ("compile hello.wat -o x.wasm", "compile hello.wat", r"files .*\bx\.wasm"),
    "compile --lang": ("compile --lang wat hello.txt", "compile hello.txt", "status 0"),
    "compile --quiet": ("compile --quiet hello.wat", "compile hello.wat", "!hello.wasm: "),
    "compile --reactor": ("compile --reactor add.c", "compile add.c", "add.wasm: .* reactor"),
    "compile --component": ("compile --component warns.c", "compile warns.c", "warns.wasm: .* component"),
    "adapt -o": ("adapt writes.wat -o named.wasm", "adapt writes.wat", r"files .*\bnamed\.wasm"),
    "adapt --lang": ("adapt --lang wat writes.txt", "adapt writes.txt", "writes.component.wasm: .* component"),
    "adapt --quiet": ("adapt --quiet writes.wat", "adapt writes.wat", "!writes.component.wasm: "),
    "compile --aot": ("compile --aot hello.wat; run hello.cwasm", "compile hello.wat", r"cwasm: .* machine code"),
    "compile -O": (
        "compile --aot -O size hello.wat; inspect hello.cwasm", "compile --aot hello.wat; inspect hello.cwasm",
        "optimisation size",
    ),
    "compile --debug-info": (
        "compile --aot --debug-info hello.wat; inspect hello.cwasm", "compile --aot hello.wat; inspect hello.cwasm",
        "settings  debug-info",
    ),
    "compile --nan-canonical": (
        "compile --aot --nan-canonical hello.wat; inspect hello.cwasm", "compile --aot hello.wat; inspect hello.cwasm",
        "canonical NaNs",
    ),
    "compile --for-fuel": (
        "compile --aot --for-fuel hello.wat; run --fuel 1000 hello.cwasm",
        "compile --aot hello.wat; run --fuel 1000 hello.cwasm", r"^hello\n",
    ),
    "compile --feature": (
        "compile --aot --feature gc hello.wat; inspect hello.cwasm", "compile --aot hello.wat; inspect hello.cwasm",
        "!no gc",
    ),
    "compile --reports": (
        "compile --reports opens.c; inspect opens.wasm", "compile opens.c; inspect opens.wasm", "library_lookup",
    ),
    "compile --max-compile-time": (
        "compile --max-compile-time 1ms warns.c -- -DT", "compile warns.c", r"took longer than 0\.001 s; raise it with",
    ),
    "compile --max-compile-memory": (
        "compile --max-compile-memory 1m warns.c -- -DM", "compile warns.c", "may take 1m of memory; raise it with",
    ),
    "compile --emulate": (
        "compile --emulate getpid getpid.c -- -Wall; run getpid.wasm",
        "compile getpid.c; run getpid.wasm",
        "status 7$",
    ),
    "inspect --under": ("inspect --under '--no-stdout --no-stderr' hello.wat", "inspect hello.wat", "would be refused"),
    "inspect --json": ("inspect --json hello.wat", "inspect hello.wat", '"kind": "command"'),
    "inspect --lang": ("inspect --lang wat hello.txt", "inspect hello.txt", "status 0"),
    "explore -o": ("explore -o e.html hello.wat", "explore hello.wat", r"files .*\be\.html"),
    "explore --timeout": ("explore --timeout x hello.wat", "explore hello.wat", "number of seconds"),
    "explore --lang": ("explore --lang wat hello.txt", "explore hello.txt", "status 0"),
    "code --trace": (
        "run --stacks --trace t.wtrace hello.wat >n; code --trace t.wtrace hello.wat _start", "code hello.wat _start",
        "went through it",
    ),
    "code --lang": ("code --lang wat hello.txt _start", "code hello.txt _start", "status 0"),
    "memory --at": (RECORDED + "memory --at 0 r.wtrace", RECORDED + "memory r.wtrace", "after call 0"),
    "memory --before": (RECORDED + "memory --before r.wtrace", RECORDED + "memory r.wtrace", "before call 1"),
    "memory --from": (RECORDED + "memory --from 0x80 r.wtrace", RECORDED + "memory r.wtrace", "!^00000060 "),
    "memory --length": (RECORDED + "memory --length 2m r.wtrace", RECORDED + "memory r.wtrace", "cannot be shown"),
    "trace --filter": (BOTH + "trace --filter fd=2 t.wtrace", BOTH + "trace t.wtrace", "!fd=1"),
    "trace --head": (BOTH + "trace --head 1 t.wtrace", BOTH + "trace t.wtrace", "!fd=2"),
    "trace --tail": (BOTH + "trace --tail 1 t.wtrace", BOTH + "trace t.wtrace", "!fd=1"),
    "trace --times": (BOTH + "trace --times none t.wtrace", BOTH + "trace t.wtrace", "(?m)^fd_write"),
    "trace -e": (TRACE + "trace -e path t.wtrace", TRACE + "trace t.wtrace", "!proc_exit"),
    "trace -P": (BOTH + "trace -P '<stderr>' t.wtrace", BOTH + "trace t.wtrace", "!fd=1"),
    "trace -z": (REFUSED + "trace -z t.wtrace", REFUSED + "trace t.wtrace", "!EBADF"),
    "trace -Z": (REFUSED + "trace -Z t.wtrace", REFUSED + "trace t.wtrace", "!proc_exit"),
    "trace -r": (
        "run --trace t.wtrace lines.wat >n; trace -r --tail 9 t.wtrace",
        "run --trace t.wtrace lines.wat >n; trace --tail 9 t.wtrace",
        r"(?m)(^0\.0000\d+ fd_write.*\n){5}",
    ),
    "trace -T": (BOTH + "trace --no-durations -T t.wtrace", BOTH + "trace --no-durations t.wtrace", r"<0\.\d+>"),
    "trace --no-durations": (BOTH + "trace --no-durations t.wtrace", BOTH + "trace t.wtrace", r"!<0\.\d+>"),
    "trace -y": (BOTH + "trace --no-fd-paths -y t.wtrace", BOTH + "trace --no-fd-paths t.wtrace", "fd=1<stdout>"),
    "trace --no-fd-paths": (BOTH + "trace --no-fd-paths t.wtrace", BOTH + "trace t.wtrace", "!fd=1<stdout>"),
    "trace -s": (BOTH + "trace -s 2 t.wtrace", BOTH + "trace t.wtrace", r'"he"\.\.\.'),
    "trace -v": ("run --dir . --trace t.wtrace third.wat; trace -v t.wtrace",
                 "run --dir . --trace t.wtrace third.wat; trace t.wtrace", "PATH_READLINK"),
    "trace -k": (TRACE + "trace -k t.wtrace", TRACE + "trace t.wtrace", "_start"),
    "trace -c": (BOTH + "trace -c t.wtrace", BOTH + "trace t.wtrace", "% time"),
    "trace --fds": (BOTH + "trace --fds t.wtrace", BOTH + "trace t.wtrace", "opened by"),
    "trace --by-line": (BOTH + "trace --by-line t.wtrace", BOTH + "trace t.wtrace", "no line is known"),
    "trace --annotate": (BOTH + "trace --annotate t.wtrace", BOTH + "trace t.wtrace", r"1  .*\(module"),
    "trace --note": (BOTH + "trace --note 0=mine t.wtrace; trace t.wtrace", BOTH + "trace t.wtrace", "mine"),
    "trace --refused": (REFUSED + "trace --refused t.wtrace", REFUSED + "trace t.wtrace", "To allow it"),
    "trace --plot": (BOTH + "trace --plot p.svg t.wtrace", BOTH + "trace t.wtrace", r"files .*\bp\.svg"),
    "trace --export": (BOTH + "trace --export e.csv t.wtrace", BOTH + "trace t.wtrace", r"files .*\be\.csv"),
    "trace --sql": (BOTH + "trace --sql 'select 6*7 n from trace' t.wtrace", BOTH + "trace t.wtrace", "^ *42$"),
    "diff --ignore": (
        ECHOED + "diff --ignore data t.wtrace u.wtrace", ECHOED + "diff t.wtrace u.wtrace", "the same 4 calls",
    ),
    "diff --by": (
        ECHOED + "diff --by operation t.wtrace u.wtrace", ECHOED + "diff t.wtrace u.wtrace", "compared: operation",
    ),
    "diff -o": (
        ECHOED + "diff -o d.html t.wtrace u.wtrace", ECHOED + "diff t.wtrace u.wtrace", r"files .*\bd\.html"
    ),
    "plot -o": (BOTH + "plot -o p.svg t.wtrace counts", BOTH + "plot t.wtrace counts", r"files .*\bp\.svg"),
    "advise -o": (BOTH + "advise -o p.toml t.wtrace", BOTH + "advise t.wtrace", r"files .*\bp\.toml"),
    "advise --as": (BOTH + "advise --as python t.wtrace", BOTH + "advise t.wtrace", "Grants"),
    "advise --narrow": (
        "run --dir {deep}::/d --trace t.wtrace reads.wat; advise --narrow t.wtrace",
        "run --dir {deep}::/d --trace t.wtrace reads.wat; advise t.wtrace",
        "(?m)^wasilab run .*::/d/sub",
    ),
    "advise --limits": (BOTH + "advise --limits t.wtrace", BOTH + "advise t.wtrace", "--max-"),
    "advise --include-missing": (
        "run --no-stdout --trace t.wtrace hello.wat; advise --include-missing t.wtrace",
        "run --no-stdout --trace t.wtrace hello.wat; advise t.wtrace",
        "(?m)^wasilab run .*--stdout",
    ),
    "demo --into": ("demo --into elsewhere", "demo", "files .*elsewhere"),
    "doctor --json": ("doctor --json", "doctor", '"languages": {'),
    "doctor --warm": ("doctor --warm", "doctor", "is warm"),
    "bench --rounds": ("bench clock_time_get --rounds 2", BENCH, "^2 rounds"),
    "bench --by": (BENCH + " --by cpu", BENCH, "ns of CPU a call"),
    "bench --json": (BENCH + " --json", BENCH, '"clock_time_get": {'),
    "run --inject": ("run --inject fd_write:error=EIO hello.wat", "run hello.wat", "!hello\n"),
    "run --inject-file": ("run --inject-file faults.toml hello.wat", "run hello.wat", "!hello\n"),
    "run --record": ("run --record r.wtrace hello.wat", "run hello.wat", r"files .*\br\.wtrace"),
    "run --snapshots": (
        "run --snapshots --trace t.wtrace hello.wat >n; memory --at 0 t.wtrace",
        "run --trace t.wtrace hello.wat >n; memory --at 0 t.wtrace",
        "after call 0",
    ),
    "replay --until": (RECORDED + "replay --until 1 r.wtrace", RECORDED + "replay r.wtrace", "stopped before call 1"),
    "replay --continue": (
        RECORDED + "replay --until 0 --continue --env A=1 r.wtrace", RECORDED + "replay --until 0 --env A=1 r.wtrace",
        "replayed 0 calls, then live: 2 calls",
    ),
    "replay --from-file": (
        RECORDED + "replay --from-file echo.wat r.wtrace", RECORDED + "replay r.wtrace", "diverges from the recording",
    ),
    "replay --feature": (
        RECORDED + "replay --feature gcc r.wtrace", RECORDED + "replay r.wtrace", "unknown WebAssembly feature",
    ),
    "replay --timeout": (RECORDED + "replay --timeout x r.wtrace", RECORDED + "replay r.wtrace", "number of seconds"),
    "replay --max-memory": (
        RECORDED + "replay --max-memory 64k r.wtrace", RECORDED + "replay r.wtrace", "raise it with",
    ),
    "replay --strace": (RECORDED + "replay --strace r.wtrace", RECORDED + "replay r.wtrace", r"fd_write\("),
    "replay --strace-file": (
        RECORDED + "replay --strace-file zz.txt r.wtrace", RECORDED + "replay r.wtrace", r"files .*\bzz\.txt",
    ),
    "replay --trace": (
        RECORDED + "replay --trace u.wtrace r.wtrace", RECORDED + "replay r.wtrace", r"files .*\bu\.wtrace",
    ),
    "replay --stacks": (
        RECORDED + "replay --strace --stacks r.wtrace", RECORDED + "replay --strace r.wtrace", "(?m)^ > ",
    ),
    "replay -e": (
        RECORDED + "replay --strace -e fd_read r.wtrace", RECORDED + "replay --strace r.wtrace", r"!fd_write\(",
    ),
    "replay --filter": (
        RECORDED + "replay --strace --filter 'bytes=0' r.wtrace", RECORDED + "replay --strace r.wtrace", r"!fd_write\(",
    ),
    "replay -P": (RECORDED + "replay --strace -P /x r.wtrace", RECORDED + "replay --strace r.wtrace", r"!fd_write\("),
    "replay -z": (UNOPENED + "replay --strace -z r.wtrace", UNOPENED + "replay --strace r.wtrace", "!= -1 "),
    "replay -Z": (RECORDED + "replay --strace -Z r.wtrace", RECORDED + "replay --strace r.wtrace", r"!fd_write\("),
    "replay -r": (
        RECORDED + "replay --strace -r r.wtrace", RECORDED + "replay --strace r.wtrace", r"(?m)^ *\+? *0\.0+ ",
    ),
    "replay -c": (RECORDED + "replay -c r.wtrace", RECORDED + "replay r.wtrace", "median|errors"),
    "replay --quiet": (RECORDED + "replay --quiet r.wtrace", RECORDED + "replay r.wtrace", "!replayed 2 calls"),
    "inject --each": ("inject --each random.wat", "inject random.wat", "fails with EIO"),
    "inject --error": ("inject --each --error EAGAIN random.wat", "inject --each random.wat", "fails with EAGAIN"),
    "inject --calls": ("inject --each --calls fd random.wat", "inject --each random.wat", "no call to fail"),
    "inject --runs": ("inject --each --runs 1 hello.wat", "inject --each hello.wat", "not tried"),
    "inject --lang": ("inject --each --lang wat hello.txt", "inject --each hello.txt", "fails with EIO"),
    "sweep --workers": ("sweep --workers 0 sweep.toml", "sweep sweep.toml", "--workers"),
    "minimize --keep": (
        RECORDED + "minimize --keep 'call=fd_write ok' r.wtrace", RECORDED + "minimize --exit 0 r.wtrace",
        "granted: std",
    ),
    "minimize --exit": (
        RECORDED + "minimize --exit 0 r.wtrace", RECORDED + "minimize --keep 'call=fd_write ok' r.wtrace",
        "granted: nothing",
    ),
    "minimize --runs": (
        RECORDED + "minimize --runs 1 --exit 0 r.wtrace", RECORDED + "minimize --exit 0 r.wtrace", "not finished",
    ),
    "minimize -o": (
        RECORDED + "minimize -o zz --exit 0 r.wtrace", RECORDED + "minimize --exit 0 r.wtrace", r"files .*\bzz\b",
    ),
    "sweep -o": ("sweep -o out sweep.toml", "sweep sweep.toml", "calls.parquet"),
    "sweep --sql": ("sweep --sql 'select 7 as seven from runs' sweep.toml", "sweep sweep.toml", "seven"),
    "program -o": ("program copy -o copy.wasm", "program copy", r"files .*\bcopy\.wasm"),
    "wast --text": (f"wast --text '{PASSES}'", "wast", "1 of 1 assertion holds"),
    "wast --timeout": (f"wast --timeout x --text '{PASSES}'", f"wast --text '{PASSES}'", "number of seconds"),
    "wast --feature": (
        f"wast --feature gc=off --text '{TAKES_GC}'", f"wast --text '{TAKES_GC}'", "0 fail, 1 other command failed",
    ),
    "wast --notes": (f"wast --notes --text '{PASSES}'", f"wast --text '{PASSES}'", "holds, but expected"),
    "grade -o": (A_NOTEBOOK + "grade . -o g.csv", A_NOTEBOOK + "grade .", r"files .*\bg\.csv"),
    "grade -e": (A_NOTEBOOK + "grade . -e 04.1", A_NOTEBOOK + "grade .", "a.ipynb +04.1"),
    "grade --isolation": (A_NOTEBOOK + "grade . --isolation no", A_NOTEBOOK + "grade .", "choose on or strict or off"),
    "course --teacher": (
        "course --teacher k; course k/teacher", "course c; course c/teacher", "not empty, and is not a copy"
    ),
    "lab --no-browser": ("lab --no-browser --port 70000", "lab --port 0", "at most 65535"),
    "lab --allow-root": ("lab --allow-root --port 70000", "lab --port 0", "at most 65535"),
    "lab --port": ("lab --port 70000", "lab --port 0", "at most 65535"),
    "cache --size": ("cache --size", "cache --clear", "at most"),
    "cache --clear": ("compile hello.wat; cache --clear", "compile hello.wat; cache", "removed"),
}  # fmt: skip
NEED_ADAPTER = {"compile --component", "adapt -o", "adapt --lang", "adapt --quiet"}
NEED_C = {
    "compile --component", "run --quiet", "compile --reactor", "compile --emulate", "compile --reports",
    "demo --into", "doctor --warm",
}  # fmt: skip
# They start each compiler that is installed, measure, or have several processes.
SLOW = {"doctor --json", "bench --by", "bench --json", "bench --rounds", "grade -e", "wast --feature", "wast --notes"}


SHARING = ("inject", "minimize", "replay")
"""Commands that take the grants of `run`."""
COMPONENTS = {
    "run --connect": ("connects.wasm", making.CONNECTS),
    "run --resolve": ("resolves.wasm", making.RESOLVES),
    "run --http": ("asks.wasm", making.requests("127.0.0.1:1")),
    "run --isolate": ("connects.wasm", making.CONNECTS),
    "run --isolation": ("connects.wasm", making.CONNECTS),
}
"""The components that a case needs."""


def test_every_option_has_a_case_and_every_case_an_option() -> None:
    actions = [
        (command, action) for command in command_names("cli") for action in build(command, "cli")._actions
        if action.option_strings and not {"-h", "--color"} & set(action.option_strings)  # test_color.py has that one
    ]  # fmt: skip
    known = {f"{command} {name}" for command, action in actions for name in action.option_strings}
    switched = {f"{command} {name}" for command, action in actions for name in action.option_strings if "--no-" in name}
    switched = {each for each in switched if each.split()[0] not in SHARING}
    assert set(CASES) <= known
    for command, action in actions:
        if command in SHARING and {f"run {name}" for name in action.option_strings} <= known:
            continue  # the grants of `run`
        assert {f"{command} {name}" for name in action.option_strings} & set(CASES), action.option_strings
    assert switched <= set(CASES)


def named_in(text: str) -> set[str]:
    """The files that a text names, and those that they name; notebooks are graded by their folder."""
    found = {name for name in FILES if name in text or name.endswith(".ipynb")}
    return found.union(*(named_in(FILES[name]) for name in found if not name.endswith(".ipynb")))


@pytest.fixture
def folder(option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    words = " ".join(CASES[option][:2])
    for name in named_in(words + " a.ipynb" * option.startswith("grade ")):  # `grade` takes a folder
        (tmp_path / name).write_text(FILES[name])
    deep = tmp_path / "deep" / "sub"
    deep.mkdir(parents=True)
    (deep / "a.txt").write_text("a")
    opened = programs.OPEN_SECRET.replace('"secret.txt"', '"sub/a.txt"').replace("(i32.const 10)", "(i32.const 9)")
    (tmp_path / "reads.wat").write_text(opened)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer(line: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> str:
    """What a row of commands, separated by `;`, comes to."""
    said = ""
    for command in line.replace("{deep}", str(folder / "deep")).split("; "):
        words = shlex.split(command)
        quiet = ">n" in words
        status = main([word for word in words if word != ">n"])
        out, err = capfd.readouterr()
        said += f"{'' if quiet else out + err}status {status}\n"
    files = " ".join(sorted(path.name for path in folder.iterdir()))
    return f"{said}files {files}\n"


def marked(option: str) -> Any:
    """An option as a parameter, with its marker."""
    if option in NEED_C:
        return pytest.param(option, marks=pytest.mark.toolchain)
    return pytest.param(option, marks=pytest.mark.slow if option in SLOW else ())


@pytest.mark.parametrize("option", [marked(option) for option in CASES])
def test_an_option_does_what_its_help_says(
    option: str, folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if option in NEED_C:
        try:
            toolchain_for("c").find()
        except ToolchainMissing as missing:
            pytest.skip(str(missing))
    elif not option.startswith("doctor"):
        monkeypatch.setenv("WASILAB_CACHE_DIR", str(folder / ".cache"))
    if option in NEED_ADAPTER and adaptation().install:
        pytest.skip(adaptation().install)
    if option in COMPONENTS:
        name, core = COMPONENTS[option]
        (folder / name).write_bytes(making.command(core))
    if option == "run --no-native" and why_not_native():
        pytest.skip(f"WASILAB_NATIVE: no native library, for {why_not_native()}")
    with_it, without_it, mark = CASES[option]
    assert option.split()[1] in shlex.split(with_it)
    first, second = answer(without_it, folder, capfd), answer(with_it, folder, capfd)
    here, there = (first, second) if mark.startswith("!") else (second, first)
    if mark.startswith("!"):
        assert not re.search(r"^wasilab \w+: ", second, re.MULTILINE), second  # what is not there is not so by mistake
    mark = mark.removeprefix("!")
    assert re.search(mark, here, re.MULTILINE), here
    assert not re.search(mark, there, re.MULTILINE), there
    assert "Traceback" not in first + second
