"""Objects that hold something of this process refuse to be copied or pickled."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wasilab.capabilities.host.hostdir import HostDir
from wasilab.capabilities.host.sockets import StreamSocket, listen
from wasilab.capabilities.memory.memdir import MemDir
from wasilab.capabilities.patterns import read_only
from wasilab.capabilities.protocols import OpenHow
from wasilab.capabilities.streams import DescriptorInput, QueueInput
from wasilab.capabilities.waiting import Interrupt

MAKERS: dict[str, Callable[[Path], Any]] = {
    "HostDir": HostDir,
    "HostDir as copy": lambda path: HostDir(path, "copy"),
    "an open folder": lambda path: HostDir(path).fresh(),
    "a copy": lambda path: HostDir(path, "copy").fresh(),
    "an open file": lambda path: HostDir(path).open("file", OpenHow()),
    "a listening socket": lambda path: listen("127.0.0.1:0"),
    "a connection": lambda path: StreamSocket(socket.socketpair()[0]),
    "a queue": lambda path: QueueInput(),
    "a descriptor": lambda path: DescriptorInput(0, Interrupt()),
    "an interrupt": lambda path: Interrupt(),
    "through a pattern": lambda path: read_only(MemDir()),
}


@pytest.fixture(params=list(MAKERS))
def thing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    (tmp_path / "file").write_text("text")
    made = MAKERS[request.param](tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_can_be_neither_pickled_nor_copied(thing: Any, way: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match=r"cannot be copied or pickled: it (may )?holds? .* of this process; "):
        way(thing)


def test_a_folder_says_how_to_name_it_in_another_process(tmp_path: Path) -> None:
    granted = HostDir(tmp_path, "rw")
    with pytest.raises(TypeError) as caught:
        copy.deepcopy({"/d": granted})
    assert f"in the other process, create HostDir({str(tmp_path)!r}, mode='rw')" in str(caught.value)


def test_it_is_refused_before_another_process_is_started(tmp_path: Path) -> None:
    """`spawn` pickles the arguments: without the refusal the other process would get a number that is not its own."""
    process = multiprocessing.get_context("spawn").Process(target=print, args=(HostDir(tmp_path),))
    with pytest.raises(TypeError, match="cannot be copied or pickled"):
        process.start()
    assert process.exitcode is None


def test_a_folder_in_memory_can_be_copied() -> None:
    folder = MemDir({"a": "text"})
    second = copy.deepcopy(folder)
    folder.unlink("a")
    assert second.read_bytes("a") == b"text"
