"""Refusals in words: what was asked, why not, and what was needed."""

from __future__ import annotations

from wasilab.capabilities.refusal import DeniedBy, Need, NeedKind

from .building import Builder, copying


def test_a_refusal_has_the_sentence_and_the_need_of_its_call() -> None:
    b = Builder()
    b.open(3, "/data", preopen="/data", filetype=3)
    need = Need(NeedKind.WRITE, "/data")
    b.path_open(3, b"new.txt", errno=76, denied=1, reason="it is granted read-only", need=need)
    (refusal,) = b.trace().denied
    assert (refusal.denied_by, refusal.need) == (DeniedBy.GRANT, need)
    assert refusal.sentence == "path_open('/data/new.txt') was refused: it is granted read-only"


def test_refusals_have_no_remedy_until_they_are_given_one() -> None:
    b = Builder()
    b.path_open(3, b"x", errno=76, denied=1, reason="no", need=Need(NeedKind.CLOCK))
    b.path_open(3, b"y", errno=76, denied=1, reason="no")
    denied = b.trace().denied
    assert [refusal.remedy for refusal in denied] == ["", ""]
    assert "To allow it" not in str(denied)
    told = denied.with_remedies(lambda need: f"<{need.kind}>")
    assert [refusal.remedy for refusal in told] == ["<clock>", ""]
    assert "To allow it: <clock>" in str(told)
    assert "&lt;clock&gt;" in told._repr_html_()


def test_equal_sentences_with_other_needs_are_entries_of_their_own() -> None:
    b = Builder()
    for guest in ("/a", "/b", "/a"):
        b.path_open(3, b"x", errno=76, denied=1, reason="no", need=Need(NeedKind.WRITE, guest))
    assert [(refusal.need, refusal.count) for refusal in b.trace().denied] == [
        (Need(NeedKind.WRITE, "/a"), 2), (Need(NeedKind.WRITE, "/b"), 1),
    ]  # fmt: skip


def test_equal_refusals_are_one_entry_with_a_count() -> None:
    b = Builder()
    b.open(3, "/data", preopen="/data", filetype=3)
    for path in (b"a", b"b", b"a", b"a"):
        b.path_open(3, path, errno=76, denied=1, reason="no")
    denied = b.trace().denied
    assert [(r.seq, r.count) for r in denied] == [(0, 3), (1, 1)]
    assert "(3 times)" in str(denied)


def test_a_search_for_directories_that_finds_none_is_reported() -> None:
    b = Builder()
    b.call("fd_prestat_get", 3, 64, errno=8)
    b.write_text(2, b"open: no such file\n")
    (refusal,) = b.trace().denied
    assert refusal.sentence.startswith("the program looked for granted directories and found none")
    assert refusal.need == Need(NeedKind.DIRECTORY)
    assert refusal.seq == 0


def test_a_search_that_finds_directories_is_not_a_refusal() -> None:
    b = Builder()
    b.open(3, "/data", preopen="/data")
    b.call("fd_prestat_get", 3, 64)
    b.call("fd_prestat_get", 4, 64, errno=8)
    assert len(b.trace().denied) == 0


def test_what_go_asks_for_outside_every_directory_is_refused_and_its_search_alone_is_not() -> None:
    quiet = Builder(lang="go")
    quiet.call("fd_prestat_get", 3, 64, errno=8)
    assert quiet.trace().denied == []
    for grant in (False, True):
        b = Builder(lang="go")
        if grant:
            b.open(3, "/data", preopen="/data", filetype=3)
        for path in (b"x/y", b"z", b"x/y"):
            b.path_open(0xFFFFFFFF, path, errno=8)
        b.path_open(9, b"x/y", errno=8)  # a descriptor that was closed: no refusal
        denied = b.trace().denied
        assert [(r.asked, r.count, r.seq) for r in denied] == [("path_open('x/y')", 2, 0), ("path_open('z')", 1, 1)]
        assert denied[0].sentence == "path_open('x/y') failed: no granted directory holds this path"
        assert denied[0].need == Need(NeedKind.DIRECTORY)


def test_what_zig_asks_for_in_a_current_folder_that_was_not_granted_is_refused() -> None:
    b = Builder()
    b.path_open(3, b"data/notes.txt", errno=8)
    denied = b.trace().denied
    assert [(r.asked, r.need) for r in denied] == [
        ("path_open('data/notes.txt')", Need(NeedKind.DIRECTORY, "notes.txt"))
    ]
    assert "no directory is granted, and the program uses the first one as its current folder" in denied[0].sentence
    absolute = Builder()
    absolute.path_open(3, b"/data/notes.txt", errno=8)
    (refusal,) = absolute.trace().denied
    assert refusal.need is None
    assert "the path is absolute; no grant allows that" in refusal.sentence
    closed = Builder()
    closed.open(3, "/data", preopen="/data", filetype=3)
    closed.path_open(3, b"x", errno=8)  # the program itself closed it
    assert closed.trace().denied == []


def test_nothing_refused_says_so() -> None:
    denied = copying().trace().denied
    assert (len(denied), str(denied)) == (0, "nothing was refused")
    assert denied == []


def test_a_filtered_trace_has_the_refusals_of_its_calls() -> None:
    trace = copying(granted=False).trace()
    assert len(trace.denied) == 1
    assert len(trace.filter("call=fd_write").denied) == 0


def test_guest_text_in_a_refusal_cannot_escape() -> None:
    b = Builder()
    b.open(3, "/data", preopen="/data")
    b.path_open(3, b"x'\x1b[31m\n\xe2\x80\xae", errno=76, denied=1, reason="r\x1b\n")
    (refusal,) = b.trace().denied
    for text in (str(refusal), refusal.asked, refusal.sentence, refusal.remedy):
        assert text.isprintable()
