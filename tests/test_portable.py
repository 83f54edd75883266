"""What has to load where the host is no POSIX system, or where there is no Wasmtime."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import wasilab

PACKAGE = Path(wasilab.__file__).parent

BLOCK = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Blocked())
for name in [name for name in sys.modules if name.partition(".")[0] in {names!r}]:
    del sys.modules[name]
"""


def ground() -> list[str]:
    """The modules of text/, capabilities/ without host/, wasi/ and trace/record/."""
    files = [
        path.relative_to(PACKAGE.parent).with_suffix("")
        for room in ("text", "capabilities", "wasi", "trace/record")
        for path in (PACKAGE / room).rglob("*.py")
        if PACKAGE / "capabilities" / "host" not in path.parents
    ]
    return [".".join(path.parts).removesuffix(".__init__") for path in sorted(files)]


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_ground_loads_without_wasmtime_and_without_posix() -> None:
    """They are to run in a browser one day, so nothing in them may need what only a host has."""
    names = ("wasmtime", "resource", "fcntl", "termios")
    modules = ground()
    assert len(modules) > 30
    program = BLOCK.format(names=names) + "\n".join(f"import {module}" for module in modules)
    program += f"\nprint([name for name in sys.modules if name in {names!r}])"
    program += "\nprint([name for name in sys.modules if name.startswith('wasilab.capabilities.host')])"
    assert run(program).split("\n")[:2] == ["[]", "[]"]


AS_ON_WINDOWS = """
import os, select, sys
import platformdirs  # on Linux it asks for the user
import shutil
shutil._use_fd_functions = False  # what it found when it was imported
from pathlib import Path

MISSING = '''O_PATH O_DIRECTORY O_NOFOLLOW O_CLOEXEC O_NONBLOCK O_NOCTTY O_DSYNC O_SYNC readv writev preadv pwritev
pread pwrite pipe2 posix_fadvise fdatasync killpg geteuid getuid'''.split()
for name in MISSING:
    delattr(os, name)
del select.poll
os.supports_dir_fd.clear()

def without_dir_fd(function):
    def checked(*args, **named):
        for name in ("dir_fd", "src_dir_fd", "dst_dir_fd"):
            if named.get(name) is not None:
                raise NotImplementedError(f"{name} unavailable on this platform")
        return function(*args, **named)
    return checked

for name in "access link lstat mkdir open readlink rename replace rmdir stat symlink unlink utime".split():
    setattr(os, name, without_dir_fd(getattr(os, name)))
"""

WRITES = """(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "new.txtwritten\\0a")
  (data (i32.const 0) "\\47\\00\\00\\00\\08\\00\\00\\00")
  (data (i32.const 16) "\\00\\02\\00\\00\\40\\00\\00\\00")
  (data (i32.const 1048) "\\40\\42\\0f\\00")
  (func (export "_start")
    (drop (call $poll (i32.const 1024) (i32.const 2048) (i32.const 1) (i32.const 40)))
    (drop (call $read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 32)))
    (drop (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 7) (i32.const 1) (i64.const 64)
      (i64.const 0) (i32.const 0) (i32.const 48)))
    (drop (call $write (i32.load (i32.const 48)) (i32.const 0) (i32.const 1) (i32.const 32)))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))))"""

LAB = """
import wasilab
from wasilab import Clocks, Grants, HostDir, MemDir, Random
from wasilab.capabilities.host.folder import BadFolder

for name in wasilab.__all__:
    getattr(wasilab, name)
folder = Path("folder")
folder.mkdir()
(folder / "old.txt").write_text("old")
(folder / "sub").mkdir()
Path("writes.wat").write_text(sys.argv[1])
module = wasilab.load("writes.wat")

grants = Grants(dirs={"/m": MemDir()}, stdin=b"in", clocks=Clocks.stepped(1000), random=Random.seeded(1))
run = wasilab.run(module, grants=grants)
print("memory:", run.exit_code, run.stdout, end="")
run = wasilab.run(module, grants=Grants(dirs={"/d": HostDir("folder")}))
print("copy:", run.exit_code, run.changes["/d"].created, (folder / "new.txt").exists())
run.changes.apply()
print("applied:", repr((folder / "new.txt").read_text()))
for mode in ("ro", "rw"):
    try:
        HostDir("folder", mode)
    except BadFolder as error:
        print("refused:", str(error).partition(";")[0])

for suffix in ("wtrace", "parquet", "jsonl", "csv", "strace", "pftrace", "json"):
    run.trace.save(f"t.{suffix}")
print("traces:", *(len(wasilab.Trace.load(f"t.{suffix}")) for suffix in ("wtrace", "parquet")))
print("views:", run.timeline is not None, len(str(run.trace.summary())) > 100)
run.to_html("report.html")
run.plot("counts").savefig("plot.png")

from wasilab.cli import main
(folder / "new.txt").unlink()
print("command line:", main("run --dir folder::/d --stdin - --apply --trace cli.wtrace writes.wat".split()))
print("typed:", [call.data for call in wasilab.Trace.load("cli.wtrace") if call.name == "fd_read"])
print("applied:", repr((folder / "new.txt").read_text()))

import threading
started = wasilab.run("writes.wat", grants=Grants(dirs={"/m": MemDir()}, stdin="ask"), detach=True)
threading.Timer(0.2, started.stop).start()
started.wait(60)
print("stopped:", started.outcome.kind)
"""


def test_all_but_folders_of_the_host_works_as_on_windows(tmp_path: Path) -> None:
    """Without fcntl, resource, termios, poll(2) and descriptors of directories, a folder is granted as a copy."""
    program = BLOCK.format(names=("fcntl", "resource", "termios")) + AS_ON_WINDOWS + LAB
    done = subprocess.run(
        [sys.executable, "-c", program, WRITES], capture_output=True, text=True, check=False, cwd=tmp_path,
        input="typed\n", timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    why = "on this system a program cannot be confined to a folder while others change it"
    assert done.stdout.splitlines() == [
        "memory: 0 written",
        "copy: 0 ('new.txt',) False",
        "applied: 'written\\n'",
        f"refused: cannot grant the folder 'folder' as ro: {why}",
        f"refused: cannot grant the folder 'folder' as rw: {why}",
        "traces: 5 5",
        "views: True True",
        "written",
        "command line: 0",
        "typed: [b'typed\\n']",
        "applied: 'written\\n'",
        "stopped: interrupt",
    ]
    assert "written to the folder of /d: 1 created" in done.stderr
