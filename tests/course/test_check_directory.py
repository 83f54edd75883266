"""`check_directory`: wasilab's own folders pass, and each mistake of a class is found."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from wasilab import HostDir, MemDir
from wasilab.capabilities import patterns
from wasilab.capabilities.protocols import BaseDirectory, BaseFile, Entry, FileType, OpenHow, Stat
from wasilab.course import CourseError, check_directory


class Text(BaseFile):
    filetype = FileType.REGULAR_FILE

    def read(self, buffers: Any) -> int:
        return 0

    def stat(self) -> Stat:
        return Stat(0, 0, self.filetype, 1, 0, 0, 0, 0)


class One(BaseDirectory):
    """A folder with the file `a`."""

    file: type = Text

    def open(self, path: str, how: OpenHow) -> Any:
        if path != "a" or how.changes:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        return self.file()

    def list(self) -> list[Entry]:
        return [Entry("a", 1, FileType.REGULAR_FILE)]


def test_wasilabs_own_folders_answer_as_they_should(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("text")
    for folder in (
        MemDir({"a": "1", "b": {"c": "2"}}), BaseDirectory(), HostDir(tmp_path), HostDir(tmp_path, mode="rw"),
        patterns.read_only(MemDir({"a": "1"})), patterns.append_only(MemDir({"a": "1"})),
        patterns.quota(MemDir({"a": "1"}), 10), patterns.membrane(MemDir({"a": "1"}))[0], One(),
    ):  # fmt: skip
        report = check_directory(folder)
        assert report, report
        assert report.calls > 200
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def mistakes() -> list[tuple[type, dict[str, Any], str]]:
    def named(**methods: Any) -> dict[str, Any]:
        return methods

    def fails(*_: object) -> None:
        raise ValueError("no \x1b such number")

    return [
        (One, named(open=lambda self, path, how: 3), "open('..', to read): it returns 3, not a file or a directory"),
        (One, named(open=fails), r"open('..', to read): it raises ValueError: no \x1b such number"),
        (One, named(open=lambda self, path, how: self), "it opens a path that leaves the directory"),
        (One, named(open=lambda self, path, how: self.list()[0] and fails()), "it raises ValueError"),
        (One, named(list=lambda self: ["a"]), "list(): it returns ['a'], not a list of Entry"),
        (One, named(list=lambda self: [Entry("..", 1, FileType.DIRECTORY)]), "list(): it returns"),
        (One, named(stat_path=lambda self, path, follow: None), "stat_path('..', True): it returns None, not a Stat"),
        (One, named(stat=lambda self: Stat(0, 0, FileType.DIRECTORY, 1, -1, 0, 0, 0)), "stat(): it returns"),
        (One, named(mkdir=lambda self, path: path), "mkdir('..'): it returns '..', not None"),
        (One, named(unlink=lambda self, path: (_ for _ in ()).throw(OSError("no"))), "without an errno"),
        (One, named(readlink=lambda self, path: b"x"), "readlink('..'): it returns b'x', not a str"),
        (One, named(filetype=FileType.REGULAR_FILE), "filetype: it is not FileType.DIRECTORY"),
        (One, named(writable="yes"), "writable: it is not True or False"),
        (Text, named(read=lambda self, buffers: 9), "a: read(()): it returns 9, not 0 to 0"),
        (Text, named(read=lambda self, buffers: buffers[0]), "a: read(()): it raises IndexError"),
        (Text, named(set_size=lambda self, size: bytearray(size)), "it raises"),
        (Text, named(stat=lambda self: 3), "a: stat(): it returns 3"),
        (Text, named(tell=lambda self: -1), "a: tell(): it returns -1, not a position"),
        (Text, named(close=lambda self: 1), "a: close(): it returns 1"),
        (Text, named(flags=lambda self: 0), "a: flags(): it returns 0, not FileFlags"),
    ]


@pytest.mark.parametrize(("base", "members", "found"), mistakes(), ids=lambda each: each if type(each) is str else "")
def test_each_mistake_is_found(base: type, members: dict[str, Any], found: str) -> None:
    made = type("Mine", (base,), members)
    folder = made() if base is One else type("Mine", (One,), {"file": made})()
    report = check_directory(folder)
    assert not report
    assert found in str(report)
    assert "\x1b" not in str(report)


def test_what_is_no_directory_is_told_with_the_remedy() -> None:
    with pytest.raises(CourseError, match="BaseDirectory"):
        check_directory(3)  # type: ignore[arg-type]
    with pytest.raises(CourseError, match=r"give an object: One\(\)"):
        check_directory(One)  # type: ignore[arg-type]


def test_a_long_report_is_cut_and_escaped() -> None:
    made = type("<b>", (One,), {"open": lambda self, path, how: 3})
    report = check_directory(made())
    assert "and " in str(report).splitlines()[-1]
    assert "&lt;b&gt;" in report._repr_html_()
