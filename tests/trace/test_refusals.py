"""Refusals in words: what was asked, why not, and the smallest grant that would allow it."""

from __future__ import annotations

from wasilab.capabilities.refusal import DeniedBy

from .building import Builder, copying


def test_a_write_through_a_read_only_grant_names_the_folder_to_grant() -> None:
    b = Builder(dirs={"/data": "/home/me/my data"})
    b.open(3, "/data", preopen="/data", filetype=3)
    b.path_open(3, b"new.txt", errno=76, denied=1, reason="it is granted read-only; grant it with :rw")
    (refusal,) = b.trace().denied
    assert refusal.denied_by is DeniedBy.GRANT
    assert refusal.sentence == "path_open('/data/new.txt') was refused: it is granted read-only; grant it with :rw"
    assert refusal.remedy == "--dir '/home/me/my data'::/data:rw"


def test_the_remedy_names_a_folder_once_where_both_sides_call_it_the_same() -> None:
    b = Builder(dirs={"my out": "my out/"})
    b.open(3, "my out", preopen="my out", filetype=3)
    b.path_open(3, b"new.txt", errno=76, denied=1, reason="it is granted read-only; grant it with :rw")
    (refusal,) = b.trace().denied
    assert refusal.remedy == "--dir 'my out/':rw"


def test_a_path_that_leaves_its_directory_asks_for_the_one_it_reached_for() -> None:
    b = Builder()
    b.open(3, "/data", preopen="/data", filetype=3)
    b.path_open(3, b"../etc/passwd", errno=63, denied=3, reason="it leaves /data")
    (refusal,) = b.trace().denied
    assert refusal.asked == "path_open('/data/../etc/passwd')"
    assert refusal.remedy == "--dir HOST::/etc"


def test_equal_refusals_are_one_entry_with_a_count() -> None:
    b = Builder()
    b.open(3, "/data", preopen="/data", filetype=3)
    for path in (b"a", b"b", b"a", b"a"):
        b.path_open(3, path, errno=76, denied=1, reason="no")
    denied = b.trace().denied
    assert [(r.seq, r.count) for r in denied] == [(0, 3), (1, 1)]
    assert "(3 times)" in str(denied)


def test_remedies_of_the_other_kinds() -> None:
    b = Builder()
    b.open(3, "/data", preopen="/data", filetype=3)
    b.call("clock_time_get", 0, 0, 0, 0, errno=76, denied=1, reason="clocks are not granted")
    b.call("random_get", 16, 8, errno=76, denied=1, reason="randomness is not granted")
    b.call("fd_write", 0, 16, 1, 32, errno=76, denied=2, reason="it lacks the right fd_write")
    b.path_open(3, b"x", errno=33, denied=6, reason="no more descriptors")
    b.path_open(3, b"y", errno=2, denied=4, reason="the host says no")
    remedies = [r.remedy for r in b.trace().denied]
    assert remedies == ["--clock real", "--random real", "--rights compat", "--max-fds N", ""]


def test_a_search_for_directories_that_finds_none_is_reported() -> None:
    b = Builder()
    b.call("fd_prestat_get", 3, 64, errno=8)
    b.write_text(2, b"open: no such file\n")
    (refusal,) = b.trace().denied
    assert refusal.sentence.startswith("the guest looked for granted directories and found none")
    assert refusal.remedy == "--dir HOST[::GUEST]"
    assert refusal.seq == 0


def test_a_search_that_ends_after_some_directories_is_no_refusal() -> None:
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
        assert denied[0].remedy == "--dir HOST[::GUEST]"


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
