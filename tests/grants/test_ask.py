"""Ask mode: the user is asked once for what is not granted; if no user can be asked, it is refused."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from wasilab import Grants, Limits, MemDir, Run, advise, run
from wasilab.capabilities.refusal import DeniedBy, Refused
from wasilab.capabilities.waiting import Interrupt
from wasilab.grants.live import questions
from wasilab.grants.live.ask import MOST_QUESTIONS, Answer, Asking, Question
from wasilab.grants.live.ask_paths import AskEverywhere
from wasilab.grants.live.questions import HELP, Questions, RunTime, parse
from wasilab.grants.remedy import folder_remedy
from wasilab.trace.record.recorder import Flag
from wasilab.wasi.types import Errno

from ..waiting import until
from .guests import READ, SCRATCH, WRITE, Guest, fd

NOTCAPABLE = int(Errno.NOTCAPABLE)


class Person:
    """Types the answers given, and keeps the prompts."""

    def __init__(self, *answers: str | None) -> None:
        self.answers = list(answers)
        self.prompts: list[str] = []

    def __call__(self, prompt: str) -> str | None:
        self.prompts.append(prompt)
        return self.answers.pop(0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.txt").write_text("text")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def go(guest: Guest, person: Person | None, grants: Grants | None = None) -> Run:
    return run(guest.module(), (), grants or Grants(ask=True), on_question=person)


def test_allow_once_asks_again(folder: Path) -> None:
    person = Person("o", "d")
    finished = go(Guest().open("a.txt").read().open("a.txt"), person)
    assert finished.exit_code == NOTCAPABLE
    assert len(person.prompts) == 2
    assert person.prompts[0].startswith(f"guest wants to read '{folder / 'a.txt'}'. Allow it [o]nce")
    assert [asked.answer for asked in finished.asked] == [Answer.ONCE, Answer.DENY]
    opens = finished.trace.filter(call="path_open")
    assert [bool(call.flags & Flag.ASKED) for call in opens] == [True, True]
    assert [call.denied_by for call in opens] == [DeniedBy.NONE, DeniedBy.ASK]
    assert not finished.trace.filter(call="fd_read")[0].flags & Flag.ASKED


def test_allow_for_the_run_is_asked_once_and_is_not_the_power_to_change(folder: Path) -> None:
    person = Person("r", "d")
    finished = go(Guest().open("a.txt").open("a.txt").open("a.txt", rights=READ | WRITE), person)
    assert finished.exit_code == NOTCAPABLE
    assert [p.split(".txt'")[0].rsplit("/", 1)[0].removesuffix(str(folder)) for p in person.prompts] == [
        "guest wants to read '",
        "guest wants to create or change '",
    ]


def test_a_folder_allowed_for_the_run_covers_what_is_in_it(folder: Path) -> None:
    person = Person("r")
    guest = Guest().open("sub", oflags=2).open("sub/b.txt").read()
    assert go(guest, person).exit_code == 0
    assert "open the folder" in person.prompts[0]


def test_a_folder_opened_once_asks_for_what_is_in_it(folder: Path) -> None:
    person = Person("o", "d")
    guest = Guest().open("sub", rights=READ | 1 << 13, oflags=2, passed=READ).open("b.txt", fd=4)
    assert go(guest, person).exit_code == NOTCAPABLE
    assert person.prompts[1].startswith(f"guest wants to read '{folder / 'sub' / 'b.txt'}'")


def test_a_question_is_not_asked_again_if_the_guest_wakes_up_late(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(questions, "wait_any", lambda *args: go_on.wait(60))
    interrupt = Interrupt()
    waiting = Questions(interrupt)
    guest = threading.Thread(target=waiting.decide, args=(Question(1, "p", "w", "s", "read", folder_remedy("/")),))
    guest.start()
    until(lambda: waiting.question is not None)
    served: list[Question] = []
    for _ in range(2):
        waiting.serve(lambda question: served.append(question) or Answer.ONCE)
    go_on.set()
    guest.join()
    interrupt.close()
    assert len(served) == 1


def test_a_path_that_is_too_long_and_a_link_that_leaves_are_refused_without_a_question(folder: Path) -> None:
    assert go(Guest().open("x/" * 2048), Person()).exit_code == int(Errno.NAMETOOLONG)
    directory = AskEverywhere(Asking(None), str(folder))
    with pytest.raises(Refused, match="it is absolute"):
        directory.symlink("/etc/passwd", "link")


@pytest.mark.parametrize("path", ["/", "/a.txt", "//a.txt", "/etc/passwd", "/../etc/passwd"])
def test_an_absolute_path_is_refused_without_a_question_as_it_is_with_any_grant(folder: Path, path: str) -> None:
    for grants in (Grants(ask=True), Grants(dirs={".": MemDir()})):
        finished = go(Guest().open(path), Person(), grants)
        assert finished.exit_code == int(Errno.PERM)
        assert [(r.denied_by, r.need) for r in finished.denied] == [(DeniedBy.PATH, None)]


def test_denying_all_ends_the_questions(folder: Path) -> None:
    person = Person("a")
    guest = Guest().call("random_get", f"(i32.const {SCRATCH}) (i32.const 4)")
    finished = go(guest, person, Grants.nothing(ask=True))
    assert finished.exit_code == NOTCAPABLE
    asking = Asking(lambda question: Answer.DENY_ALL)
    for subject in ("x", "y"):
        with pytest.raises(Refused):
            asking.require("read it", subject, "read", folder_remedy("x"))
    assert len(asking.asked) == 1


def test_no_default_answer(folder: Path) -> None:
    person = Person("", "what", "?", "h", "R")
    assert go(Guest().open("a.txt"), person).exit_code == 0
    assert len(person.prompts) == 5
    assert person.prompts[1].startswith("'' is not an answer: type o, r, d or a, or ? for help\n")
    assert person.prompts[3] == person.prompts[4] == f"{HELP}{person.prompts[0]}"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("o", Answer.ONCE), (" Once ", Answer.ONCE), ("allow once", Answer.ONCE),
        ("run", Answer.RUN), ("for  the run", Answer.RUN), ("DENY", Answer.DENY), ("d", Answer.DENY),
        ("all", Answer.DENY_ALL), ("deny all", Answer.DENY_ALL),
        ("y", Answer.ONCE), ("Yes", Answer.ONCE), ("n", Answer.DENY), ("NO", Answer.DENY),
        ("", None), ("h", None), ("?", None), ("yn", None), ("allow", None), ("on", None), ("once more", None),
        ("0", None),
    ],
)  # fmt: skip
def test_an_answer_is_its_letter_or_its_word_and_nothing_else(typed: str, meant: Answer | None) -> None:
    assert parse(typed) is meant


@pytest.mark.parametrize("person", [None, Person(None)])
def test_it_is_refused_if_the_user_cannot_be_asked(folder: Path, person: Person | None) -> None:
    finished = go(Guest().open("a.txt"), person)
    assert finished.exit_code == NOTCAPABLE
    assert "the user cannot be asked" in finished.trace[0].reason
    assert finished.trace[0].reason.endswith("grant it with --dir .")
    asking = Asking(None if person is None else lambda question: None)
    for subject in ("/x", "/y"):
        with pytest.raises(Refused, match=f"the user cannot be asked; grant it with --dir {subject}"):
            asking.require("read it", subject, "read", folder_remedy(subject))
    assert len(asking.asked) == 1


def test_what_is_granted_is_not_asked_for(folder: Path) -> None:
    grants = Grants(dirs={".": MemDir({"a": "1"})}, ask=True)
    finished = go(Guest().open("a").read().write("x", fd(1)), Person(), grants)
    assert finished.exit_code == 0
    assert finished.asked == []


def test_clocks_randomness_and_streams_are_asked_for(folder: Path) -> None:
    guest = (
        Guest()
        .call("random_get", f"(i32.const {SCRATCH}) (i32.const 4)")
        .call("clock_time_get", f"(i32.const 1) (i64.const 0) (i32.const {SCRATCH})")
        .write("hello", fd(1))
        .write("again", fd(1))
    )
    person = Person("r", "r", "r")
    finished = go(guest, person, Grants.nothing(ask=True))
    assert (finished.exit_code, finished.stdout) == (0, "helloagain")
    assert [p.split(".")[0] for p in person.prompts] == [
        "guest wants to draw random bytes",
        "guest wants to know the time",
        "guest wants to write to stdout",
    ]


def test_a_path_that_leaves_is_refused_without_a_question(folder: Path) -> None:
    (folder / "out").symlink_to("/etc")
    for path in ("../x", "out/passwd"):
        finished = go(Guest().open(path), Person())
        assert finished.exit_code == int(Errno.PERM)
        assert finished.trace[0].denied_by is DeniedBy.PATH


def test_a_path_elsewhere_on_the_host_is_asked_for_by_its_full_name(folder: Path) -> None:
    person = Person("d")
    go(Guest().open("etc/hostname"), person)
    assert person.prompts[0].startswith("guest wants to read '/etc/hostname'")


def test_a_link_is_named_by_where_it_leads(folder: Path) -> None:
    (folder / "innocent").symlink_to("sub/b.txt")
    person = Person("d")
    go(Guest().open("innocent"), person)
    assert f"'{folder / 'sub' / 'b.txt'}'" in person.prompts[0]


def test_hostile_names_are_escaped(folder: Path) -> None:
    person = Person("d")
    go(Guest().open("a\n\x1b[2J\u202eIs it safe? [o]"), person)
    assert "\n" not in person.prompts[0]
    assert "\x1b" not in person.prompts[0]
    assert "\u202e" not in person.prompts[0]
    assert "\\n\\x1b[2J\\u202eIs" in person.prompts[0]


def test_what_is_created_was_asked_for_and_lands_on_the_host(folder: Path) -> None:
    guest = Guest().open("new", rights=READ | WRITE, oflags=1).write("made")
    assert go(guest, Person("o")).exit_code == 0
    assert (folder / "new").read_text() == "made"
    person = Person("o", "o")
    texts = Guest()
    old, new = texts.text("new"), texts.text("newer")
    assert go(texts.call("path_rename", f"{fd(3)} {old} {fd(3)} {new}"), person).exit_code == 0
    verbs = [prompt.split("'")[0] for prompt in person.prompts]
    assert verbs == ["guest wants to rename ", "guest wants to rename something to "]
    assert (folder / "newer").exists()


def test_a_detached_run_is_answered_by_another_thread(folder: Path) -> None:
    posted: list[Question | None] = []
    started = run(Guest().open("a.txt").read().module(), (), Grants(ask=True), on_asked=posted.append, detach=True)
    until(lambda: started.question is not None)
    assert started.question is not None
    assert started.question.subject == str(folder / "a.txt")
    assert started.answer(Answer.ONCE)
    started.wait(60)
    assert started.exit_code == 0
    assert not started.answer(Answer.ONCE)
    assert posted[1:] == [None]


def test_stopping_ends_a_question(folder: Path) -> None:
    started = run(Guest().open("a.txt").module(), (), Grants(ask=True), on_asked=lambda question: None, detach=True)
    until(lambda: started.question is not None)
    started.stop()
    assert started.outcome.kind == "interrupt"


def test_the_same_thing_is_asked_once_by_two_at_a_time() -> None:
    asked: list[Question] = []

    def decide(question: Question) -> Answer:
        asked.append(question)
        time.sleep(0.05)
        return Answer.RUN

    asking = Asking(decide)
    threads = [threading.Thread(target=asking.require, args=("read it", "/x", "read", "--dir /")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 1


def test_what_was_allowed_becomes_advice(folder: Path) -> None:
    def guest(root: str) -> Guest:
        # A C library finds the preopen that a path lies in; this guest has to be told.
        opening = Guest().open(f"{root}b.txt").open(f"{root}new", rights=READ | WRITE, oflags=1)
        return opening.call("random_get", f"(i32.const {SCRATCH}) (i32.const 4)").write("done", fd(1))

    first = go(guest("sub/"), Person("r", "o", "o", "r"), Grants.nothing(ask=True))
    assert first.exit_code == 0
    advice = advise(first)
    assert advice.flags() == ["--deny-all", "--dir", "sub:rw", "--stdout", "--random", "real"]
    assert "you allowed it to" in str(advice)
    again = run(guest("").module(), (), advice.grants)
    assert (again.exit_code, again.stdout) == (0, "done")


def test_a_guest_cannot_ask_without_end() -> None:
    asking = Asking(lambda question: Answer.ONCE)
    for number in range(MOST_QUESTIONS):
        asking.require("read it", f"/x{number}", "read", folder_remedy("/"))
    with pytest.raises(Refused, match="questions have been asked"):
        asking.require("read it", "/y", "read", folder_remedy("/"))
    assert len(asking.asked) == MOST_QUESTIONS


class Slow(Person):
    """A person who takes `seconds` to answer each question."""

    def __init__(self, seconds: float, *answers: str) -> None:
        super().__init__(*answers)
        self.seconds = seconds

    def __call__(self, prompt: str) -> str | None:
        time.sleep(self.seconds)
        return super().__call__(prompt)


@pytest.mark.slow
def test_the_time_to_answer_does_not_count_as_run_time(folder: Path) -> None:
    guest = Guest().open("a.txt").read().open("sub/b.txt").read()
    finished = go(guest, Slow(0.6, "o", "o"), Grants(ask=True, limits=Limits(seconds=1)))
    assert finished.exit_code == 0, "two answers took longer than the limit"
    assert finished.outcome.seconds < 0.6
    assert all(call.dur < 0.6e9 for call in finished.trace)
    assert finished.trace[-1].t_start < 0.6e9
    assert [call.t_start for call in finished.trace] == sorted(call.t_start for call in finished.trace)


def test_a_limit_still_ends_a_run_that_asked(folder: Path) -> None:
    guest = Guest().open("a.txt").again().call("fd_seek", f"{fd(4)} (i64.const 0) (i32.const 0) (i32.const {SCRATCH})")
    finished = go(guest, Slow(0.1, "r"), Grants(ask=True, limits=Limits(seconds=0.2)))
    assert finished.outcome.kind == "limit"


def test_run_time_stands_still_while_it_is_paused() -> None:
    clock = RunTime()
    before = clock()
    with clock.paused():
        held = clock()
        time.sleep(0.05)
        assert clock() == held
    after = clock()
    assert before <= held <= after
    assert after - held < 50_000_000
