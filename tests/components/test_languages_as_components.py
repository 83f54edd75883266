"""Python and JavaScript as components: refused, explained, granted, as a program in C is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

import wasilab
from wasilab.capabilities.host.hostdir import HostDir
from wasilab.module.module import Module
from wasilab.toolchains.diagnostics import ToolchainMissing
from wasilab.toolchains.registry import COMPONENT_LANGUAGES, toolchain_for
from wasilab.wasi.operations import Operation

pytestmark = [pytest.mark.toolchain, pytest.mark.slow, pytest.mark.timeout(900)]

TEXT = "one two\nthree\v four\tfive\n\n six" * 3000
LINE = "/data/text.txt: 9000 lines, 15001 words, 90000 bytes\n"


@dataclass
class Made:
    """A component, and the folder that it may be granted."""

    module: Module
    folder: Path


@pytest.fixture(scope="module", params=COMPONENT_LANGUAGES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    toolchain = toolchain_for(request.param)
    try:
        toolchain.find()
    except ToolchainMissing as error:
        pytest.skip(str(error).splitlines()[0])
    folder = tmp_path_factory.mktemp("data")
    (folder / "text.txt").write_text(TEXT)
    said: list[str] = []
    module = wasilab.compile(
        toolchain.example("words"), request.param, on_progress=lambda seconds, sentence: said.append(sentence)
    )
    assert module.is_component
    assert all(sentence.startswith("making a component of") for sentence in said)
    return Made(module, folder)


def test_it_is_refused_explained_and_granted(made: Made) -> None:
    refused = wasilab.run(made.module, ["/data/text.txt"])
    assert refused.exit_code == 1
    assert "/data/text.txt: " in refused.stderr
    said = " ".join(str(refused).split())
    assert "no directory is granted" in said
    assert "--dir HOST::/data" in said
    granted = wasilab.run(made.module, ["/data/text.txt"], wasilab.Grants(dirs={"/data": HostDir(made.folder)}))
    assert (granted.exit_code, granted.stdout, granted.stderr) == (0, LINE, "")
    known = granted.trace.functions.further
    opening = {f.name for f in known if f.operation is Operation.OPEN and "descriptor" in f.name}
    assert [e.path for e in granted.trace if e.name in opening] == ["/data/text.txt"]
    least = wasilab.advise(granted.trace).grants
    assert list(least.dirs) == ["/data"]
    assert wasilab.run(made.module, ["/data/text.txt"], least).stdout == LINE
