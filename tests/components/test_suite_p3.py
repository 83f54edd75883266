"""The public suite's wasm32-wasip3 programs, and its preview1 programs as components, against Wasmtime's own host."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from wasmtime import component as wasmtime_component

import wasilab
from wasilab.capabilities.host.hostdir import HostDir
from wasilab.capabilities.host.internet import Internet
from wasilab.capabilities.host.network import Network
from wasilab.wasi.components.http.byte_queue import ByteQueue
from wasilab.wasi.components.http.http_fields import HttpFields
from wasilab.wasi.components.http.http_messages import HttpRequestMessage

from .http_server import Answer, serving
from .running import Running

SUITE = os.environ.get("WASI_TESTSUITE", "")
ADAPTER = os.environ.get("COMPONENT_ADAPTER", "")
WASM_TOOLS = os.environ.get("WASM_TOOLS") or shutil.which("wasm-tools") or ""
P3 = sorted(Path(SUITE, "tests/rust/testsuite/wasm32-wasip3").glob("*.wasm")) if SUITE else []
P1 = (
    [w for lang in ("c", "rust") for w in sorted(Path(SUITE, f"tests/{lang}/testsuite/wasm32-wasip1").glob("*.wasm"))]
    if SUITE and ADAPTER
    else []
)


def spec_of(wasm: Path) -> dict[str, Any]:
    described = wasm.with_suffix(".json")
    return json.loads(described.read_text()) if described.exists() else {}


def is_service(wasm: Path) -> bool:
    return spec_of(wasm).get("world") == "wasi:http/service"


@pytest.mark.skipif(not SUITE, reason="WASI_TESTSUITE is not set")
@pytest.mark.parametrize(
    "wasm", [w for w in P3 if not is_service(w) and w.stem != "sockets-echo"], ids=lambda w: w.stem
)
def test_a_wasip3_program_passes(wasm: Path, tmp_path: Path) -> None:
    spec = spec_of(wasm)
    operations = spec.get("operations", [])
    assert isinstance(operations, list)
    start = next((o for o in operations if o["type"] == "run"), spec)
    end = next((o for o in operations if o["type"] == "wait"), spec)
    reads = [o for o in operations if o["type"] == "read" and o.get("id", "stdout") == "stdout"]
    dirs = {}
    if start.get("root"):
        shutil.copytree(wasm.parent / start["root"], tmp_path / "root", symlinks=True)
        dirs = {"/": HostDir(tmp_path / "root", mode="rw")}
    stdin = "".join(o.get("payload", "") for o in operations if o["type"] == "write").encode()
    net = {}
    if wasm.name.startswith("sockets-"):  # they talk to themselves
        net = {
            "connect": ["127.0.0.1:*", "[::1]:*", "localhost:*"],
            "sockets": [wasilab.listen("127.0.0.1:0"), wasilab.listen("[::1]:0"), wasilab.listen("0.0.0.0:0"),
                        wasilab.listen("[::]:0")],
        }  # fmt: skip
    grants = wasilab.Grants(dirs=dirs, env=start.get("env") or {}, stdin=stdin, **net)
    run = wasilab.run(wasilab.load(wasm), args=start.get("args") or [], grants=grants)
    assert (run.exit_code, run.error or "") == (end.get("exit_code", 0), ""), run.stderr
    if reads:
        assert run.stdout == "".join(o.get("payload", "") for o in reads)


@pytest.mark.skipif(not SUITE, reason="WASI_TESTSUITE is not set")
def test_a_server_echoes(tmp_path: Path) -> None:
    wasm = next(w for w in P3 if w.stem == "sockets-echo")
    command = [sys.executable, "-m", "wasilab", "run", "--listen", "127.0.0.1:0", str(wasm)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        host, _, port = process.stdout.readline().decode().strip().rpartition(":")
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(b"Hello, world")
            assert connection.recv(100) == b"Hello, world"
        assert process.wait(60) == 0


def answers_of(server: dict[str, Any]) -> dict[tuple[str, str], Answer]:
    """What a server of the suite is told to answer."""
    found = {}
    for endpoint in server.get("endpoints", []):
        told = endpoint.get("response", {})
        chunks = told.get("chunks")
        found[endpoint["method"], endpoint["path"]] = Answer(
            told.get("status", 200), told.get("body", "").encode(), told.get("headers", {}),
            None if chunks is None else [chunk.encode() for chunk in chunks], told.get("trailers", {}),
            endpoint.get("mode", "").removeprefix("echo-"),
        )  # fmt: skip
    return found


@pytest.mark.skipif(not SUITE, reason="WASI_TESTSUITE is not set")
@pytest.mark.parametrize("wasm", [w for w in P3 if is_service(w)], ids=lambda w: w.stem)
def test_a_wasip3_service_answers(wasm: Path) -> None:
    """The handler of a service is called with the suite's requests; what it asks itself, servers here answer."""
    spec = spec_of(wasm)
    with contextlib.ExitStack() as stack:
        servers = {
            server["name"]: "127.0.0.1:1" if server.get("kind") == "closed" else stack.enter_context(
                serving(answers_of(server))
            )
            for server in spec.get("servers", [])
        }  # fmt: skip
        environ = [f"HTTP_SERVER_{name.upper()}={where}".encode() for name, where in servers.items()]
        http = tuple(f"http://{where}" for where in (*servers.values(), "nonexistent.invalid:80"))
        running = Running(wasm.read_bytes(), environ=environ, network=Internet(Network(http=http)))
        stack.callback(running.close)
        asked = [operation for operation in spec["operations"] if operation["type"] == "request"]
        assert asked
        for operation in asked:
            request = HttpRequestMessage(HttpFields([(n, v.encode()) for n, v in operation.get("headers", {}).items()]))
            request.method = (operation["method"].lower(), None)
            request.target, request.scheme, request.authority = operation["path"], ("HTTP", None), "127.0.0.1"
            request.body.queue = ByteQueue()
            request.body.queue.put(operation.get("body", "").encode())
            request.body.queue.end()
            function = running.session.functions()[running.session.find("handle")]
            run = running.session._run
            assert run is not None
            case, response = run.call(function, [request])
            assert (case, response.status) == ("ok", operation["response"]["status"]), running.stderr.data
            run.finish()
            body = b"".join(iter(lambda r=response: (r.body.queue and r.body.queue.take(1 << 20)) or b"", b""))
            wanted = operation["response"]
            assert body == wanted["body"].encode() if "body" in wanted else True
            assert wanted.get("headers", {}).items() <= {n: v.decode() for n, v in response.headers.entries}.items()


