"""Requests of ask mode from a process that was taken over: nothing happens that the user was not asked for."""

from __future__ import annotations

import errno
import json
import os
import random
import stat
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from wasilab import Grants, HostDir, MemDir
from wasilab.engine.isolate.messages import BadMessage
from wasilab.grants.live.ask import Answer, Question
from wasilab.grants.live.pump import Listeners
from wasilab.runs.isolated import performing
from wasilab.runs.isolated.performing import Performer
from wasilab.runs.isolated.request_format import OPERATIONS
from wasilab.runs.prepare import Prepared

from ..grants.guests import Guest
from ..waiting import until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no folder of the host can be held there")


class Taken:
    """A performer without a process: requests go in, and what was asked and answered is kept."""

    def __init__(self, folder: Path, answer: Answer | None, **grants: Any) -> None:
        self.asked: list[Question] = []
        self.answers: list[dict[str, Any]] = []
        self.opened: list[int] = []
        self.failures: list[BaseException] = []
        self.sent = threading.Event()
        self._given = answer
        listeners = Listeners(on_asked=self._ask)
        self.prepared = Prepared(Guest().module(), (), Grants(ask=True, **grants), listeners=listeners, live=True)
        self.performer = Performer(self.prepared, self._send, self.failures.append)

    def _ask(self, question: Question | None) -> None:
        if question is None:
            return
        self.asked.append(question)
        questions = self.prepared.questions
        assert questions is not None
        if self._given is not None:
            questions.answer(self._given)

    def _send(self, body: bytes, descriptors: Sequence[int]) -> None:
        self.answers.append(json.loads(body))
        self.opened.extend(os.dup(each) for each in descriptors)
        self.sent.set()

    def take(self, **request: Any) -> dict[str, Any]:
        """The answer to a request."""
        self.sent.clear()
        self.begin(**request)
        assert self.sent.wait(60)
        return self.answers[-1]

    def begin(self, **request: Any) -> None:
        self.performer.take(bytearray(json.dumps({"call": 0, **request}).encode()))

    def do(self, name: str, *args: Any) -> dict[str, Any]:
        return self.take(do=name, args=list(args))

    def end(self) -> None:
        self.performer.close()
        self.prepared.release()
        for each in self.opened:
            os.close(each)
        assert self.failures == []


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    here = tmp_path / "here"
    (here / "sub").mkdir(parents=True)
    (here / "a.txt").write_text("text")
    (tmp_path / "secret").write_text("secret")
    (here / "up").symlink_to("..")
    monkeypatch.chdir(here)
    return here


@pytest.fixture
def taken(folder: Path) -> Iterator[Callable[..., Taken]]:
    made: list[Taken] = []

    def make(answer: Answer | None = Answer.DENY, **grants: Any) -> Taken:
        made.append(Taken(folder, answer, **grants))
        return made[-1]

    yield make
    for each in made:
        each.end()


READ_ONLY = ["read", "follow"]
NO_REQUESTS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a directory that was not opened": {"do": "open", "args": [7, "a.txt", READ_ONLY]},
    "a negative directory": {"do": "open", "args": [-1, "a.txt", READ_ONLY]},
    "a directory that is true": {"do": "open", "args": [True, "a.txt", READ_ONLY]},
    "a directory that is a number with a point": {"do": "open", "args": [0.0, "a.txt", READ_ONLY]},
    "a directory that is a list": {"do": "open", "args": [[0], "a.txt", READ_ONLY]},
    "a guest path that is not granted": {"do": "rename", "args": ["/", "a", 0, "b"]},
    "only granted directories": {"do": "rename", "args": ["/rw", "a", "/rw", "b"]},
    "a granted directory alone": {"do": "open", "args": ["/rw", "a", READ_ONLY]},
    "no directory": {"do": "open", "args": [None, "a", READ_ONLY]},
    "a NUL": {"do": "open", "args": [0, "a.txt\0b", READ_ONLY]},
    "a half character": {"do": "open", "args": [0, "\udc80", READ_ONLY]},
    "a path that is a number": {"do": "open", "args": [0, 7, READ_ONLY]},
    "a path of more bytes than any call has": {"do": "open", "args": [0, "\u00e9" * 2049, READ_ONLY]},
    "a path of 10 MB": {"do": "open", "args": [0, "x" * 10_000_000, READ_ONLY]},
    "a link text of 5000": {"do": "symlink", "args": [0, "x" * 5000, "link"]},
    "an unknown flag": {"do": "open", "args": [0, "a", ["execute"]]},
    "flags that are text": {"do": "open", "args": [0, "a", "read"]},
    "many flags": {"do": "open", "args": [0, "a", ["read"] * 1000]},
    "a flag that is a number": {"do": "stat_path", "args": [0, "a", 1]},
    "a time that is text": {"do": "set_times_path", "args": [0, "a", True, "now", None]},
    "a negative time": {"do": "set_times_path", "args": [0, "a", True, -1, None]},
    "a huge time": {"do": "set_times_path", "args": [0, "a", True, 1 << 200, None]},
    "too few arguments": {"do": "open", "args": [0]},
    "too many arguments": {"do": "list", "args": [0, 0]},
    "arguments that are an object": {"do": "list", "args": {"0": 0}},
    "an unknown operation": {"do": "execute", "args": [0, "a"]},
    "an operation of the object, not of the format": {"do": "rename_from", "args": [0, "a", 0, "b"]},
    "a method that is not an operation": {"do": "_ask", "args": [0, "a"]},
    "an operation that is a list": {"do": ["open"], "args": [0, "a", READ_ONLY]},
    "a use of what is not asked for": {"use": "memory"},
    "a use that is a number": {"use": 1},
    "a call of the future": {"use": "clocks", "call": 1 << 60},
    "a call before the first": {"use": "clocks", "call": -1},
    "a call that is text": {"use": "clocks", "call": "0"},
    "the end of what asks for everything": {"close": 0},
    "the end of what was not opened": {"close": 3},
    "the end of true": {"close": True},
}


