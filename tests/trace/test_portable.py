"""Recording needs neither NumPy nor a host: it starts quickly, and runs where there is no Wasmtime."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from wasilab.trace.trace import Trace

CODE = """
import sys, importlib, pkgutil
for name in ("numpy", "wasmtime", "resource"):
    sys.modules[name] = None
import wasilab.trace.record as record
for module in pkgutil.iter_modules(record.__path__, record.__name__ + "."):
    importlib.import_module(module.name)
from wasilab.wasi.preview1.spec import SNAPSHOT1
from wasilab.trace.record.payload import pack_payload
from wasilab.trace.record.recorder import Recorder
recorder = Recorder(1 << 20, spool={spool!r})
write = recorder.make_writer()
start = recorder.start_clock()
for i in range(20_000):
    write(start + i, 1, 2, 3, b"path", pack_payload(b"aux", b"data"), SNAPSHOT1["fd_write"].number, 0, 0, 0, 1, 2, 3, 4)
recorder.close()
print(len(recorder), recorder.spooled, recorder.spool_error)
"""


def test_recording_and_spooling_need_neither_numpy_nor_wasmtime(tmp_path: Path) -> None:
    spool = tmp_path / "run.wtrace"
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(spool=str(spool))], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("20000 20000 None\n", "")
    assert Trace.load(spool)[19_999].data == b"data"