@pytest.fixture(scope="module")
def engine() -> wasmtime.Engine:
    config = wasmtime.Config()
    config.cache = True
    config.wasm_component_model = True
    return wasmtime.Engine(config)


def by_wasmtime(
    engine: wasmtime.Engine, component: Path, args: list[str], env: list[tuple[str, str]], dirs: dict[str, str],
    out: Path,
) -> tuple[object, bytes]:  # fmt: skip
    """(exit code, stdout) under Wasmtime's own 0.2 host."""
    made = wasmtime_component.Component.from_file(engine, str(component))
    linker = wasmtime_component.Linker(engine)
    linker.add_wasip2()
    store = wasmtime.Store(engine)
    config = wasmtime.WasiConfig()
    config.argv, config.env = args, env
    for guest, host in dirs.items():
        config.preopen_dir(host, guest)
    config.stdout_file = str(out)
    config.stderr_file = str(out.with_suffix(".err"))
    store.set_wasi(config)
    try:
        instance = linker.instantiate(store, made)
        name = next(name for name in made.type.exports(engine) if name.startswith("wasi:cli/run"))
        index = instance.get_export_index(store, "run", instance.get_export_index(store, name))
        code: object = 0 if instance.get_func(store, index)(store).tag == "ok" else 1
    except wasmtime.ExitTrap as ended:
        code = ended.code
    return code, out.read_bytes()


UNORDERED = {"poll_oneoff_stdio": "it prints a HashMap, whose order is another one in every run"}


@pytest.mark.skipif(not P1, reason="WASI_TESTSUITE or COMPONENT_ADAPTER is not set")
@pytest.mark.parametrize("wasm", P1, ids=lambda w: f"{w.parts[-4]}-{w.stem}")
def test_an_adapted_program_answers_as_under_wasmtimes_own_host(
    wasm: Path, tmp_path: Path, engine: wasmtime.Engine
) -> None:
    component = tmp_path / "adapted.wasm"
    adapt = [WASM_TOOLS, "component", "new", wasm, "--adapt", f"wasi_snapshot_preview1={ADAPTER}", "-o", component]
    subprocess.run(adapt, check=True, capture_output=True)
    spec = spec_of(wasm)
    root, env = spec.get("root"), dict(spec.get("env") or {})
    names: dict[str, dict[str, str]] = {"ours": {}, "theirs": {}}
    for side, dirs in names.items():
        if root:
            shutil.copytree(wasm.parent / str(root), tmp_path / side, symlinks=True)
            dirs["/"] = str(tmp_path / side)
    args = [str(arg) for arg in spec.get("args") or []]
    argv = ["adapted.wasm", *args]
    theirs = by_wasmtime(engine, component, argv, list(env.items()), names["theirs"], tmp_path / "out")
    grants = wasilab.Grants(dirs={g: HostDir(h, mode="rw") for g, h in names["ours"].items()}, env=env)
    run = wasilab.run(wasilab.load(component), args=args, grants=grants, name="adapted.wasm")
    ours = (run.exit_code, run.stdout_bytes)
    if wasm.stem in UNORDERED:
        ours, theirs = ((code, bytes(sorted(out))) for code, out in (ours, theirs))
    assert ours == theirs, run.stderr