@pytest.mark.parametrize("name", NO_REQUESTS)
def test_what_is_no_request_is_refused_before_anything_is_done(
    name: str, taken: Callable[..., Taken], folder: Path
) -> None:
    (folder / "rw").mkdir()
    requests = taken(Answer.RUN, dirs={"/rw": HostDir(folder / "rw", "rw")})
    with pytest.raises(BadMessage):
        requests.begin(**NO_REQUESTS[name])
    assert requests.asked == []
    assert requests.answers == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 5000, b'{"use": "clocks"}', b"\xff" * 100])
def test_what_is_no_object_is_refused(body: bytes, taken: Callable[..., Taken]) -> None:
    with pytest.raises(BadMessage):
        taken().performer.take(bytearray(body))


@pytest.mark.parametrize(
    ("path", "below"),
    [("../secret", 0), ("up/secret", 0), ("sub/../../secret", 0), ("../a.txt", 1), ("/etc/passwd", 1)],
)
@pytest.mark.parametrize("name", ["open", "stat_path", "readlink", "mkdir", "rmdir", "unlink"])
def test_a_path_that_leaves_is_refused_and_the_user_is_not_asked(
    path: str, below: int, name: str, taken: Callable[..., Taken]
) -> None:
    requests = taken(Answer.RUN)
    number = requests.do("open", 0, "sub", ["read", "directory"])["directory"] if below else 0
    more = {"open": [READ_ONLY], "stat_path": [True]}.get(name, [])
    assert requests.do(name, number, path, *more)["by"] == 3
    assert len(requests.asked) == below
    assert requests.opened == []


ONE_OF_EACH: dict[str, list[Any]] = {
    "open": [0, "a.txt", READ_ONLY], "stat_path": [0, "a.txt", True], "list": [0], "readlink": [0, "up"],
    "mkdir": [0, "new"], "rmdir": [0, "sub"], "unlink": [0, "a.txt"], "symlink": [0, "a.txt", "link"],
    "rename": [0, "a.txt", 0, "b.txt"], "link": [0, "a.txt", 0, "b.txt", False],
    "set_times_path": [0, "a.txt", True, 0, 0],
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("answer", [Answer.DENY, Answer.DENY_ALL])
def test_every_operation_is_asked_for(name: str, answer: Answer, taken: Callable[..., Taken], folder: Path) -> None:
    requests = taken(answer)
    before = sorted(os.listdir(folder)), (folder / "a.txt").stat()
    assert requests.do(name, *ONE_OF_EACH[name])["by"] == 8
    assert len(requests.asked) == 1
    assert (sorted(os.listdir(folder)), (folder / "a.txt").stat()) == before
    assert requests.opened == []


VALUES: list[Any] = [
    0, 1, 2, -1, True, None, 0.5, 1 << 70, "", ".", "..", "/", "a.txt", "sub", "sub/..", "up", "up/..", "../secret",
    "x" * 4097, "\0", "\ud800", "/rw", "/m", READ_ONLY, ["write", "create"], ["directory"], [], {}, "open",
]  # fmt: skip
"""What random requests are made of."""


def test_random_requests_are_refused_or_asked_for_and_denied(taken: Callable[..., Taken], folder: Path) -> None:
    (folder / "rw").mkdir()
    (folder / "rw" / "x").write_text("x")
    requests = taken(Answer.DENY_ALL, dirs={"/rw": HostDir(folder / "rw", "rw"), "/m": MemDir({"x": "y"})})
    before = sorted(str(path) for path in folder.parent.rglob("*"))
    chance, refused = random.Random(16), 0
    for _ in range(2000):
        name = chance.choice(list(OPERATIONS))
        args = list(ONE_OF_EACH[name])
        for at in range(len(args)):
            if chance.random() < 0.3:
                args[at] = chance.choice(VALUES)
        try:
            answer = requests.do(name, *args)
        except BadMessage:
            refused += 1
            continue
        harmless = "directory" in answer or (name == "stat_path" and "result" in answer)  # the place itself: "."
        assert harmless or "errno" in answer, (name, args, answer)
    assert 400 < refused < 1900
    assert sorted(str(path) for path in folder.parent.rglob("*")) == before
    assert requests.opened == []
    assert len(requests.asked) == 1


def test_a_descriptor_gives_what_was_allowed_and_no_more(taken: Callable[..., Taken], folder: Path) -> None:
    requests = taken(Answer.ONCE)
    assert requests.do("open", 0, "a.txt", READ_ONLY)["created"] is False
    (descriptor,) = requests.opened
    assert os.read(descriptor, 10) == b"text"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.write(descriptor, b"x")
    requests.do("open", 0, "sub", ["read", "directory"])
    assert len(requests.opened) == 1, "a folder is not passed"
    assert stat.S_ISREG(os.fstat(descriptor).st_mode)


def test_directories_are_bounded_and_end(taken: Callable[..., Taken]) -> None:
    requests = taken(Answer.RUN)
    fds = requests.prepared.grants.limits.fds
    answers = [requests.do("open", 0, "sub", ["read", "directory"]) for _ in range(fds + 10)]
    assert answers[-1]["errno"] == errno.EMFILE
    number = answers[0]["directory"]
    requests.begin(close=number)
    with pytest.raises(BadMessage):
        requests.begin(close=number)
    with pytest.raises(BadMessage):
        requests.do("list", number)
    assert "directory" in requests.do("open", 0, "sub", ["read", "directory"])


def test_a_second_request_is_refused_while_the_user_is_asked(taken: Callable[..., Taken]) -> None:
    requests = taken(None)
    requests.begin(do="open", args=[0, "a.txt", READ_ONLY])
    until(lambda: requests.asked)
    with pytest.raises(BadMessage, match="before the last one"):
        requests.begin(use="clocks")


def test_questions_are_bounded(taken: Callable[..., Taken], monkeypatch: pytest.MonkeyPatch) -> None:
    requests = taken(Answer.ONCE)
    for number in range(210):
        requests.do("stat_path", 0, f"n{number}", True)
    assert len(requests.asked) == 200


def test_what_is_allowed_once_is_used_once(taken: Callable[..., Taken]) -> None:
    requests = taken(Answer.ONCE, stdout=False)
    assert not requests.performer.may("stdout")
    assert requests.take(use="stdout")["for_run"] is False
    assert [requests.performer.may("stdout") for _ in range(2)] == [True, False]
    assert not requests.performer.may("stdin")
    lasting = taken(Answer.RUN, stdout=False)
    assert lasting.take(use="stdout")["for_run"] is True
    assert [lasting.performer.may("stdout") for _ in range(2)] == [True, True]


def test_what_was_revoked_is_refused_here_too(taken: Callable[..., Taken], folder: Path) -> None:
    (folder / "rw").mkdir()
    (folder / "rw" / "x").write_text("x")
    requests = taken(Answer.RUN, dirs={"/rw": HostDir(folder / "rw", "rw"), "/m": MemDir({"x": "y"})})
    opened = requests.do("open", 0, "sub", ["read", "directory"])["directory"]
    live = requests.prepared.live
    assert live is not None
    live.revoke("/rw")
    assert requests.do("rename", "/rw", "x", 0, "x")["by"] == 5
    live.revoke("/")
    assert requests.do("stat_path", 0, "a.txt", True)["by"] == 5
    assert requests.do("stat_path", opened, "a.txt", True)["by"] == 5


def test_nothing_moves_between_directories_of_two_processes(taken: Callable[..., Taken], folder: Path) -> None:
    requests = taken(Answer.RUN, dirs={"/m": MemDir({"x": "y"})})
    for args in ([None, "x", 0, "x"], [0, "a.txt", None, "x"], ["/m", "x", 0, "x"], [0, "a.txt", "/m", "z"]):
        assert requests.do("rename", *args)["errno"] == errno.EXDEV
        assert requests.do("link", *args, False)["errno"] == errno.EXDEV
    assert (folder / "a.txt").read_text() == "text"


def test_an_error_of_ours_is_reported_and_blocks_nothing(
    taken: Callable[..., Taken], monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = taken(Answer.RUN)
    monkeypatch.setattr(performing, "result_value", lambda result: {}[result])
    requests.begin(do="list", args=[0])
    until(lambda: requests.failures)
    assert isinstance(requests.failures.pop(), (KeyError, TypeError))
